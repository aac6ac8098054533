"""Distillation: the divergence against scipy, the gradient against finite differences, and what it teaches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.flatten_util import ravel_pytree

from podmeta.architectures.anakin import Rollout
from podmeta.config.schema import BanditConfig, DistillationConfig, SymmetricConfig
from podmeta.environments.jax.bandit import Bandit
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop, make_inner_loop
from podmeta.learners.policies import make_policy
from podmeta.learners.registry import make_learner
from podmeta.learners.symmetric import without_lstms
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.distillation import make_distillation, teacher_divergence

SETTINGS = InstanceSettings(jnp.array(0, jnp.uint32), jnp.array(0.02), jnp.array(0.0))
LEARNER = SymmetricConfig(hidden_size=4, message_size=2)
CONFIG = DistillationConfig(num_lifetimes=16, unroll_length=10, learning_rate=0.02)
LIFETIME_LENGTH = 20

logits = hnp.arrays(np.float32, (3,), elements=st.floats(-5, 5, width=32))


class TaughtBandit(Bandit):
    """A bandit whose teacher knows the arms."""

    def expected_advantages(self, task, state):
        rewards = self.expected_rewards(task, state)
        return (rewards - jnp.max(rewards)) / jnp.maximum(jnp.max(rewards) - jnp.mean(rewards), 1e-3)


def make(config=CONFIG, learner_config=LEARNER):
    environment = TaughtBandit(num_arms=3)
    policy = make_policy(environment.action_spec())
    learner = make_learner(learner_config, environment.observation_spec().shape, policy.num_actions, 1)
    inner_loop = make_inner_loop(environment, learner, policy, LIFETIME_LENGTH)
    return make_distillation(config, (Entry("taught", inner_loop, 1, 1.0),), num_updates=100)


def one_update(distillation, state, lifetimes):
    rollout, slots = Rollout(distillation), jnp.arange(distillation.num_slots)
    lifetimes, draws, trajectories = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(state, slots, lifetimes)
    state, metrics = distillation.update(state, draws, trajectories, None)
    return state, lifetimes, metrics, trajectories


def begin(distillation):
    state = distillation.init(SETTINGS)
    slots = jnp.arange(distillation.num_slots)
    return state, jax.vmap(Rollout(distillation).init, in_axes=(None, 0))(state, slots)


@given(logits, logits, st.floats(0.5, 8))
def test_the_divergence_is_that_of_scipy(learner, advantages, sharpness):
    actual = teacher_divergence(jax.nn.log_softmax(learner), jnp.asarray(advantages), sharpness)
    expected = scipy.special.rel_entr(
        scipy.special.softmax(np.float64(sharpness * advantages)), scipy.special.softmax(np.float64(learner))
    ).sum()
    np.testing.assert_allclose(actual, expected, atol=1e-3, rtol=1e-3)


@given(logits)
def test_a_learner_that_is_its_teacher_has_no_loss(advantages):
    log_probs = jax.nn.log_softmax(4.0 * advantages)
    np.testing.assert_allclose(teacher_divergence(log_probs, jnp.asarray(advantages), 4.0), 0.0, atol=1e-5)


@pytest.mark.long
def test_the_gradient_is_that_of_finite_differences():
    distillation = make(dataclasses.replace(CONFIG, optimiser="sgd", max_gradient_norm=0.0))
    state, lifetimes = begin(distillation)
    after, _, metrics, trajectories = jax.jit(lambda *arguments: one_update(distillation, *arguments))(state, lifetimes)
    flat, unravel = ravel_pytree(state.meta_params)
    gradient = (flat - ravel_pytree(after.meta_params)[0]) / SETTINGS.learning_rate

    @jax.jit
    def loss(flat):
        return distillation._entry_metrics(distillation.entries[0], unravel(flat), trajectories[0])["distillation_loss"]

    np.testing.assert_allclose(loss(flat), metrics["distillation_loss"], rtol=1e-5)
    direction = gradient / jnp.linalg.norm(gradient)
    slope = (loss(flat + 0.01 * direction) - loss(flat - 0.01 * direction)) / 0.02
    np.testing.assert_allclose(slope, jnp.linalg.norm(gradient), rtol=0.05)


@pytest.mark.long
@pytest.mark.parametrize("without_base", [False, True])
def test_a_silent_learner_without_its_base_imitates_as_a_uniform_policy_does(without_base):
    config = dataclasses.replace(CONFIG, without_base=without_base)
    learner = dataclasses.replace(LEARNER, pair_inputs=True, multiplicative_readout=True, base="actor_critic")
    distillation = make(config, learner)
    state, lifetimes = begin(distillation)
    state = state._replace(meta_params=without_lstms(state.meta_params))
    unroll = jax.jit(lambda *arguments: one_update(distillation, *arguments))
    _, lifetimes, _, _ = unroll(state, lifetimes)
    _, _, metrics, trajectories = unroll(state, lifetimes)  # by now the base is no longer uniform

    advantages = trajectories[0].experience.expected_advantages
    acted = 1.0 - trajectories[0].experience.action_ignored
    uniform = teacher_divergence(jnp.full(advantages.shape, -jnp.log(3.0)), advantages, config.sharpness)
    expected = jnp.sum(acted * uniform) / jnp.sum(acted)
    assert (abs(metrics["distillation_loss"] - expected) < 1e-4) == without_base


@pytest.mark.long
def test_it_teaches_a_learner_to_learn():
    distillation = make()

    def update(carry, _):
        state, lifetimes, metrics, _ = one_update(distillation, *carry)
        return (state, lifetimes), metrics

    @jax.jit
    def train():
        return jax.lax.scan(update, begin(distillation), length=150)[1]

    metrics = train()
    assert metrics["distillation_loss"][-20:].mean() < 0.8 * metrics["distillation_loss"][:20].mean()
    assert metrics["fitness_mean"][-20:].mean() > metrics["fitness_mean"][:20].mean() + 0.15


def test_without_a_base_there_is_none_to_leave_out():
    distillation = make(dataclasses.replace(CONFIG, without_base=True))
    state, lifetimes = begin(distillation)
    with pytest.raises(InputError, match=r"needs a learner with a base: set learner\.base=actor_critic"):
        jax.eval_shape(lambda *arguments: one_update(distillation, *arguments), state, lifetimes)


def test_an_environment_without_a_teacher_is_refused():
    inner_loop = build_inner_loop(LEARNER, BanditConfig(num_arms=3, lifetime_length=20))
    with pytest.raises(InputError, match="needs a teacher, and plain does not know"):
        make_distillation(CONFIG, (Entry("plain", inner_loop, 1, 1.0),), num_updates=1)


def test_a_gradient_that_is_not_finite_changes_nothing():
    distillation = make()
    state, lifetimes = begin(distillation)
    _, _, _, trajectories = jax.jit(lambda *arguments: one_update(distillation, *arguments))(state, lifetimes)
    experience = trajectories[0].experience
    broken = experience._replace(expected_advantages=experience.expected_advantages.at[0].set(jnp.nan))
    update = jax.jit(lambda state, trajectories: distillation.update(state, (), trajectories, None)[0])
    state = update(state, trajectories)  # so that the optimiser has momentum
    after = update(state, (trajectories[0]._replace(experience=broken),))
    kept = [(each.meta_params, each.optimiser_state) for each in (state, after)]
    for before_leaf, after_leaf in zip(*map(jax.tree.leaves, kept), strict=True):
        np.testing.assert_array_equal(before_leaf, after_leaf)
