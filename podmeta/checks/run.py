"""Runs the checks of a machine."""

import importlib
import time
import traceback
from collections.abc import Callable, Sequence

import jax

from podmeta.checks.base import Figure, Measure, Result, Setting

_MIB = 2**20


def make_setting(deadline: float) -> Setting:
    """The setting for the devices of this process, which have been set up: smaller sizes on CPUs.

    Args:
      deadline: when the last measurement is to end, by `time.perf_counter`.
    """
    if jax.default_backend() == "cpu":
        return Setting(
            num_devices=jax.local_device_count(),
            matmul_precisions=("float32",),  # CPUs know no other
            num_updates=10,
            num_bytes=64 * _MIB,
            gemm_size=1024,
            lstm_updates=20_000,
            environments=(64, 1024, 256),
            instances=(1, 4, 16),
            deadline=deadline,
        )
    return Setting(
        num_devices=jax.local_device_count(),
        matmul_precisions=("float32", "tensorfloat32", "bfloat16"),
        num_updates=10,
        num_bytes=1024 * _MIB,
        gemm_size=8192,
        lstm_updates=1_000_000,
        environments=(64, 4096, 16384, 1024, 256),
        instances=(1, 16, 64, 4),
        deadline=deadline,
    )


def run_checks(names: Sequence[str], setting: Setting, tell: Callable[[str], None]) -> list[Result]:
    """Runs checks one after the other. One that fails does not keep the others from running.

    Args:
      names: their names, as in `CHECKS`.
      setting: what they are measured with.
      tell: shows the user a line.
    """
    results = []
    for name in names:
        tell(f"checking {name}")
        results.append(_run(name, setting, tell))
    return results


def _run(name: str, setting: Setting, tell: Callable[[str], None]) -> Result:
    measure: Measure = importlib.import_module(f"podmeta.checks.{name}").measure
    start, figures = time.perf_counter(), list[Figure]()
    if start >= setting.deadline:
        return Result(name, (), "there was no time left for it: give more minutes", 0.0)
    try:
        figures = measure(setting)
        problem = _problem(figures)
    except Exception as error:  # whatever a broken installation may raise
        tell(traceback.format_exc().rstrip())
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Result(name, tuple(figures), problem, time.perf_counter() - start)


def _problem(figures: Sequence[Figure]) -> str | None:
    """The figures outside their tolerances, in words."""
    wrong = [figure for figure in figures if not figure.holds]
    return "; ".join(map(describe, wrong)) if wrong else None


def describe(figure: Figure) -> str:
    """A figure in words."""
    setting = "".join(f", {key}={value}" for key, value in figure.setting.items())
    unit = "" if figure.unit == "1" else f" {figure.unit}"
    limit = "" if figure.at_most is None else f" (at most {figure.at_most:g})"
    return f"{figure.name}{setting}: {figure.value:,.4g}{unit}{limit}"
