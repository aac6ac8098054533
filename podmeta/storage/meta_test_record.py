"""What the meta-tests of a job during training have shown so far. Nothing here needs JAX.

A checkpoint holds this record together with the θ that it names, so a resumed job knows both as they were.
"""

import dataclasses
from collections.abc import Sequence

BEST = "best"
"""What the θ with the best meta-test is called: in a checkpoint's tree, as a folder of a run, and by users."""


@dataclasses.dataclass(frozen=True)
class MetaTestRecord:
    """The best meta-tests of a job, and how long ago they were. Every list is by instance.

    Attributes:
      tests: what was tested on, as `podmeta.config.periodic_tests.describe_periodic_tests` says.
      scores: the best mean rewards per env step.
      updates: the updates of the θ that had them.
      meta_params_sha256: the digests of these θ.
      num_without_improvement: meta-tests in a row since then in which no instance improved; only those that early
        stopping counts.
    """

    tests: str
    scores: list[float]
    updates: list[int]
    meta_params_sha256: list[str]
    num_without_improvement: int = 0


def improved(record: MetaTestRecord | None, scores: Sequence[float]) -> list[bool]:
    """Which instances have a better meta-test than any before. The first is the best so far, whatever its score."""
    if record is None:
        return [True] * len(scores)
    return [score > best for score, best in zip(scores, record.scores, strict=True)]


def with_meta_test(
    record: MetaTestRecord | None,
    tests: str,
    update: int,
    scores: Sequence[float],
    digests: Sequence[str],
    counts: bool,
) -> MetaTestRecord:
    """The record after a further meta-test.

    Args:
      record: the record before it; None if it is the first.
      tests: what was tested on.
      update: updates done.
      scores: [num_instances] mean rewards per env step.
      digests: [num_instances] of the θ tested.
      counts: whether early stopping counts it, if it is no improvement.
    """
    if record is None:
        return MetaTestRecord(tests, list(scores), [update] * len(scores), list(digests))
    better = improved(record, scores)
    return MetaTestRecord(
        tests,
        [new if is_new else old for is_new, new, old in zip(better, scores, record.scores, strict=True)],
        [update if is_new else old for is_new, old in zip(better, record.updates, strict=True)],
        [new if is_new else old for is_new, new, old in zip(better, digests, record.meta_params_sha256, strict=True)],
        0 if any(better) or not counts else record.num_without_improvement + 1,
    )


def reason_to_stop(record: MetaTestRecord | None, stop_after: int) -> str:
    """Why a job stops before its last update, in words; "" if it does not.

    Args:
      record: of its meta-tests.
      stop_after: meta-tests in a row without improvement after which it stops; 0: never.
    """
    if record is None or stop_after == 0 or record.num_without_improvement < stop_after:
        return ""
    updates = ", ".join(f"{update:,}" for update in sorted(set(record.updates)))
    return (
        f"stopped early: {record.num_without_improvement} meta-tests in a row did not improve on the best θ, of update "
        f"{updates}"
    )
