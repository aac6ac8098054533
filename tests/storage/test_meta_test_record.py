"""The record of meta-tests during training, against a plain count over all of them."""

from hypothesis import given
from hypothesis import strategies as st

from podmeta.storage.meta_test_record import MetaTestRecord, reason_to_stop, with_meta_test

SCORES = st.floats(-3, 3).map(lambda score: round(score, 1))


def record_of(scores_by_test, counts_from=0):
    record = None
    for number, scores in enumerate(scores_by_test):
        digests = [f"{number}.{instance}" for instance in range(len(scores))]
        record = with_meta_test(record, "tests", 10 * number, scores, digests, counts=number >= counts_from)
    return record


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(SCORES, min_size=n, max_size=n), min_size=1)))
def test_the_best_is_the_first_with_the_highest_score_by_instance(scores_by_test):
    record = record_of(scores_by_test)
    first = []
    for instance, scores in enumerate(zip(*scores_by_test, strict=True)):
        first.append(scores.index(max(scores)))
        assert record.scores[instance] == max(scores)
        assert record.updates[instance] == 10 * first[-1]
        assert record.meta_params_sha256[instance] == f"{first[-1]}.{instance}"
    assert record.num_without_improvement == len(scores_by_test) - 1 - max(first)


@given(st.lists(SCORES, min_size=1), st.integers(0, 5))
def test_only_meta_tests_that_count_stop_a_job(scores, counts_from):
    record = record_of([[score] for score in scores], counts_from)
    since_best = len(scores) - 1 - scores.index(max(scores))
    assert record.num_without_improvement == min(since_best, max(0, len(scores) - counts_from))


def test_a_job_stops_after_that_many_and_says_which_was_the_best():
    record = MetaTestRecord("tests", [1.0, 2.0], [1200, 30], ["a", "b"], num_without_improvement=3)
    assert reason_to_stop(record, 3) == (
        "stopped early: 3 meta-tests in a row did not improve on the best θ, of update 30, 1,200"
    )
    assert reason_to_stop(record, 2)
    assert reason_to_stop(record, 4) == reason_to_stop(record, 0) == reason_to_stop(None, 1) == ""
