"""Q-learning with a table, against a plain form, and where it can live."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import (
    BanditConfig,
    GridWorldConfig,
    GymnasiumConfig,
    GymnaxConfig,
    ObjectGridWorldConfig,
    TabularMDPConfig,
)
from podmeta.evaluation.baselines.tabular_q import (
    DISCOUNT,
    EXPLORATION,
    STEP_SIZE,
    is_tabular,
    make_tabular_q,
    tabular_q_inner_loop,
)
from podmeta.evaluation.rollouts import make_rollout, outer_fifths
from podmeta.learners.base import LearnerInput


def plain_tables(observations, actions, rewards, starts):
    """The table after each time step, written with loops."""
    table = np.zeros((observations.shape[1] + 1, actions.max() + 1))
    states = [int(row.argmax()) if row.any() else len(row) for row in observations]
    tables = []
    for now in range(len(observations)):
        if now > 0 and not starts[now]:
            before, action = states[now - 1], actions[now - 1]
            target = rewards[now] + DISCOUNT * table[states[now]].max()
            table[before, action] += STEP_SIZE * (target - table[before, action])
        tables.append(table.copy())
    return states, tables


def test_it_is_the_plain_form_on_any_experience():
    generator = np.random.default_rng(0)
    num_steps, num_states, num_actions = 60, 4, 3
    observations = np.eye(num_states + 1, num_states)[generator.integers(num_states + 1, size=num_steps)]
    actions = generator.integers(num_actions, size=num_steps)
    actions[:num_actions] = np.arange(num_actions)
    rewards, starts = generator.normal(size=num_steps), generator.random(num_steps) < 0.2
    states, tables = plain_tables(observations, actions, rewards, starts)
    learner = make_tabular_q(num_states, num_actions)
    state, step = learner.initial_state(None, jax.random.key(0)), jax.jit(learner.step)
    for now in range(num_steps):
        before = np.zeros(num_actions) if now == 0 or starts[now] else np.eye(num_actions)[actions[now - 1]]
        shown = LearnerInput(observations[now], before, rewards[now], float(starts[now]))
        output, state = step(None, state, shown)
        np.testing.assert_allclose(state.values, tables[now], rtol=1e-4, atol=1e-5)
        policy = np.exp(output.policy[:, 0])
        row = tables[now][states[now]]
        best = np.isclose(row, row.max(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(policy[~best], EXPLORATION / num_actions, rtol=1e-4)
        assert policy.sum() == pytest.approx(1.0, rel=1e-4) and np.ptp(policy[best]) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TabularMDPConfig(), True),
        (GymnaxConfig(id="DeepSea-bsuite", options={"size": 5}, permute_observations=True), True),
        (GymnaxConfig(id="FrozenLake-misc", options={"is_slippery": False}), True),
        (GymnasiumConfig(id="CliffWalking-v1"), True),
        (GymnaxConfig(id="Catch-bsuite"), False),
        (GymnaxConfig(id="CartPole-v1"), False),
        (GymnaxConfig(id="Pendulum-v1"), False),
        (GridWorldConfig(), False),
        (ObjectGridWorldConfig(), False),
        (TabularMDPConfig(project_observations="orthonormal"), False),
        (BanditConfig(), False),
    ],
)
def test_it_lives_where_observations_are_one_hot(config, expected):
    assert is_tabular(config) == expected


def test_it_learns():
    config = GymnaxConfig(id="FrozenLake-misc", options={"is_slippery": False}, lifetime_length=2000)
    lifetimes = make_rollout(tabular_q_inner_loop(config))(None, jax.random.split(jax.random.key(0), 8))
    first, last = outer_fifths(lifetimes)
    assert last.mean() > first.mean() + 0.01
