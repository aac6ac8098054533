"""Verdicts counted over a suite."""

from hypothesis import given
from hypothesis import strategies as st

from podmeta.evaluation.counts import Comparison, count_verdicts, counts_in_lines
from podmeta.storage.run_files import EvaluationRow

SIDES = {"better": (0.1, 0.3), "same": (-0.1, 0.1), "worse": (-0.3, -0.1)}
EARLY, LATE = "first_fifth_over_hand_written", "last_fifth_over_hand_written"


def row(index, metric, low, high, algorithm="learner"):
    return EvaluationRow("suite", "gymnax", {"number": index}, algorithm, metric, (low + high) / 2, low, high, 5)


def setting(index, learns, margins):
    """The rows of a setting, with those of an opponent among them, which do not count."""
    rows = [row(index, metric, *SIDES[side]) for metric, side in margins.items()]
    return [row(index, "learns_from_reward", learns, learns), *rows, row(index, EARLY, 1, 2, algorithm="random")]


def test_only_what_is_learned_early_counts_as_better_early():
    rewarded = "first_fifth_over_rewards_zeroed"
    rows = [
        *setting(0, 1.0, {EARLY: "better", LATE: "worse", rewarded: "better"}),
        *setting(1, 0.0, {EARLY: "better", LATE: "better", rewarded: "same"}),
        *setting(2, 1.0, {EARLY: "worse", LATE: "same", rewarded: "better", "last_fifth_over_lstms_zeroed": "better"}),
        *setting(3, 0.0, {}),
    ]
    counts = count_verdicts(rows)
    assert (counts.learns, counts.judged) == (2, 4)
    assert counts.hand_written == [Comparison("early", 1, 1, 1, 3), Comparison("late", 1, 1, 0, 3)]
    assert counts.base == [Comparison("early", 0, 0, 0, 0), Comparison("late", 1, 0, 0, 1)]
    assert counts_in_lines(counts) == [
        "learns from reward: 2 of 4 settings",
        "against its base alone, late: better in 1, worse in 0 of 1 settings",
        "against hand-written rules, early: better in 1 (1 more are as good with rewards zeroed), worse in 1 of 3 "
        "settings",
        "against hand-written rules, late: better in 1, worse in 1 of 3 settings",
    ]


@given(st.lists(st.sampled_from(sorted(SIDES)), max_size=8))
def test_every_setting_is_better_worse_or_neither(sides):
    rows = [each for index, side in enumerate(sides) for each in setting(index, 1.0, {LATE: side})]
    late = count_verdicts(rows).hand_written[1]
    assert late == Comparison("late", sides.count("better"), sides.count("worse"), 0, len(sides))


def test_nothing_tested_has_no_lines():
    assert counts_in_lines(count_verdicts([row(0, "return", 0, 1)])) == []
