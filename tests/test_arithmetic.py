"""Agents and environments in a program whose user has set JAX otherwise: they do what they do without."""

import contextlib

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs

import podmeta
from podmeta.arithmetic import ARITHMETIC, own_arithmetic, use_own_arithmetic
from podmeta.config.schema import BanditConfig, GymnaxConfig
from podmeta.environments.bridge.as_dm_env import DmEnvAdapter
from podmeta.environments.registry import make_environment


@contextlib.contextmanager
def other_settings():
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        stack.enter_context(jax.numpy_dtype_promotion("strict"))
        stack.enter_context(jax.numpy_rank_promotion("raise"))
        stack.enter_context(jax.default_prng_impl("rbg"))
        stack.enter_context(jax.default_matmul_precision("bfloat16"))
        yield


def test_the_settings_hold_meanwhile():
    with other_settings():
        with own_arithmetic():
            assert {name: getattr(jax.config, name) for name in ARITHMETIC} == ARITHMETIC
            assert (jnp.arange(2) * 0.5).dtype == jnp.float32
        assert jnp.arange(2.0).dtype == jnp.float64


@pytest.mark.parametrize(("precision", "written"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH")])
def test_matrices_are_multiplied_as_exactly_as_the_config_says(precision, written):
    """CPUs do not care, so what the compiler is told is looked at."""

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
