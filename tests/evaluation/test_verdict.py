"""The rule of "learns from reward": which margins it looks at, and that it pairs by task."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.evaluation.meta_test import tabulate
from podmeta.evaluation.rollouts import Lifetimes
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.verdict import (
    FURTHER_MARGINS,
    MARGINS,
    judge,
    margins_in_words,
    over_hand_written,
    verdict_in_words,
)

NUM_TASKS, LENGTH = 20, 10
ZEROED = ("rewards_zeroed", "rewards_and_episode_starts_zeroed")


def lifetimes(rewards):
    never = np.zeros_like(rewards)
    return Lifetimes(rewards, never, never, None)


def measured(ends, seed=0, spread=0.01):
    """Rewards that go from one value to another, by algorithm; tasks differ by much more than algorithms do."""
    generator = np.random.default_rng(seed)
    task = 100 * generator.normal(size=(NUM_TASKS, 1))
    return {
        name: lifetimes(task + np.linspace(first, last, LENGTH) + spread * generator.normal(size=(NUM_TASKS, LENGTH)))
        for name, (first, last) in ends.items()
    }


def learner_rows(tested):
    rows = tabulate("suite", {}, "environment", tested)
    return {row.metric: row for row in rows if row.algorithm == "learner"}


LEARNS = {"learner": (0, 3), "random": (0, 0), "rewards_zeroed": (0, 1), "rewards_and_episode_starts_zeroed": (0, 1)}


def test_a_learner_that_beats_all_learns_from_reward_however_far_tasks_lie_apart():
    rows = learner_rows(measured(LEARNS))
    assert rows[LEARNS_FROM_REWARD].mean == 1
    assert rows["reward_last_fifth"].high - rows["reward_last_fifth"].low > 20  # unpaired, nothing would be told
    assert verdict_in_words({name: row.low for name, row in rows.items()}) == "yes"


@pytest.mark.parametrize(
    ("changed", "short_of"),
    [
        ({"random": (-4, 0)}, ["gain_over_random"]),  # rewards drift upwards for every policy
        ({"random": (5, 5)}, ["last_fifth_over_random"]),
        ({"rewards_zeroed": (0, 3)}, ["last_fifth_over_rewards_zeroed"]),
        ({"rewards_and_episode_starts_zeroed": (0, 3)}, ["last_fifth_over_rewards_and_episode_starts_zeroed"]),
        ({"learner": (0, -1)}, list(MARGINS)),
    ],
)
def test_one_margin_that_is_not_above_zero_is_enough_for_no(changed, short_of):
    # Of equal means, a paired interval lies above 0 for one seed in forty.
    verdicts = [judge(measured(LEARNS | changed, seed)) for seed in range(20)]
    assert sum(verdict.learns for verdict in verdicts) <= 4
    lows = {name: margin.low for name, margin in verdicts[0].margins.items()}
    assert [name for name in MARGINS if lows[name] <= 0] == short_of
    words = verdict_in_words(lows)
    assert words.startswith("no (") and all(MARGINS[name] in words for name in short_of)


@pytest.mark.parametrize("missing", LEARNS)
def test_without_all_controls_there_is_no_verdict(missing):
    tested = {name: each for name, each in measured(LEARNS).items() if name != missing}
    assert judge(tested) is None
    rows = learner_rows(tested)
    assert LEARNS_FROM_REWARD not in rows
    assert verdict_in_words({name: row.low for name, row in rows.items()}) == "not tested"


@given(st.dictionaries(st.sampled_from(sorted(MARGINS)), st.floats(-1, 1), min_size=len(MARGINS)))
def test_words_and_number_agree(lows):
    assert (verdict_in_words(lows) == "yes") == all(low > 0 for low in lows.values())


@given(seed=st.integers(0, 2**32 - 1))
def test_margins_are_differences_by_task(seed):
    generator = np.random.default_rng(seed)
    tested = {name: lifetimes(generator.normal(size=(5, 7))) for name in LEARNS}
    margins = judge(tested).margins
    assert list(margins) == list(MARGINS)
    last = {name: each.rewards[:, -1] for name, each in tested.items()}  # a fifth of 7 env steps is 1
    gain = {name: each.rewards[:, -1] - each.rewards[:, 0] for name, each in tested.items()}
    assert margins["gain_over_random"].mean == pytest.approx(np.mean(gain["learner"] - gain["random"]))
    for name in ("random", *ZEROED):
        assert margins[f"last_fifth_over_{name}"].mean == pytest.approx(np.mean(last["learner"] - last[name]))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, None),
        ({"online_reinforce": (-2, 1)}, "better early, better late"),
        ({"online_reinforce": (-2, 1), "online_actor_critic": (-3, 5)}, "better early, worse late"),
        ({"online_reinforce": (0, 3), "online_actor_critic": (-3, 1)}, "no different early, no different late"),
    ],
)
def test_the_best_hand_written_rule_of_each_fifth_is_the_opponent(rules, words):
    rows = learner_rows(measured(LEARNS | rules))
    lines = margins_in_words({name: (row.low, row.high) for name, row in rows.items()})
    assert lines == ([] if words is None else [f"against the best hand-written rule: {words}"])


def test_alternation_and_zeroed_observations_count_where_they_were_tested():
    better, as_good = (0, 1), (0, 3)
    further = LEARNS | {"alternation": better, "observations_zeroed": better}
    assert judge(measured(further)).learns
    assert list(judge(measured(further)).margins) == [*MARGINS, *FURTHER_MARGINS]
    for name in ("alternation", "observations_zeroed"):
        verdicts = [judge(measured(further | {name: as_good}, seed)) for seed in range(20)]
        assert sum(verdict.learns for verdict in verdicts) <= 4
        lows = {metric: margin.low for metric, margin in verdicts[0].margins.items()}
        assert FURTHER_MARGINS[f"last_fifth_over_{name}"] in verdict_in_words(lows)
    blind = measured(further | {"observations_zeroed": as_good})
    assert judge(blind, observations_matter=False).learns


def test_early_advantages_that_are_there_without_rewards_are_called_innate():
    rows = learner_rows(measured({"learner": (2, 3), "rewards_zeroed": (2.2, 1), "lstms_zeroed": (0, 4)}))
    lines = margins_in_words({name: (row.low, row.high) for name, row in rows.items()})
    assert lines == [
        "against its base alone: better early, worse late",
        "what it earns early is innate: it earns as much with rewards zeroed",
    ]
    earlier = learner_rows(measured({"learner": (2, 3), "rewards_zeroed": (0, 1), "lstms_zeroed": (0, 4)}))
    lines = margins_in_words({name: (row.low, row.high) for name, row in earlier.items()})
    assert lines == ["against its base alone: better early, worse late"]


@given(seed=st.integers(0, 2**32 - 1))
def test_margins_over_hand_written_rules_are_differences_by_task(seed):
    generator = np.random.default_rng(seed)
    names = ("learner", "online_reinforce", "online_actor_critic")
    tested = {name: lifetimes(generator.normal(size=(5, 7))) for name in names}
    margins = over_hand_written(tested)
    for column, metric in ((0, "first_fifth_over_hand_written"), (-1, "last_fifth_over_hand_written")):
        earned = {name: each.rewards[:, column] for name, each in tested.items()}
        best = max(("online_reinforce", "online_actor_critic"), key=lambda name: earned[name].mean())
        assert margins[metric].mean == pytest.approx(np.mean(earned["learner"] - earned[best]))
