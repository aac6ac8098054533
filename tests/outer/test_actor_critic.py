"""Actor-critic: gradients against finite differences, values against closed forms, episode ends, unrolls, remat."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.architectures.anakin import Rollout
from podmeta.config.schema import (
    ActorCriticConfig,
    BanditConfig,
    GTrXLConfig,
    GymnaxConfig,
    RecurrentConfig,
    S5Config,
    SymmetricConfig,
)
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop, make_inner_loop
from podmeta.learners.base import Learner, LearnerOutput
from podmeta.learners.policies import make_policy
from podmeta.learners.recurrent import make_recurrent_learner
from podmeta.outer.actor_critic import _normalised, make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings, Trajectory
from podmeta.outer.value_statistics import mean_and_std
from tests.outer.plain_vtrace import plain_vtrace

SETTINGS = InstanceSettings(jnp.array(0, jnp.uint32), jnp.array(0.01), jnp.array(0.0))
UNROLL_LENGTH = 6


def make(config: ActorCriticConfig, environment_config=None, learner_config=None):
    environment_config = environment_config or GymnaxConfig(
        id="CartPole-v1", lifetime_length=12, parameters={"max_steps_in_episode": 4}
    )
    inner_loop = build_inner_loop(learner_config or RecurrentConfig(hidden_size=3), environment_config)
    return make_actor_critic(config, (Entry("e", inner_loop, 1, 1.0),), num_updates=10)


def roll_out(actor_critic, num_unrolls: int = 1):
    """The state, the lifetimes after some unrolls by the first θ, and the trajectories of the last of them."""
    rollout, slots = Rollout(actor_critic), jnp.arange(actor_critic.num_slots)
    state = jax.jit(actor_critic.init)(SETTINGS)
    lifetimes = jax.jit(jax.vmap(rollout.init, in_axes=(None, 0)))(state, slots)
    one_unroll = jax.jit(jax.vmap(rollout.unroll, in_axes=(None, 0, 0)))
    for update in range(num_unrolls):
        lifetimes, _, trajectories = one_unroll(state._replace(update=jnp.array(update)), slots, lifetimes)
    return state, lifetimes, trajectories


def updated(actor_critic, state, trajectories):
    """The state after an update, and its metrics."""
    return jax.jit(lambda *arguments: actor_critic.update(*arguments, None))(state, (), trajectories)


def trained(actor_critic, settings=SETTINGS):
    """The state after all updates of a stage, and the fitness of each."""
    rollout, slots = Rollout(actor_critic), jnp.arange(actor_critic.num_slots)

    def update(carry, _):
        state, lifetimes = carry
        lifetimes, draws, trajectories = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(state, slots, lifetimes)
        state, metrics = actor_critic.update(state, draws, trajectories, None)
        return (state, lifetimes), metrics["fitness_mean"]

    @jax.jit
    def train():
        state = actor_critic.init(settings)
        start = (state, jax.vmap(rollout.init, in_axes=(None, 0))(state, slots))
        return jax.lax.scan(update, start, length=actor_critic.num_updates)

    (state, _), fitness = train()
    return state, fitness


@pytest.fixture(scope="module")
def cartpole():
    config = ActorCriticConfig(num_lifetimes=4, unroll_length=UNROLL_LENGTH, learning_rate=0.01)
    actor_critic = make(config)
    return actor_critic, *roll_out(actor_critic)


@pytest.mark.long
def test_gradient_equals_finite_differences(cartpole):
    actor_critic, state, _, trajectories = cartpole
    config = dataclasses.replace(actor_critic.config, optimiser="sgd", max_gradient_norm=0.0, entropy_cost=0.3)
    actor_critic = dataclasses.replace(actor_critic, config=config)
    with jax.enable_x64():
        wide = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64) if leaf.dtype == np.float32 else np.asarray(leaf),
            # Of one lifetime that ends after the unroll, and one that goes on.
            (state.meta_params, jax.tree.map(lambda leaf: leaf[:2], trajectories)),
        )
        meta_params, trajectories = jax.tree.map(jnp.asarray, wide)
        entry, statistics = actor_critic.entries[0], state.value_statistics[0]
        # A learner of the registry computes with 32 bits, whatever is set.
        learner = make_recurrent_learner(RecurrentConfig(hidden_size=3), (4,), 2, 1, dtype="float64")
        entry = entry._replace(inner_loop=entry.inner_loop._replace(step=learner.step))
        fixed = _targets_at(actor_critic, entry, meta_params, trajectories)

        def loss(meta_params):
            return _loss_by_hand(config, entry, meta_params, trajectories, fixed)

        gradient = jax.jit(
            jax.grad(
                lambda meta_params: actor_critic._entry_loss(entry, meta_params, trajectories[0], statistics, None).loss
            )
        )(meta_params)
        flat, unravel = jax.flatten_util.ravel_pytree(meta_params)
        flat_gradient = jax.flatten_util.ravel_pytree(gradient)[0]
        flat_loss = jax.jit(lambda flat: loss(unravel(flat)))
        step = 1e-5
        for index in np.random.default_rng(1).choice(flat.size, 12, replace=False):
            moved = jnp.zeros_like(flat).at[index].set(step)
            slope = (flat_loss(flat + moved) - flat_loss(flat - moved)) / (2 * step)
            np.testing.assert_allclose(flat_gradient[index], slope, rtol=1e-4, atol=1e-7)


def _outputs(entry, meta_params, trajectories):
    """The learner run over each trajectory, one env step after another: [lifetimes, UNROLL_LENGTH + 1, ...]."""

    def of_lifetime(trajectory):
        def step(learner_state, learner_input):
            return entry.inner_loop.step(meta_params, learner_state, learner_input)[::-1]

        learner_state, outputs = jax.lax.scan(step, trajectory.learner_state, trajectory.experience.learner_input)
        _, final = step(learner_state, trajectory.final_input)
        return jax.tree.map(lambda leaf, last: jnp.append(leaf, last[None], axis=0), outputs, final)

    return jax.vmap(of_lifetime)(jax.tree.map(lambda leaf: leaf[:, 0], trajectories[0]))


def _targets_at(actor_critic, entry, meta_params, trajectories):
    values = np.asarray(jax.jit(lambda meta_params: _outputs(entry, meta_params, trajectories).value)(meta_params))
    fixed = []
    for row, row_values in enumerate(values):
        experience = jax.tree.map(lambda leaf, row=row: leaf[row, 0], trajectories[0].experience)
        discounts = np.full(UNROLL_LENGTH, actor_critic.config.discount)
        discounts[-1] *= trajectories[0].first_step[row, 0] + UNROLL_LENGTH < 12
        rewards = np.asarray(experience.reward)
        fixed.append(plain_vtrace(row_values, rewards, discounts, np.ones(UNROLL_LENGTH), 1.0, 1.0))
    targets, advantages = (np.array(part) for part in zip(*fixed, strict=True))
    counted = ~np.asarray(trajectories[0].experience.action_ignored[:, 0])
    chosen = advantages[counted]
    return targets, (advantages - chosen.mean()) / chosen.std(), counted


def _loss_by_hand(config, entry, meta_params, trajectories, fixed):
    targets, advantages, counted = fixed
    outputs = jax.tree.map(lambda leaf: leaf[:, :-1], _outputs(entry, meta_params, trajectories))
    log_probs = jax.nn.log_softmax(outputs.policy[..., 0])
    chosen = jnp.take_along_axis(log_probs, trajectories[0].experience.action[:, 0, :, None], axis=-1)[..., 0]
    entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)
    policy_loss = -chosen * advantages - config.entropy_cost * entropy
    value_loss = 0.5 * (targets - outputs.value) ** 2
    return jnp.mean(counted * policy_loss + config.value_cost * value_loss)


@pytest.mark.long
@pytest.mark.parametrize(
    ("across_episodes", "expected"),
    [
        # A reward of 1 at each of 4 steps and a truncation: as if there were no time limit, 1 / (1 - 0.5).
        (False, np.full(5, 2.0)),
        # The return runs on over the reset, which earns nothing: V(k) = 1 + V(k + 1) / 2 and V(4) = V(0) / 2.
        (True, np.linalg.solve(np.eye(5) - 0.5 * np.roll(np.eye(5), 1, axis=1), [1.0, 1.0, 1.0, 1.0, 0.0])),
    ],
)
@pytest.mark.parametrize("td_lambda", [1.0, 0.8])
def test_values_of_truncated_episodes_reach_their_closed_form(across_episodes, expected, td_lambda):
    cartpole = GymnaxConfig(id="CartPole-v1", lifetime_length=10**6, parameters={"max_steps_in_episode": 4})
    config = ActorCriticConfig(
        num_lifetimes=2, unroll_length=4, discount=0.5, discount_across_episodes=across_episodes, td_lambda=td_lambda,
        optimiser="sgd", learning_rate=0.5, value_cost=1.0, max_gradient_norm=0.0,
    )  # fmt: skip
    actor_critic = make_actor_critic(config, (Entry("e", knowing_the_step(cartpole), 1, 1.0),), num_updates=600)
    end, _ = trained(actor_critic, SETTINGS._replace(learning_rate=jnp.array(0.5)))
    mean, std = mean_and_std(end.value_statistics[0])
    np.testing.assert_allclose(mean + std * end.meta_params, expected, rtol=2e-2)


def knowing_the_step(environment_config):
    """A learner with a memory for the step of the episode, whose θ is the value of every step, and nothing else."""
    environment = make_environment(environment_config)

    def step(meta_params, learner_state, learner_input):
        episode_step = jnp.where(learner_input.episode_start > 0, 0, learner_state + 1)
        return LearnerOutput(jnp.zeros((2, 1)), meta_params[episode_step]), episode_step

    def initial_state(meta_params, key):
        return jnp.zeros((), jnp.int32)

    learner = Learner(lambda key: jnp.zeros(5), initial_state, step)
    policy = make_policy(environment.action_spec())
    return make_inner_loop(environment, learner, policy, environment_config.lifetime_length)


@pytest.mark.parametrize(
    "learner_config",
    [S5Config(hidden_size=3), pytest.param(GTrXLConfig(hidden_size=4, memory_length=3), marks=pytest.mark.long)],
)
def test_an_update_by_the_learners_unroll_is_that_by_its_steps(learner_config):
    """Over episode starts, and in the middle of a lifetime."""
    config = ActorCriticConfig(num_lifetimes=4, unroll_length=UNROLL_LENGTH, optimiser="sgd")
    by_unroll = make(config, learner_config=learner_config)
    state, _, trajectories = roll_out(by_unroll, num_unrolls=2)
    state = state._replace(settings=SETTINGS._replace(learning_rate=jnp.array(1.0)))  # so that θ moves by the gradient
    assert trajectories[0].experience.learner_input.episode_start[..., 1:].any()
    (entry,) = by_unroll.entries
    assert entry.inner_loop.learner_unroll is not None
    by_steps = dataclasses.replace(
        by_unroll, entries=(entry._replace(inner_loop=entry.inner_loop._replace(learner_unroll=None)),)
    )
    first, second = (updated(a, state, trajectories)[0] for a in (by_unroll, by_steps))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), first.meta_params, second.meta_params)
    moved = jax.tree.map(lambda new, old: float(jnp.abs(new - old).max()), first.meta_params, state.meta_params)
    assert max(jax.tree.leaves(moved)) > 0.01


@pytest.mark.parametrize(
    "learner_config",
    [
        RecurrentConfig(hidden_size=3),
        S5Config(hidden_size=3),
        pytest.param(SymmetricConfig(hidden_size=3), marks=pytest.mark.long),  # in chunks of steps, as the first
    ],
)
def test_chunks_made_again_change_no_gradient(learner_config):
    config = ActorCriticConfig(num_lifetimes=4, unroll_length=UNROLL_LENGTH)
    whole = make(config, learner_config=learner_config)
    state, _, trajectories = roll_out(whole)
    chunked = dataclasses.replace(whole, config=dataclasses.replace(config, remat_chunk=3))
    by_whole, by_chunks = (updated(a, state, trajectories)[0] for a in (whole, chunked))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), by_whole.meta_params, by_chunks.meta_params
    )
    assert not np.allclose(
        jax.flatten_util.ravel_pytree(state.meta_params)[0], jax.flatten_util.ravel_pytree(by_whole.meta_params)[0]
    )


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_normalised_advantages_have_mean_0_and_standard_deviation_1_on_all_devices(offset):
    generator = np.random.default_rng(0)
    advantages = (offset + 3.0 * generator.normal(size=(4, 2, 50)) + np.arange(4)[:, None, None]).astype(np.float32)
    acted = (generator.random(advantages.shape) < 0.7).astype(np.float32)
    normalised = jax.pmap(functools.partial(_normalised, axis_name="devices"), axis_name="devices")(advantages, acted)
    counted = advantages[acted > 0].astype(np.float64)
    expected = (advantages.astype(np.float64) - counted.mean()) / counted.std()
    np.testing.assert_allclose(normalised, expected, rtol=1e-3, atol=1e-3 + 1e-7 * offset)
    alone = _normalised(jnp.asarray(advantages.reshape(8, 50)), jnp.asarray(acted.reshape(8, 50)), None)
    np.testing.assert_allclose(alone.reshape(4, 2, 50), expected, rtol=1e-3, atol=1e-3 + 1e-7 * offset)


def test_ignored_actions_are_not_learned_from(cartpole):
    actor_critic, state, _, trajectories = cartpole
    ignored = trajectories[0].experience.action_ignored
    assert ignored.any()
    flipped = jnp.where(ignored, 1 - trajectories[0].experience.action, trajectories[0].experience.action)
    other = (trajectories[0]._replace(experience=trajectories[0].experience._replace(action=flipped)),)
    one, two = updated(actor_critic, state, trajectories)[0], updated(actor_critic, state, other)[0]
    jax.tree.map(np.testing.assert_array_equal, one.meta_params, two.meta_params)


@pytest.mark.long
@pytest.mark.parametrize("rare", [None, 0, 3])
def test_the_largest_importance_ratio_is_over_gradient_steps_devices_and_actions_that_count(cartpole, rare):
    actor_critic, state, _, trajectories = cartpole
    # The update hardly moves θ, so that ratios stay what they are made to be here.
    config = dataclasses.replace(actor_critic.config, num_epochs=2, num_minibatches=2, optimiser="sgd")
    state = state._replace(settings=SETTINGS._replace(learning_rate=jnp.array(1e-9)))
    experience = trajectories[0].experience
    assert experience.action_ignored.any(axis=(1, 2)).all(), "where ignored, an action has a ratio of 1"
    ratios = jnp.full(4, 0.8) if rare is None else jnp.full(4, 0.8).at[rare].set(2.0)
    logits = jax.nn.log_softmax(experience.learner_output.policy[..., 0])
    chosen = jnp.take_along_axis(logits, experience.action[..., None], axis=-1) - jnp.log(ratios)[:, None, None, None]
    is_chosen = jax.nn.one_hot(experience.action, 2) > 0
    behaviour = jnp.where(is_chosen, chosen, jnp.log1p(-jnp.exp(chosen)))[..., None]
    output = experience.learner_output._replace(policy=behaviour)
    other = (trajectories[0]._replace(experience=experience._replace(learner_output=output)),)
    by_device = jax.tree.map(lambda leaf: leaf.reshape(2, 2, *leaf.shape[1:]), other)
    update = dataclasses.replace(actor_critic, config=config).update
    metrics = jax.pmap(lambda shard: update(state, (), shard, "devices")[1], axis_name="devices")(by_device)
    np.testing.assert_allclose(metrics["importance_ratio_max"], 0.8 if rare is None else 2.0, rtol=1e-4)


def test_lifetimes_go_on_across_updates_and_end_on_time():
    config = ActorCriticConfig(num_lifetimes=2, unroll_length=6)
    actor_critic = make(config, BanditConfig(num_arms=3, lifetime_length=12), RecurrentConfig(hidden_size=3))
    _, first_lifetimes, first = roll_out(actor_critic)
    _, second_lifetimes, second = roll_out(actor_critic, num_unrolls=2)
    # Slot 1 is staggered: its first lifetime ends after one unroll, that of slot 0 after two.
    assert first[0].first_step[:, 0].tolist() == [0, 6]
    assert second[0].first_step[:, 0].tolist() == [6, 0]
    np.testing.assert_array_equal(first_lifetimes[0].num_steps[:, 0], [6, 6])
    np.testing.assert_array_equal(second_lifetimes[0].num_steps[:, 0], [12, 6])
    hidden = second[0].learner_state[0][:, 0]
    assert np.any(hidden[0] != 0), "the learner state goes on within a lifetime"
    assert np.all(hidden[1] == 0), "and is initialised anew with the next one"
    before, after = (np.asarray(lifetimes[0].task[:, 0]) for lifetimes in (first_lifetimes, second_lifetimes))
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[1], after[1])


@pytest.mark.long
def test_several_epochs_with_the_ppo_clip_stay_near_the_behaviour():
    config = ActorCriticConfig(
        num_lifetimes=4, unroll_length=UNROLL_LENGTH, learning_rate=0.05, num_epochs=8, num_minibatches=2, ppo_clip=0.02
    )
    clipped = make(config)
    state, _, trajectories = roll_out(clipped)
    free = dataclasses.replace(clipped, config=dataclasses.replace(config, ppo_clip=1e6))
    # The largest ratio does not depend on the clip, so one program measures it for both.
    loss = jax.jit(lambda *arguments: clipped._entry_loss(clipped.entries[0], *arguments, None))
    distances = []
    for actor_critic in (clipped, free):
        after, metrics = updated(actor_critic, state, trajectories)
        assert after.update == 1 and np.isfinite(metrics["gradient_norm"])
        at_the_end = loss(after.meta_params, trajectories[0], after.value_statistics[0])
        distances.append(float(at_the_end.largest["importance_ratio_max"]))
    assert 1.0 < distances[0] < distances[1]


def test_a_learner_without_a_cell_learns_a_bandit_with_a_best_arm():
    config = ActorCriticConfig(num_lifetimes=32, unroll_length=8, learning_rate=0.05, entropy_cost=0.0)
    environment_config = BanditConfig(num_arms=2, lifetime_length=8, distribution="dependent_easy")
    inner_loop = build_inner_loop(RecurrentConfig(cell="none"), environment_config)
    unfair = inner_loop._replace(
        reset=lambda meta_params, key: inner_loop.reset(meta_params, key)._replace(task=jnp.array([0.1, 0.9]))
    )
    _, fitness = trained(make_actor_critic(config, (Entry("e", unfair, 1, 1.0),), num_updates=60))
    assert fitness[:5].mean() < 0.7 and fitness[-5:].mean() > 0.8


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ActorCriticConfig(unroll_length=8), r"outer\.unroll_length=8 .* such as 4$"),
        (ActorCriticConfig(unroll_length=24), r"outer\.unroll_length=24 .* such as 12$"),
        (ActorCriticConfig(unroll_length=6, remat_chunk=4), r"outer\.remat_chunk=4 .* such as 2$"),
    ],
)
def test_lengths_that_do_not_divide_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        make(config)


def test_trajectory_is_what_the_update_needs(cartpole):
    _, _, _, trajectories = cartpole
    assert isinstance(trajectories[0], Trajectory)
    assert trajectories[0].experience.reward.shape == (4, 1, UNROLL_LENGTH)
