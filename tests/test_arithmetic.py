"""podmeta in a program whose user has set JAX otherwise: it does what it does without."""

import contextlib

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs

import podmeta
from podmeta.architectures.anakin import Rollout
from podmeta.arithmetic import ARITHMETIC, own_arithmetic, use_own_arithmetic
from podmeta.config.schema import (
    ActorCriticConfig,
    BanditConfig,
    DistillationConfig,
    EvolutionConfig,
    GymnaxConfig,
    OnlineActorCriticConfig,
    OnlineReinforceConfig,
    OscillatorConfig,
    RandomMDPConfig,
    RecurrentConfig,
    ScheduleConfig,
    SymmetricConfig,
)
from podmeta.environments.bridge.as_dm_env import DmEnvAdapter
from podmeta.environments.registry import make_environment
from podmeta.inner_loop import build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import LearnerInput
from podmeta.learners.policies import make_policy
from podmeta.learners.registry import make_learner
from podmeta.outer.base import Entry, InstanceSettings
from podmeta.outer.evolution import Evolution
from podmeta.outer.registry import make_outer_loop
from podmeta.outer.shaping import SHAPINGS


@contextlib.contextmanager
def other_types():
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        stack.enter_context(jax.numpy_dtype_promotion("strict"))
        stack.enter_context(jax.numpy_rank_promotion("raise"))
        stack.enter_context(jax.default_prng_impl("rbg"))
        yield


@contextlib.contextmanager
def other_settings():
    with other_types(), jax.default_matmul_precision("bfloat16"):
        yield


def test_the_settings_hold_meanwhile():
    with other_settings():
        with own_arithmetic():
            assert {name: getattr(jax.config, name) for name in ARITHMETIC} == ARITHMETIC
            assert (jnp.arange(2) * 0.5).dtype == jnp.float32
        assert jnp.arange(2.0).dtype == jnp.float64


@pytest.mark.parametrize(("precision", "written"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH")])
def test_matrices_are_multiplied_as_exactly_as_the_config_says(precision, written):
    """CPUs ignore the precision, so the test reads what JAX tells the compiler."""

    def multiply(matrix):
        return matrix @ matrix

    try:
        use_own_arithmetic(precision)
        assert f"precision = [{written}, {written}]" in jax.jit(multiply).lower(jnp.eye(2)).as_text()
    finally:
        use_own_arithmetic()
    with jax.default_matmul_precision("bfloat16"), own_arithmetic():
        assert "precision = [HIGHEST, HIGHEST]" in jax.jit(multiply).lower(jnp.eye(2)).as_text()


def test_an_agent_acts_as_it_does_without():
    observations = specs.BoundedArray((3,), "float32", -1.0, 1.0)

    def actions():
        algorithm = podmeta.load_agent("symla-bandit")
        agent = algorithm.reset(observations, specs.DiscreteArray(3), seed=1)
        generator = np.random.default_rng(0)
        for step in range(20):
            kind = dm_env.StepType.FIRST if step == 0 else dm_env.StepType.MID
            reward = 0.0 if step == 0 else float(generator.normal())
            observation = generator.normal(size=3).astype(np.float32)
            yield int(agent.step(dm_env.TimeStep(kind, reward, 1.0, observation)))

    expected = list(actions())
    with other_settings():
        assert list(actions()) == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize(
    "config", [BanditConfig(num_arms=3), GymnaxConfig(id="CartPole-v1"), GymnaxConfig(id="Acrobot-v1")]
)
def test_an_environment_plays_as_it_does_without(config):
    def steps():
        environment = DmEnvAdapter(make_environment(config), seed=2)
        timesteps = [environment.reset(), *(environment.step(step % 2) for step in range(10))]
        return [(timestep.reward, timestep.discount, timestep.observation.tolist()) for timestep in timesteps]

    expected = steps()
    with other_settings():
        assert steps() == expected


OPTIONS = SymmetricConfig(
    hidden_size=3,
    message_size=2,
    state_noise=0.1,
    pair_inputs=True,
    pair_traces=[0.5],
    effect_inputs=True,
    policy_input=True,
    constant_observation=True,
    multiplicative_readout=True,
    critic=True,
    base="actor_critic",
    adaptive_base=True,
    scale_observations=True,
    normalise_rewards=True,
)
LEARNERS = {
    "symmetric with options": OPTIONS,
    "symmetric with layers": SymmetricConfig(hidden_size=3, message_size=2, hidden_layers=[2], activation="rational"),
    "lstm": RecurrentConfig(hidden_size=3, scale_rewards=True),
    "gru": RecurrentConfig(hidden_size=3, cell="gru"),
    "online_actor_critic": OnlineActorCriticConfig(),
    "online_reinforce": OnlineReinforceConfig(),
}


def assert_same_program(function, *arguments):
    """The same program is traced under other settings, and it computes with no number of 64 bits."""
    expected = str(jax.make_jaxpr(function)(*arguments))
    with other_types():
        assert str(jax.make_jaxpr(function)(*arguments)) == expected
    assert "f64" not in expected and "i64" not in expected


@pytest.mark.long
@pytest.mark.parametrize("name", list(LEARNERS))
@pytest.mark.parametrize("action_spec", [specs.DiscreteArray(3), specs.BoundedArray((3,), np.float32, -1.0, 1.0)])
def test_a_learner_computes_as_it_does_without(name, action_spec):
    policy = make_policy(action_spec)
    learner = make_learner(LEARNERS[name], (2,), policy.num_actions, policy.num_policy_channels)
    zero = jnp.zeros(())
    learner_input = LearnerInput(jnp.zeros(2), jnp.zeros(3), zero, zero)
    with other_types():
        meta_params = learner.init(make_key(0))
        state = learner.initial_state(meta_params, make_key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves((meta_params, state))} == {np.dtype(np.float32)}
    assert_same_program(learner.step, meta_params, state, learner_input)


ENVIRONMENTS = {
    "bandit": BanditConfig(num_arms=3, lifetime_length=4, reward_delay=1, padded_num_actions=4),
    "random_mdp": RandomMDPConfig(lifetime_length=4),
    "oscillator": OscillatorConfig(lifetime_length=4, permute_observations=True, observation_scale=[10.0]),
    "cartpole": GymnaxConfig(id="CartPole-v1", lifetime_length=4, failure_reward=True),
}


@pytest.mark.long
@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_an_inner_loop_computes_as_it_does_without(name):
    inner_loop = build_inner_loop(RecurrentConfig(hidden_size=3), ENVIRONMENTS[name])
    meta_params = inner_loop.init(make_key(0))
    assert_same_program(inner_loop.rollout, meta_params, make_key(1))
    with other_types():
        lifetime = inner_loop.reset(meta_params, make_key(1))
        shape = jax.eval_shape(lambda: inner_loop.unroll(meta_params, lifetime, 1)[0])
    assert jax.tree.map(lambda leaf: leaf.dtype, lifetime) == jax.tree.map(lambda leaf: leaf.dtype, shape)


FALLING = ScheduleConfig(name="cosine", warmup_updates=2)
OUTER_LOOPS = {
    "evolution": EvolutionConfig(population_size=4, lifetimes_per_member=1, learning_rate_schedule=FALLING),
    "evolution at low rank": EvolutionConfig(
        population_size=4,
        lifetimes_per_member=1,
        noise_rank=1,
        fitness_shaping="z_score",
        average_decay=0.5,
        weight_decay=0.1,
        unroll_length=2,
        fitness_fraction=0.5,
    ),
    "actor_critic": ActorCriticConfig(num_lifetimes=4, unroll_length=2, learning_rate_schedule=FALLING),
    "ppo": ActorCriticConfig(
        num_lifetimes=4, unroll_length=2, ppo_clip=0.2, num_epochs=2, num_minibatches=2, normalise_advantages=True
    ),
    "distillation": DistillationConfig(num_lifetimes=4, unroll_length=2),
}


class OwnOuterLoop(Evolution):
    """A user's outer loop, which knows nothing of podmeta's arithmetic."""

    def update(self, state, draws, summaries, axis_name):
        state, metrics = super().update(state, draws, summaries, axis_name)
        return state, metrics | {"half_the_sum": jnp.arange(self.num_slots).sum() * 0.5}


@pytest.mark.long
@pytest.mark.parametrize("name", [*OUTER_LOOPS, "the user's own"])
def test_an_outer_loop_computes_as_it_does_without(name):
    inner_loop = build_inner_loop(RecurrentConfig(hidden_size=3), ENVIRONMENTS["random_mdp"])
    stage = (Entry("e", inner_loop, 1, 1.0),), 10, 0
    if name in OUTER_LOOPS:
        outer_loop = make_outer_loop(OUTER_LOOPS[name], *stage)
    else:
        outer_loop = OwnOuterLoop(OUTER_LOOPS["evolution"], *stage)
    settings = InstanceSettings(jnp.uint32(0), jnp.float32(0.1), jnp.float32(0.1))
    slots = jnp.arange(outer_loop.num_slots)
    rollout = Rollout(outer_loop)

    def first_update(settings):
        state = outer_loop.init(settings)
        lifetimes = jax.vmap(rollout.init, in_axes=(None, 0))(state, slots)
        lifetimes, draws, summaries = jax.vmap(rollout.unroll, in_axes=(None, 0, 0))(state, slots, lifetimes)
        return state, outer_loop.update(state, draws, summaries, None)

    assert_same_program(first_update, settings)
    with other_types():
        before, (after, metrics) = jax.eval_shape(first_update, settings)
    assert before == after
    assert {leaf.dtype for leaf in jax.tree.leaves((after.meta_params, metrics))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shaping", list(SHAPINGS))
def test_fitnesses_are_shaped_alike(shaping):
    fitness = jnp.array([0.5, -1.0, 0.5, 3.0])
    expected = SHAPINGS[shaping](fitness)
    with other_types():
        shaped = SHAPINGS[shaping](fitness)
    np.testing.assert_array_equal(shaped, expected)
    assert shaped.dtype == fitness.dtype
