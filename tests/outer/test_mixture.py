"""Several environments in one update: what each adds to it, by both outer loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from podmeta.architectures.anakin import Rollout
from podmeta.config.schema import (
    ActorCriticConfig,
    BanditConfig,
    ContextualBanditConfig,
    EvolutionConfig,
    SymmetricConfig,
)
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop
from podmeta.outer.actor_critic import make_actor_critic
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.evolution import make_evolution

SETTINGS = InstanceSettings(jnp.array(3, jnp.uint32), jnp.array(0.1), jnp.array(0.5))
LEARNER = SymmetricConfig(hidden_size=3, message_size=2)


def without_expectation(inner_loop):
    """The inner loop, in an environment that does not know the expected reward."""

    def unroll(*arguments):
        lifetime, experience = inner_loop.unroll(*arguments)
        return lifetime, experience._replace(expected_reward=None)

    return inner_loop._replace(unroll=unroll, knows_expected_reward=False)


# Of different sizes and lengths.
BANDIT = Entry("bandit", build_inner_loop(LEARNER, BanditConfig(num_arms=2, lifetime_length=8)), 2, 1.0)
CONTEXTUAL = Entry(
    "contextual",
    without_expectation(build_inner_loop(LEARNER, ContextualBanditConfig(num_contexts=3, lifetime_length=12))),
    lifetimes=1,
    weight=1.0,
)


def evolution(*entries, **options):
    config = EvolutionConfig(**{"population_size": 16, "optimiser": "sgd"} | options)
    return make_evolution(config, entries, 10)


def actor_critic(*entries):
    # Without clipping of the gradient, a step of sgd is linear in it.
    config = ActorCriticConfig(num_lifetimes=4, unroll_length=4, optimiser="sgd", max_gradient_norm=0.0)
    return make_actor_critic(config, entries, 10)


OUTER_LOOPS = pytest.mark.parametrize("outer_loop", [evolution, actor_critic])


@functools.cache
def compiled(outer_loop, entries, options):
    """(weights, pay) -> how far θ comes in one update, flat, and its metrics.

    What is judged in the last environment, though not what the learner sees, is `pay` times its reward.
    """

    def run(weights, pay):
        weighted = [entry._replace(weight=weight) for entry, weight in zip(entries, weights, strict=True)]
        loop = outer_loop(*weighted[:-1], paying(weighted[-1], pay), **dict(options))
        rollout, slots = Rollout(loop), jnp.arange(loop.num_slots)

        start = loop.init(SETTINGS)
        lifetimes = jax.vmap(rollout.init, in_axes=(None, 0))(start, slots)
        _, draws, summaries = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(start, slots, lifetimes)
        end, metrics = loop.update(start, draws, summaries, None)
        change = jax.tree.map(jnp.subtract, end.meta_params, start.meta_params)
        return ravel_pytree(change)[0], metrics

    return jax.jit(run).lower(tuple(jnp.ones(len(entries))), jnp.ones(())).compile()


def paying(entry, factor):
    def unroll(*arguments):
        lifetime, experience = entry.inner_loop.unroll(*arguments)
        return lifetime, experience._replace(reward=factor * experience.reward)

    return entry._replace(inner_loop=entry.inner_loop._replace(unroll=unroll))


def train(outer_loop, *entries, weights=(1.0, 1.0), pay=1.0, **options):
    run = compiled(outer_loop, entries, tuple(options.items()))
    return jax.tree.map(np.asarray, run(tuple(jnp.array(weight) for weight in weights), jnp.array(pay)))


@pytest.mark.long
@OUTER_LOOPS
def test_a_mixture_of_one_is_its_environment_whatever_the_weight(outer_loop):
    alone, alone_metrics = train(outer_loop, BANDIT, weights=[1.0])
    weighted, weighted_metrics = train(outer_loop, BANDIT, weights=[7.0])
    assert np.any(alone != 0)
    np.testing.assert_allclose(weighted, alone, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), weighted_metrics, alone_metrics)


@pytest.mark.long
@OUTER_LOOPS
def test_entries_add_up_by_weight(outer_loop):
    def change(*weights):
        return train(outer_loop, BANDIT, CONTEXTUAL, weights=weights)[0]

    of_bandit, of_contextual = change(1.0, 0.0), change(0.0, 1.0)
    assert np.linalg.norm(of_bandit - of_contextual) > 1e-4
    np.testing.assert_allclose(change(1.0, 3.0), 0.25 * of_bandit + 0.75 * of_contextual, atol=2e-6)
    np.testing.assert_allclose(change(2.0, 6.0), change(1.0, 3.0), atol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("shaping", ["centred_rank", "z_score"])
def test_a_large_scale_of_reward_drowns_no_other_environment(shaping):
    def change(pay, shaping):
        return train(evolution, BANDIT, CONTEXTUAL, pay=pay, fitness_shaping=shaping)

    unscaled, metrics = change(1.0, shaping)
    scaled, scaled_metrics = change(1024.0, shaping)  # a power of two, which changes no digit
    np.testing.assert_allclose(scaled, unscaled, atol=1e-6)
    np.testing.assert_allclose(
        scaled_metrics["fitness_mean/contextual"], 1024.0 * metrics["fitness_mean/contextual"], rtol=1e-4
    )
    assert np.linalg.norm(change(1024.0, "raw")[0]) > 10 * np.linalg.norm(change(1.0, "raw")[0])


@OUTER_LOOPS
def test_metrics_are_told_of_every_environment(outer_loop):
    def by_name(pay):
        metrics = train(outer_loop, BANDIT, CONTEXTUAL, weights=(1.0, 0.0), pay=pay)[1]
        return [metrics[f"fitness_mean/{name}"] for name in ("bandit", "contextual")]

    np.testing.assert_allclose(by_name(2.0), np.multiply(by_name(1.0), [1.0, 2.0]), rtol=1e-5)
    metrics = train(outer_loop, BANDIT, CONTEXTUAL, weights=(1.0, 3.0))[1]
    expected = np.average([metrics["fitness_mean/bandit"], metrics["fitness_mean/contextual"]], weights=[1, 3])
    np.testing.assert_allclose(metrics["fitness_mean"], expected, rtol=1e-5)


def test_env_steps_are_those_of_all_entries():
    assert evolution(BANDIT, CONTEXTUAL).env_steps_per_update == 16 * (2 * 8 + 12)
    assert actor_critic(BANDIT, CONTEXTUAL).env_steps_per_update == 4 * 4 * (2 + 1)


@pytest.mark.long
def test_the_expected_reward_holds_where_it_is_known():
    sampled, expected = (
        train(evolution, BANDIT, CONTEXTUAL, fitness=fitness, fitness_shaping="z_score", weights=(0.0, 1.0))[1]
        for fitness in ("reward", "expected_reward")
    )
    assert sampled["fitness_mean/contextual"] == expected["fitness_mean/contextual"]
    assert sampled["fitness_mean/bandit"] != expected["fitness_mean/bandit"]
    with pytest.raises(InputError, match="expected_reward needs an environment that knows it"):
        evolution(CONTEXTUAL, fitness="expected_reward")


@pytest.mark.parametrize("unroll_length", [0, 4])
def test_no_stage_of_evolution_uses_noise_or_lifetimes_of_another(unroll_length):
    first = make_evolution(EvolutionConfig(population_size=6), (BANDIT,), num_updates=5)
    second = make_evolution(
        EvolutionConfig(population_size=6, unroll_length=unroll_length), (BANDIT,), num_updates=5, first_update=5
    )

    def drawn(stage):
        def of(update, pair):
            state = stage.init(SETTINGS)._replace(update=update)
            return jax.random.key_data(stage.lifetime_keys(state, update, pair)[0]), stage.draw(state, pair)

        over_pairs = jax.vmap(of, in_axes=(None, 0))
        updates = jnp.arange(stage.first_update, stage.first_update + stage.num_updates)
        keys, noise = jax.jit(jax.vmap(over_pairs, in_axes=(0, None)))(updates, jnp.arange(3))
        flat_noise = np.concatenate([leaf.reshape(15, -1) for leaf in jax.tree.leaves(noise)], axis=1)
        return {row.tobytes() for row in np.asarray(keys).reshape(-1, 2)}, {row.tobytes() for row in flat_noise}

    for of_first, of_second in zip(drawn(first), drawn(second), strict=True):
        assert len(of_first) >= 15
        assert not of_first & of_second


def test_no_stage_of_actor_critic_has_lifetimes_of_another():
    def born(first_update):
        config = ActorCriticConfig(num_lifetimes=4, unroll_length=4)
        stage = make_actor_critic(config, (BANDIT, CONTEXTUAL), 5, first_update)
        by_slot = jax.vmap(stage.lifetime_keys, in_axes=(None, None, 0))
        by_entry = by_slot(stage.init(SETTINGS), jnp.array(first_update), jnp.arange(4))
        keys = np.concatenate([np.asarray(jax.random.key_data(entry)).reshape(-1, 2) for entry in by_entry])
        return {key.tobytes() for key in keys}

    assert len(born(0) | born(5)) == 2 * 4 * (2 + 1)
