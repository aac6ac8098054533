"""What limits a machine, in words, from the figures of its throughput."""

from collections.abc import Iterable, Mapping, Sequence

from podmeta.checks.base import Figure
from podmeta.checks.throughput import ENV_STEPS, GEMM_FRACTION, MEMORY_FRACTION

_STILL_GROWS = 0.5  # of the growth of the number of environments
_SATURATED = 0.8  # of the highest rate
_AT_ITS_LIMIT = 0.5  # of the device's own rate


def limit_in_words(figures: Sequence[Figure]) -> str | None:
    """A sentence on what limits the throughput: launches, memory or arithmetic. None if too little was measured.

    If a job does nearly as many env steps per second for each environment when there are more of them, its devices wait
    for launches. Elsewhere the symmetric learner's step says whether memory or arithmetic is the limit.
    """
    by_job = {job: rates for job, rates in _curves(figures).items() if len(rates) > 1}
    if not by_job:
        return None
    waiting = [job for job, rates in by_job.items() if _still_grows(rates)]
    saturated = {job: _saturates_at(rates) for job, rates in by_job.items() if job not in waiting}
    parts = []
    if waiting:
        most = max(max(by_job[job]) for job in waiting)
        parts.append(f"launches limit {_listed(waiting)} up to {most:,} environments")
    if saturated:
        at = _listed(f"{job} from {size:,} environments on" for job, size in saturated.items())
        parts.append(f"{_ceiling(figures)} {at}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _curves(figures: Iterable[Figure]) -> dict[str, dict[int, float]]:
    """By job and number of environments, env steps per second of one meta-learner."""
    curves: dict[str, dict[int, float]] = {}
    for figure in figures:
        if figure.name == ENV_STEPS and figure.setting["instances"] == 1:
            curves.setdefault(figure.setting["job"], {})[figure.setting["environments"]] = figure.value
    return curves


def _still_grows(rates: Mapping[int, float]) -> bool:
    """Whether the rate grows with the environments up to the largest number of them."""
    *_, fewer, most = sorted(rates)
    return rates[most] / rates[fewer] > 1 + _STILL_GROWS * (most / fewer - 1)


def _saturates_at(rates: Mapping[int, float]) -> int:
    """The smallest number of environments with nearly the highest rate."""
    return min(size for size, rate in rates.items() if rate >= _SATURATED * max(rates.values()))


def _ceiling(figures: Sequence[Figure]) -> str:
    """What the symmetric learner's step comes up against, with its verb."""
    gemm, memory = (
        max((figure.value for figure in figures if figure.name == name), default=0.0)
        for name in (GEMM_FRACTION, MEMORY_FRACTION)
    )
    reached = f"the symmetric learner reaches {memory:.0%} of the memory's rate and {gemm:.0%} of the GEMM rate"
    if memory >= max(gemm, _AT_ITS_LIMIT):
        return f"memory ({reached}) limits"
    if gemm >= _AT_ITS_LIMIT:
        return f"arithmetic, that of matrix products ({reached}), limits"
    return f"arithmetic, mostly outside of matrix products ({reached}), limits"


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
