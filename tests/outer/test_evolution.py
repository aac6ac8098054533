"""Evolution: its gradient against evosax, a quadratic's and by hand; what members share, and what none does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evosax.algorithms import Open_ES
from evosax.core.fitness_shaping import centered_rank_fitness_shaping_fn, identity_fitness_shaping_fn
from jax.flatten_util import ravel_pytree

from podmeta.architectures.anakin import Rollout
from podmeta.config.schema import BanditConfig, EvolutionConfig, RecurrentConfig, ScheduleConfig
from podmeta.errors import InputError
from podmeta.inner_loop import Experience, InnerLoop, build_inner_loop
from podmeta.learners.linear import LowRankMatrix
from podmeta.outer.base import Entry, InstanceSettings, Trajectory
from podmeta.outer.evolution import make_evolution

NUM_PAIRS, NOISE_STD, LEARNING_RATE = 6, 0.3, 0.5
SETTINGS = InstanceSettings(jnp.array(7, jnp.uint32), jnp.array(LEARNING_RATE), jnp.array(NOISE_STD))


def draw_meta_params(key):
    matrix_key, bias_key = jax.random.split(key)
    return {"matrix": jax.random.normal(matrix_key, (3, 4)), "bias": jax.random.normal(bias_key, (4,))}


# Whole programs take longer to optimise than to run here.

# An environment that nobody enters: the estimator needs no more than θ and fitnesses.
NOWHERE = Entry(
    "nowhere", InnerLoop(10, draw_meta_params, None, None, None, None, None, False), lifetimes=3, weight=1.0
)


def make(entries=(NOWHERE,), num_updates=10, **options):
    config = EvolutionConfig(**({"optimiser": "sgd", "population_size": 2 * NUM_PAIRS} | options))
    return make_evolution(config, entries, num_updates)


def noise_of_all(evolution, state):
    return jax.jit(jax.vmap(evolution.draw, in_axes=(None, 0)))(state, jnp.arange(evolution.num_slots))


def members(evolution, state):
    """Every member's θ, flat: [num_pairs, 2, num_meta_params]."""

    def flat(pair, member):
        meta_params = evolution.actor_params(state, evolution.draw(state, pair), member)
        whole = jax.tree.map(materialise, meta_params, is_leaf=lambda leaf: isinstance(leaf, LowRankMatrix))
        return ravel_pytree(whole)[0]

    both = jax.vmap(flat, in_axes=(None, 0))
    over_pairs = jax.vmap(both, in_axes=(0, None))
    return jax.jit(over_pairs)(jnp.arange(evolution.num_slots), jnp.arange(2))


def materialise(leaf):
    return leaf.base + leaf.left @ leaf.right.T if isinstance(leaf, LowRankMatrix) else leaf


def updated(evolution, state, fitness):
    noise = noise_of_all(evolution, state)
    return jax.jit(lambda *arguments: evolution.update(*arguments, None))(state, noise, fitness)


# --- the gradient ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rank", "optimiser", "shaping"), [(0, "sgd", "centred_rank"), (0, "adam", "raw"), (1, "adam", "centred_rank")]
)
def test_an_update_is_evosaxs_on_the_same_noise_and_fitness(rank, optimiser, shaping):
    evolution = make(optimiser=optimiser, fitness_shaping=shaping, noise_rank=rank)
    state = evolution.init(SETTINGS)
    fitness = jnp.asarray(np.random.default_rng(0).normal(size=(NUM_PAIRS, 2, 1)), jnp.float32)
    fitness = fitness.at[1].set(fitness[0])  # a few ties
    after, _ = updated(evolution, state, fitness)

    oracle = Open_ES(
        2 * NUM_PAIRS,
        state.meta_params,
        optimizer=getattr(optax, optimiser)(LEARNING_RATE),
        std_schedule=optax.constant_schedule(NOISE_STD),
        fitness_shaping_fn={"centred_rank": centered_rank_fitness_shaping_fn, "raw": identity_fitness_shaping_fn}[
            shaping
        ],
    )
    key, parameters = jax.random.key(0), oracle.default_params
    oracle_state = oracle.init(key, state.meta_params, parameters)
    population = jax.vmap(ravel_pytree(state.meta_params)[1])(members(evolution, state).reshape(12, -1))
    # evosax looks for the least fitness, podmeta for the most.
    oracle_state, _ = oracle.tell(key, population, -fitness.reshape(-1), oracle_state, parameters)
    np.testing.assert_allclose(ravel_pytree(after.meta_params)[0], oracle_state.mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 1])
def test_over_many_pairs_the_gradient_is_that_of_a_quadratic(rank):
    num_pairs = 20_000
    evolution = make(fitness_shaping="raw", noise_rank=rank, population_size=2 * num_pairs)
    state = evolution.init(SETTINGS)
    curvature = jnp.linspace(0.1, 1.0, 16)

    def quadratic(meta_params):
        return -jnp.sum(curvature * (meta_params - 2.0) ** 2)

    fitness = jax.vmap(jax.vmap(quadratic))(members(evolution, state))[..., None]
    after, metrics = updated(evolution, state, fitness)
    before = ravel_pytree(state.meta_params)[0]
    estimate = (ravel_pytree(after.meta_params)[0] - before) / LEARNING_RATE
    gradient = np.asarray(jax.grad(quadratic)(before))
    # An estimate of one pair is ε (ε·g), whose entry i has variance |g|² + g_i², or less than 9 |g|² at rank 1.
    standard_error = np.sqrt((2.0 if rank == 0 else 9.0) * np.sum(gradient**2) / num_pairs)
    np.testing.assert_allclose(estimate, gradient, atol=5 * standard_error)
    assert 5 * standard_error < 0.3 * np.linalg.norm(gradient)
    np.testing.assert_allclose(metrics["gradient_norm"], np.linalg.norm(estimate), rtol=1e-3)


def test_equal_fitness_changes_nothing_but_weight_decay():
    evolution = make(weight_decay=0.1)
    state = evolution.init(SETTINGS)
    after, _ = updated(evolution, state, jnp.full((NUM_PAIRS, 2, 1), 0.1))
    expected = jax.tree.map(lambda leaf: (1.0 - LEARNING_RATE * 0.1) * leaf, state.meta_params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after.meta_params, expected)
    assert after.update == 1


def test_schedules_scale_the_learning_rate_and_the_noise():
    schedule = ScheduleConfig(name="linear", end_factor=0.2)
    evolution = make(num_updates=5, fitness_shaping="raw", learning_rate_schedule=schedule, noise_std_schedule=schedule)
    state = evolution.init(SETTINGS)
    fitness = jnp.asarray(np.random.default_rng(0).normal(size=(NUM_PAIRS, 2, 1)), jnp.float32)
    for update, factor in ((0, 1.0), (4, 0.2)):
        before = state._replace(update=jnp.array(update))
        after, metrics = updated(evolution, before, fitness)
        np.testing.assert_allclose(metrics["learning_rate"], factor * LEARNING_RATE, rtol=1e-6)
        np.testing.assert_allclose(metrics["noise_std"], factor * NOISE_STD, rtol=1e-6)
        noise, start = flat(noise_of_all(evolution, before)), ravel_pytree(state.meta_params)[0]
        spread = members(evolution, before) - start
        np.testing.assert_allclose(spread[:, 0], factor * NOISE_STD * noise, rtol=1e-3, atol=1e-5)
        slope = (fitness[:, 0, 0] - fitness[:, 1, 0]) @ noise / (2 * NUM_PAIRS * factor * NOISE_STD)
        change = ravel_pytree(after.meta_params)[0] - start
        np.testing.assert_allclose(change, factor * LEARNING_RATE * slope, rtol=1e-3, atol=1e-5)


def flat(noise):
    return np.concatenate([np.asarray(leaf).reshape(NUM_PAIRS, -1) for leaf in jax.tree.leaves(noise)], axis=1)


def test_metrics_describe_the_population():
    evolution = make()
    state = evolution.init(SETTINGS)
    fitness = np.random.default_rng(0).normal(size=(NUM_PAIRS, 2, 1)).astype(np.float32)
    after, metrics = updated(evolution, state, jnp.asarray(fitness))
    expected = {"mean": fitness.mean(), "std": fitness.std(), "max": fitness.max(), "min": fitness.min()}
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[f"fitness_{name}"], value, rtol=1e-5)
    norm = np.linalg.norm(ravel_pytree(after.meta_params)[0])
    np.testing.assert_allclose(metrics["meta_params_norm"], norm, rtol=1e-5)


def test_environments_of_a_mixture_are_shaped_apart_and_weighted():
    entries = (NOWHERE._replace(name="small", weight=1.0), NOWHERE._replace(name="large", weight=3.0))
    mixture, alone = make(entries), make()
    state = mixture.init(SETTINGS)
    fitness = jnp.asarray(np.random.default_rng(0).normal(size=(NUM_PAIRS, 2, 2)), jnp.float32)
    scaled = fitness * jnp.array([1.0, 1000.0])

    def change(evolution, fitness):
        after, metrics = updated(evolution, state, fitness)
        return ravel_pytree(after.meta_params)[0] - ravel_pytree(state.meta_params)[0], metrics

    both, metrics = change(mixture, scaled)
    small, large = (change(alone, fitness[..., i : i + 1])[0] for i in range(2))
    np.testing.assert_allclose(both, 0.25 * small + 0.75 * large, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(metrics["fitness_mean/large"], scaled[..., 1].mean(), rtol=1e-4)


# --- who shares what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 1])
def test_members_of_a_pair_are_mirror_images_and_no_others_share_noise(rank):
    evolution = make(noise_rank=rank)
    fresh = evolution.init(SETTINGS)
    other_seed = fresh._replace(settings=SETTINGS._replace(seed=jnp.array(8, jnp.uint32)))
    states = [fresh, fresh._replace(update=jnp.array(1)), other_seed]
    spreads = []
    for state in states:
        spread = members(evolution, state) - ravel_pytree(fresh.meta_params)[0]
        np.testing.assert_allclose(spread[:, 0], -spread[:, 1], atol=1e-5)
        spreads.append(spread[:, 0])
    directions = np.concatenate(spreads)
    assert np.unique(np.abs(directions).round(4), axis=0).shape == directions.shape


def test_a_pair_shares_its_lifetimes_and_no_two_pairs_generations_or_seeds_do():
    evolution = make()
    fresh = evolution.init(SETTINGS)
    other_seed = fresh._replace(settings=SETTINGS._replace(seed=jnp.array(8, jnp.uint32)))
    keys = [
        jax.random.key_data(evolution.lifetime_keys(state, state.update, jnp.array(pair))[0])
        for state in (fresh, fresh._replace(update=jnp.array(1)), other_seed)
        for pair in range(NUM_PAIRS)
    ]
    keys = np.concatenate(keys)
    assert keys.shape == (3 * NUM_PAIRS * NOWHERE.lifetimes, 2)
    assert np.unique(keys, axis=0).shape == keys.shape


BANDIT = Entry(
    "bandit",
    build_inner_loop(RecurrentConfig(cell="gru", hidden_size=2), BanditConfig(num_arms=2, lifetime_length=8)),
    lifetimes=2,
    weight=1.0,
)


@pytest.mark.long
@pytest.mark.parametrize("unroll_length", [0, 4])
def test_members_without_perturbation_earn_the_same_in_the_same_lifetimes(unroll_length):
    evolution = make((BANDIT,), unroll_length=unroll_length)
    state = evolution.init(SETTINGS._replace(noise_std=jnp.array(0.0)))

    rollout = Rollout(evolution)

    @jax.jit
    @jax.vmap
    def fitness_of(pair):
        return rollout.unroll(state, pair, rollout.init(state, pair))[2][:, 0]

    fitness = fitness_of(jnp.arange(NUM_PAIRS))
    np.testing.assert_array_equal(fitness[:, 0], fitness[:, 1])
    assert np.unique(fitness).size > 1


@pytest.mark.long
@pytest.mark.parametrize("fraction", [1.0, 0.6, 0.1])
def test_unrolls_of_lifetimes_that_go_on_make_up_whole_lifetimes(fraction):
    """With θ held still, the fitness of a pair's unrolls averages to that of its whole lifetimes."""
    whole = make((BANDIT,), fitness_fraction=fraction)
    unrolled = make((BANDIT,), fitness_fraction=fraction, unroll_length=2)
    assert unrolled.unrolls_per_lifetime == (4,)
    num_pairs, num_updates = 4, 11
    pairs = jnp.arange(num_pairs)
    state = unrolled.init(SETTINGS)
    in_unrolls, in_whole = Rollout(unrolled), Rollout(whole)

    def one_update(lifetimes, update):
        now = state._replace(update=update)
        lifetimes, noise, fitness = jax.vmap(in_unrolls.unroll, in_axes=(None, 0, 0))(now, pairs, lifetimes)
        return lifetimes, (fitness[..., 0], noise)

    @jax.jit
    def roll_out(updates):
        begun = jax.vmap(in_unrolls.init, in_axes=(None, 0))(state, pairs)
        return jax.lax.scan(one_update, begun, updates)[1]

    fitness, noise = roll_out(jnp.arange(num_updates))

    @jax.jit
    def whole_lifetimes(update):
        now = state._replace(update=update)
        return jax.vmap(lambda pair: in_whole.unroll(now, pair, ((),))[2][:, 0])(pairs)

    whole_fitness = whole_lifetimes(jnp.array(1))  # of the second lifetime of each pair
    for pair in range(num_pairs):
        # Staggered: pair p starts its second lifetime at the first update u > 0 for which 4 divides u + p.
        start = 4 - pair
        np.testing.assert_allclose(fitness[start : start + 4, pair].mean(axis=0), whole_fitness[pair], rtol=1e-5)
        biases = noise["recurrent/gates"]["b"][:, pair]
        assert np.all(biases[start : start + 4] == biases[start]) and not np.array_equal(biases[0], biases[start])


# --- fitness -----------------------------------------------------------------------------------------------------


def fitness_of(evolution, rewards, expected_rewards=None, first_step=0, **known):
    """The fitness of the first member of a pair, each of whose lifetimes of the one entry earns these rewards."""
    nothing = Experience(*[None] * len(Experience._fields))
    experience = nothing._replace(reward=jnp.asarray(rewards), expected_reward=expected_rewards, **known)
    trajectory = Trajectory(None, experience, None, jnp.int32(first_step))
    alike = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, 3, *leaf.shape)), trajectory)
    return evolution.summarise((alike,))[0, 0]


@pytest.mark.parametrize(("fraction", "num_counted"), [(1.0, 10), (0.5, 5), (0.04, 1)])
def test_the_fitness_is_the_mean_reward_of_the_last_part_of_a_lifetime(fraction, num_counted):
    rewards = np.arange(10, dtype=np.float32)
    fitness = fitness_of(make(fitness_fraction=fraction), rewards)
    np.testing.assert_allclose(fitness, rewards[-num_counted:].mean(), rtol=1e-6)


@pytest.mark.parametrize("fraction", [1.0, 0.6, 0.1])
def test_a_fraction_is_one_of_the_lifetime_and_not_of_an_unroll(fraction):
    rewards = np.arange(10, dtype=np.float32) ** 2
    whole = fitness_of(make(fitness_fraction=fraction), rewards)
    unrolled = make(fitness_fraction=fraction, unroll_length=5)
    parts = [fitness_of(unrolled, rewards[first : first + 5], first_step=first) for first in (0, 5)]
    np.testing.assert_allclose(np.mean(parts), whole, rtol=1e-6)


def test_a_member_may_be_judged_by_what_its_policy_expects():
    evolution = make((BANDIT,), fitness="expected_reward")
    expected = jnp.array([0.0, 1.0, 1.0, 1.0] * 2)
    np.testing.assert_allclose(fitness_of(evolution, jnp.zeros(8), expected), 0.75)
    with pytest.raises(InputError, match=r"outer\.fitness=expected_reward"):
        make(fitness="expected_reward")


TAUGHT = NOWHERE._replace(inner_loop=NOWHERE.inner_loop._replace(knows_expected_advantages=True))


def test_a_member_may_be_judged_by_a_teacher_where_its_actions_count():
    evolution = make((TAUGHT,), fitness="expected_advantage")
    advantages = -jnp.arange(10, dtype=jnp.float32)
    ignored = jnp.zeros(10, bool).at[9].set(True)
    fitness = fitness_of(evolution, jnp.ones(10), expected_advantage=advantages, action_ignored=ignored)
    np.testing.assert_allclose(fitness, -4, rtol=1e-6)  # the mean of 0 to -8
    # An environment without a teacher goes on with the reward.
    np.testing.assert_allclose(fitness_of(evolution, jnp.ones(10)), 1)
    with pytest.raises(InputError, match=r"outer\.fitness=expected_advantage.*nowhere.*linear_control"):
        make(fitness="expected_advantage")


def test_a_fitness_may_be_half_the_first_fifth_and_half_the_last():
    rewards = np.arange(10, dtype=np.float32) ** 2
    evolution = make(fitness_weighting="first_and_last_fifth")
    expected = 0.5 * rewards[:2].mean() + 0.5 * rewards[-2:].mean()
    np.testing.assert_allclose(fitness_of(evolution, rewards), expected, rtol=1e-6)
    # Over the unrolls of a lifetime, it is the same.
    unrolled = make(fitness_weighting="first_and_last_fifth", unroll_length=5)
    parts = [fitness_of(unrolled, rewards[first : first + 5], first_step=first) for first in (0, 5)]
    np.testing.assert_allclose(np.mean(parts), expected, rtol=1e-6)

    taught = make((TAUGHT,), fitness="expected_advantage", fitness_weighting="first_and_last_fifth")
    known = {"expected_advantage": jnp.asarray(-rewards), "action_ignored": jnp.zeros(10, bool)}
    np.testing.assert_allclose(fitness_of(taught, np.zeros(10, np.float32), **known), -expected, rtol=1e-6)


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_parameters_that_are_named_evolve(rank):
    evolution = make(evolved=["bi"], noise_rank=rank, optimiser="adam")
    state = evolution.init(SETTINGS)
    fitness = jnp.asarray(np.random.default_rng(0).normal(size=(NUM_PAIRS, 2, 1)), jnp.float32)
    after, _ = updated(evolution, state, fitness)
    np.testing.assert_array_equal(after.meta_params["matrix"], state.meta_params["matrix"])
    assert (after.meta_params["bias"] != state.meta_params["bias"]).all()
    with pytest.raises(InputError, match=r"outer\.evolved=.*no parameter of θ begins with base_.*bias, matrix"):
        make(evolved=["matrix", "base_"])


def test_two_keys_that_weight_a_lifetime_are_refused():
    with pytest.raises(InputError, match=r"outer\.fitness_weighting=first_and_last_fifth and outer\.fitness_fraction"):
        make(fitness_weighting="first_and_last_fifth", fitness_fraction=0.5)


@pytest.mark.parametrize("entries", [(NOWHERE,), (NOWHERE, BANDIT)])
def test_unrolls_must_divide_lifetimes_of_one_length(entries):
    with pytest.raises(InputError, match=r"outer\.unroll_length=4"):
        make(entries, unroll_length=4)


def test_env_steps_of_an_update():
    assert make((BANDIT,)).env_steps_per_update == 2 * NUM_PAIRS * 2 * 8
    assert make((BANDIT,), unroll_length=4).env_steps_per_update == 2 * NUM_PAIRS * 2 * 4
    assert make((BANDIT, NOWHERE)).env_steps_per_update == 2 * NUM_PAIRS * (2 * 8 + 3 * 10)


def test_a_given_meta_params_is_where_evolution_starts():
    evolution = make()
    given = draw_meta_params(jax.random.key(99))
    jax.tree.map(np.testing.assert_array_equal, evolution.init(SETTINGS, given).meta_params, given)
    fresh, same, other = (
        ravel_pytree(evolution.init(SETTINGS._replace(seed=jnp.array(seed, jnp.uint32))).meta_params)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(fresh, same)
    assert not np.any(fresh == other)
