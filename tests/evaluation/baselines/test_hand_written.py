"""Hand-written rules in a meta-test, and a learner whose LSTMs are silenced."""

import jax
import numpy as np
import pytest

from podmeta.config.schema import ContextualBanditConfig, SymmetricConfig
from podmeta.evaluation.baselines.contenders import BASE_ALONE, inner_loops
from podmeta.evaluation.baselines.hand_written import HAND_WRITTEN
from podmeta.evaluation.meta_test import meta_test, tabulate
from podmeta.evaluation.verdict import OVER_HAND_WRITTEN
from podmeta.inner_loop import build_inner_loop

ENVIRONMENT = ContextualBanditConfig(num_contexts=2, num_actions=2, lifetime_length=100)
SUM = SymmetricConfig(
    hidden_size=3,
    message_size=2,
    scale_observations=True,
    normalise_rewards=True,
    constant_observation=True,
    multiplicative_readout=True,
    base="actor_critic",
)


@pytest.fixture(scope="module")
def measured():
    meta_params = build_inner_loop(SUM, ENVIRONMENT).init(jax.random.key(0))
    return meta_test(meta_params, SUM, ENVIRONMENT, 32, 0, references=(*HAND_WRITTEN, BASE_ALONE))


@pytest.mark.long
def test_hand_written_rules_learn_where_they_are_compared(measured):
    for name in HAND_WRITTEN:
        rewards = measured[name].rewards
        assert rewards[:, -20:].mean() > rewards[:, :20].mean() + 0.05


def test_a_learner_without_its_lstms_is_the_rule_beneath(measured):
    alone, rule = (measured[name].rewards for name in (BASE_ALONE, "online_actor_critic_annealed"))
    assert np.mean(np.all(alone == rule, axis=1)) > 0.5  # but for what rounding may tip over
    assert np.any(measured["learner"].rewards != measured[BASE_ALONE].rewards)


def test_margins_over_hand_written_rules_are_among_the_rows(measured):
    rows = [row for row in tabulate("suite", {}, "environment", measured) if row.algorithm == "learner"]
    assert OVER_HAND_WRITTEN.keys() <= {row.metric for row in rows}


def test_a_learner_without_a_base_has_none_to_leave_alone():
    loops = inner_loops(None, SymmetricConfig(), ENVIRONMENT, (BASE_ALONE,))
    assert loops.keys() == {"learner", "random"}
