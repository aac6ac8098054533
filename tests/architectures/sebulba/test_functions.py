"""Sebulba's actors live what a compiled lifetime lives, and its learner does what Anakin's update does."""

import functools

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.architectures.anakin import Rollout
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.architectures.sebulba.entry_actor import environment_seeds
from podmeta.architectures.sebulba.functions import make_sebulba
from podmeta.config.schema import (
    ActorCriticConfig,
    ContextualBanditConfig,
    EvolutionConfig,
    RecurrentConfig,
    TabularMDPConfig,
)
from podmeta.distributed.devices import join_shards, map_over_devices, replicate, unreplicate
from podmeta.environments.base import step_or_reset
from podmeta.environments.registry import make_environment
from podmeta.inner_loop import build_inner_loop
from podmeta.learners.base import LearnerInput
from podmeta.outer.actor_critic import make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.evolution import make_evolution
from tests.jax_on_host import JaxOnHost

NUM_SLOTS, UNROLL_LENGTH, LIFETIME_LENGTH = 8, 6, 12
MDP = TabularMDPConfig(num_states=3, num_actions=2, horizon=2, lifetime_length=LIFETIME_LENGTH)
BANDIT = ContextualBanditConfig(lifetime_length=LIFETIME_LENGTH, padded_observation_size=3, padded_num_actions=3)
LEARNER = RecurrentConfig(cell="gru", hidden_size=3)
SETTINGS = InstanceSettings(jnp.uint32(5), jnp.float32(0.01), jnp.float32(0.5))


def entry_of(environment, lifetimes):
    return Entry(environment.name, build_inner_loop(LEARNER, environment), lifetimes, 1.0)


@functools.cache
def actor_critic(entries=1):
    config = ActorCriticConfig(num_lifetimes=NUM_SLOTS, unroll_length=UNROLL_LENGTH, ppo_clip=0.2)
    environments = [TabularMDPConfig(**{**vars(MDP), "padded_num_actions": 3}), BANDIT][:entries]
    return make_actor_critic(config, tuple(entry_of(environment, 2) for environment in environments), 10)


@functools.cache
def evolution():
    config = EvolutionConfig(population_size=2 * NUM_SLOTS, noise_std=0.5)
    return make_evolution(config, (entry_of(MDP, 3),), 10)


def unroll(sebulba, actor, outer, environment, num_unrolls=1):
    """The trajectory of an actor's first entry, in the last of some unrolls; its lifetimes before, seeds, and θ."""
    program, slots = sebulba.entry_actors[0], jnp.asarray(sebulba.slots[actor])
    meta_params = sebulba.actor_params(outer, slots)
    keys = sebulba.lifetime_keys(outer, jnp.int32(0), slots)[0]
    seeds = np.asarray(environment_seeds(keys))
    every = np.ones(program.num_lifetimes, bool)
    timestep = environment.reset(every, seeds)
    state = program.init(meta_params, keys, timestep)
    begin, act = jax.jit(program.begin), jax.jit(program.act)
    for index in range(num_unrolls):
        state, learner_state = begin(meta_params, state, keys, every if index == 0 else ~every)
        before = state.lifetimes._replace(timestep=timestep)
        for _ in range(program.unroll_length):
            state, actions = act(meta_params, state, timestep)
            timestep = environment.step(np.asarray(actions))
    finish = jax.jit(program.finish)
    first_steps = np.full(program.num_lifetimes, (num_unrolls - 1) * UNROLL_LENGTH, np.int32)
    return finish(state, learner_state, timestep, first_steps), before, seeds, meta_params


@pytest.mark.long
@pytest.mark.parametrize("num_unrolls", [1, 2])
def test_an_actor_lives_what_a_compiled_lifetime_lives(num_unrolls):
    loop = actor_critic()
    sebulba = make_sebulba(loop, num_actors=2, num_learner_devices=2)
    environment = make_environment(TabularMDPConfig(**{**vars(MDP), "padded_num_actions": 3}))
    on_host = JaxOnHost(environment, sebulba.entry_actors[0].num_lifetimes)
    outer = jax.jit(loop.init)(SETTINGS)
    trajectory, before, seeds, meta_params = unroll(sebulba, 1, outer, on_host, num_unrolls)
    inner_loop = loop.entries[0].inner_loop
    first_step = (num_unrolls - 1) * UNROLL_LENGTH

    def roll_out(lifetime, seed):
        """The same steps, one by one and without records, in the environment itself."""
        task_key, reset_key = jax.random.split(jax.random.key(seed))
        task = environment.sample_task(task_key)
        state, timestep = environment.reset(reset_key, task)
        learner_state = inner_loop.initial_state(meta_params, jax.random.key(0))

        def env_step(carry, step):
            state, timestep, learner_state, previous_action = carry
            first = timestep.step_type == 0
            previous_action = jnp.where(first, 0.0, previous_action)
            learner_input = LearnerInput(timestep.observation, previous_action, timestep.reward, first.astype(float))
            output, learner_state = inner_loop.step(meta_params, learner_state, learner_input)
            key = jax.random.fold_in(jax.random.wrap_key_data(lifetime.key_data), step)
            action = inner_loop.policy.sample(jax.random.split(key)[0], output.policy)
            ignored = timestep.step_type == 2
            state, timestep = step_or_reset(environment, on_host.step_key(seed, step), task, state, timestep, action)
            after = (state, timestep, learner_state, jax.nn.one_hot(action, 3))
            return after, (learner_input, output.policy, action, ignored, timestep.reward, timestep.discount)

        start = (state, timestep, learner_state, jnp.zeros(3))
        (_, timestep, *_), steps = jax.lax.scan(env_step, start, jnp.arange(first_step + UNROLL_LENGTH))
        return jax.tree.map(lambda leaf: leaf[first_step:], steps), timestep.observation

    expected, last_observation = jax.jit(jax.vmap(roll_out))(before, seeds)
    experience = trajectory.experience
    actual = (
        experience.learner_input,
        experience.learner_output.policy,
        experience.action,
        experience.action_ignored,
        experience.reward,
        experience.discount,
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected)
    np.testing.assert_allclose(trajectory.final_input.observation, last_observation)
    np.testing.assert_array_equal(
        trajectory.experience.episode_end[:, :-1], trajectory.experience.action_ignored[:, 1:]
    )
    jax.tree.map(np.testing.assert_array_equal, trajectory.learner_state, before.learner_state)
    assert experience.action_ignored.any() and np.unique(experience.action).size > 1


@pytest.mark.parametrize("nan_at", [None, 3])
def test_lifetimes_live_in_a_program_as_they_do_step_by_step(nan_at):
    sebulba = make_sebulba(actor_critic(), num_actors=2, num_learner_devices=2)
    program, slots = sebulba.entry_actors[0], jnp.asarray(sebulba.slots[0])
    outer = jax.jit(actor_critic().init)(SETTINGS)
    meta_params = sebulba.actor_params(outer, slots)
    keys = sebulba.lifetime_keys(outer, jnp.int32(0), slots)[0]
    num = program.num_lifetimes

    def step(timestep, actions):
        """An environment that shows how often each action was taken, and pays how often the last one was."""
        shown = timestep.observation + jax.nn.one_hot(actions, timestep.observation.shape[1])
        reward = jnp.take_along_axis(shown, actions[:, None], axis=1)[:, 0]
        if nan_at is not None:
            reward = jnp.where((shown.sum(axis=1) == nan_at) & (jnp.arange(num) == 1), jnp.nan, reward)
        return dm_env.TimeStep((timestep.step_type + 1) % 3, reward, timestep.discount, shown)

    first = dm_env.TimeStep(np.zeros(num, np.int32), np.zeros(num, np.float32), np.ones(num, np.float32), None)
    first = first._replace(observation=np.zeros((num, 3), np.float32))
    begun, _ = jax.jit(program.begin)(meta_params, program.init(meta_params, keys, first), keys, np.ones(num, bool))
    unroll_until = jax.jit(functools.partial(program.unroll, step))
    state, timestep = unroll_until(meta_params, begun, first, 2)
    assert state.position == 2
    state, timestep = unroll_until(meta_params, state, timestep, UNROLL_LENGTH)

    expected_state, expected = begun, first
    act = jax.jit(program.act)
    for _ in range(nan_at or UNROLL_LENGTH):
        expected_state, actions = act(meta_params, expected_state, expected)
        expected = step(expected, actions)
    assert np.unique(state.records.actor_output.action[: nan_at or UNROLL_LENGTH]).size > 1
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    jax.tree.map(close, (expected_state, expected), (state, timestep))


@functools.cache
def by_anakin(name):
    """An outer loop, its first state, the summaries of an update of Anakin's, and the state after it."""
    loop = evolution() if name == "evolution" else actor_critic(2 if name == "mixture" else 1)
    outer, slots, rollout = jax.jit(loop.init)(SETTINGS), jnp.arange(NUM_SLOTS), Rollout(loop)

    @jax.jit
    def anakin(outer):
        lifetimes = jax.vmap(rollout.init, in_axes=(None, 0))(outer, slots)
        _, draws, summaries = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(outer, slots, lifetimes)
        return summaries, loop.update(outer, draws, summaries, None)[0]

    return loop, outer, *anakin(outer)


def through_sebulba(sebulba, outer, summary, num_actors, num_devices):
    """The outer state after an update of slots [num_slots, ...] that have come by several actors to several devices."""
    shards = []
    for slots in sebulba.slots.reshape(num_actors, num_devices, -1):
        devices = zip(jax.local_devices(), slots, strict=False)
        shards.append(
            [jax.device_put(jax.tree.map(lambda leaf, r=r: leaf[r][None], summary), device) for device, r in devices]
        )
    mapped = map_over_devices(sebulba.update, DEVICE_AXIS, num_devices, donate=False)
    state = replicate(outer, DEVICE_AXIS, num_devices)
    by_actor = tuple(join_shards(each, DEVICE_AXIS) for each in shards)
    compiled = mapped.lower(state, by_actor).compile()
    return unreplicate(compiled(state, by_actor)[0])


def quick_or_long(name, num_actors, num_devices):
    """A mixture's update is actor-critic's over two entries, so the quick tests leave out the one over one."""
    quick = (name, num_actors, num_devices) == ("mixture", 2, 2) or name == "evolution"
    return pytest.param(name, num_actors, num_devices, marks=() if quick else pytest.mark.long)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "num_actors", "num_devices"),
    [
        quick_or_long(name, *sizes)
        for name in ("actor_critic", "mixture", "evolution")
        for sizes in ((1, 1), (2, 2), (4, 1))
    ],
)
def test_the_update_is_anakins(name, num_actors, num_devices):
    loop, outer, summaries, expected = by_anakin(name)
    sebulba = make_sebulba(loop, num_actors=num_actors, num_learner_devices=num_devices)
    actual = through_sebulba(sebulba, outer, summaries, num_actors, num_devices)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, actual.meta_params, expected.meta_params)
    changed = jax.tree.map(lambda a, b: not np.array_equal(a, b), expected.meta_params, outer.meta_params)
    assert any(jax.tree.leaves(changed))


def test_members_live_by_their_own_perturbation_and_pairs_meet_the_same_tasks():
    loop = evolution()
    sebulba = make_sebulba(loop, num_actors=2, num_learner_devices=1)
    outer = jax.jit(loop.init)(SETTINGS)
    slots = jnp.asarray(sebulba.slots[1])
    params = sebulba.actor_params(outer, slots)
    noise = evolution().draw(outer, slots[2])
    for index, sign in ((4, 1.0), (5, -1.0)):
        member = jax.tree.map(lambda leaf, i=index: leaf[i], params)
        expected = jax.tree.map(lambda leaf, e, s=sign: leaf + s * 0.5 * e, outer.meta_params, noise)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), member, expected)
    seeds = np.asarray(environment_seeds(sebulba.lifetime_keys(outer, jnp.int32(0), slots)[0])).reshape(
        len(slots), 2, 3
    )
    np.testing.assert_array_equal(seeds[:, 0], seeds[:, 1])
    assert np.unique(seeds).size == seeds.size // 2
    later = np.asarray(environment_seeds(sebulba.lifetime_keys(outer, jnp.int32(1), slots)[0]))
    assert not np.isin(later, seeds).any()


def test_the_fitness_that_travels_is_the_mean_reward_of_each_member():
    loop = evolution()
    sebulba = make_sebulba(loop, num_actors=2, num_learner_devices=1)
    on_host = JaxOnHost(make_environment(MDP), sebulba.entry_actors[0].num_lifetimes)
    trajectory, *_ = unroll(sebulba, 0, jax.jit(loop.init)(SETTINGS), on_host)
    (shard,) = sebulba.shards((trajectory,))
    rewards = np.asarray(trajectory.experience.reward).reshape(NUM_SLOTS // 2, 2, -1)
    np.testing.assert_allclose(shard[0, :, :, 0], rewards.mean(axis=-1), rtol=1e-5)
    assert trajectory.experience.learner_input is None  # nothing that does not count is kept


def test_every_slot_belongs_to_one_actor_and_its_lifetimes_are_staggered():
    loop = actor_critic()
    sebulba = make_sebulba(loop, num_actors=2, num_learner_devices=2)
    assert sorted(sebulba.slots.ravel()) == list(range(NUM_SLOTS))
    # Learner device d holds the d-th run of slots, of which each actor has an equal part.
    by_device = sebulba.slots.reshape(2, 2, -1).transpose(1, 0, 2).reshape(2, -1)
    np.testing.assert_array_equal(by_device, np.arange(NUM_SLOTS).reshape(2, -1))
    starts = np.stack([sebulba.first_steps(update, sebulba.slots[0])[0] == 0 for update in range(4)])
    unrolls = LIFETIME_LENGTH // UNROLL_LENGTH
    assert np.all(starts[:unrolls].sum(axis=0) == 1) and np.array_equal(starts[:2], starts[2:])
    assert 0 < starts[0].sum() < starts.shape[1]
