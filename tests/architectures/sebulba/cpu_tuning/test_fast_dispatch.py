"""A program that JAX does not know to have effects does what it did."""

import jax
import numpy as np

from podmeta.architectures.sebulba.cpu_tuning.fast_dispatch import quickly_called
from podmeta.environments.host.envpool_adapter import EnvpoolEnvironments

NUM, STEPS = 3, 40


def test_a_pool_is_stepped_as_often_as_before_and_jax_knows_nothing_of_it():
    lived = []
    for is_quick in (False, True):
        environment = EnvpoolEnvironments("CartPole-v1", "obs", {}, NUM)
        timestep = environment.reset(np.ones(NUM, bool), np.arange(NUM, dtype=np.uint32))
        step = environment.compiled_step().step
        actions = np.ones((STEPS, NUM), np.int32)

        def steps(timestep, step=step, actions=actions):
            return jax.lax.scan(lambda last, each: (step(last, each),) * 2, timestep, actions)

        assert jax.make_jaxpr(steps)(timestep).effects
        program = quickly_called(steps, (timestep,), donate_argnums=()) if is_quick else jax.jit(steps)
        lived.append(jax.device_get([program(timestep)[1] for _ in range(2)]))
    assert not jax.make_jaxpr(program)(timestep).effects
    jax.tree.map(np.testing.assert_array_equal, *lived)
    first, second = lived[0]
    assert (first.observation != second.observation).any()
