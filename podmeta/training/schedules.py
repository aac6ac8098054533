"""The effect on schedules if a run is trained for longer than planned."""

import contextlib
import math
from pathlib import Path

import jax.numpy as jnp

from podmeta.config.compose import job_from_yaml
from podmeta.config.schema import JobConfig, ScheduleConfig
from podmeta.errors import InputError
from podmeta.outer.optimisers import make_schedule_factor

_RATES = {"learning_rate_schedule": "learning_rate", "noise_std_schedule": "noise_std"}


def earlier_job(run_path: Path) -> JobConfig | None:
    """The job that a run directory was last used for; None if there is none, or its config cannot be read."""
    with contextlib.suppress(InputError):
        return job_from_yaml(run_path / "config.yaml", [])
    return None


def schedule_changes(earlier: JobConfig, job: JobConfig, update: int) -> list[str]:
    """One line for every schedule that differs from that of the earlier job.

    The schedules of stages run over the updates of their stage, which do not change if a run is trained further.

    Args:
      earlier: the job that did the first updates.
      job: the same job with another `num_updates`.
      update: updates done.
    """
    if job.stages or not 0 < update < job.num_updates:
        return []
    lines = []
    for key, rate in _RATES.items():
        if not hasattr(job.outer, key) or not hasattr(earlier.outer, key):
            continue
        was, now = getattr(earlier.outer, key), getattr(job.outer, key)
        before, expected = (_factor(was, earlier, index) for index in (update - 1, update))
        after = _factor(now, job, update)
        if not math.isclose(expected, after, rel_tol=1e-5):
            length = was.num_updates or earlier.num_updates
            lines.append(
                f"outer.{key} runs over {now.num_updates or job.num_updates:,} updates now, not {length:,}: "
                f"outer.{rate} is multiplied by {after:.4g} from here on, after {before:.4g} in update {update:,}; "
                f"outer.{key}.num_updates={length} keeps the earlier schedule"
            )
    return lines


def _factor(schedule: ScheduleConfig, job: JobConfig, index: int) -> float:
    return float(make_schedule_factor(schedule, job.num_updates)(jnp.asarray(index)))
