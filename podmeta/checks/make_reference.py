"""Makes the values of `reference.json` on this machine's CPU: python -m podmeta.checks.make_reference"""

import json
from pathlib import Path

import jax

from podmeta.benchmarks.anakin import compile_updates
from podmeta.checks.reference import JOBS, NUM_UPDATES, REFERENCE, kept_metrics, reference_job
from podmeta.checks.sebulba import run_sebulba
from podmeta.checks.updates import host_results
from podmeta.config.schema import AnakinConfig
from podmeta.distributed.devices import set_up_devices


def main() -> None:
    """Writes the file beside this module."""
    jax.config.update("jax_platforms", "cpu")
    set_up_devices(1)
    metrics = {name: _metrics(name) for name in JOBS}
    content = {"command": "python -m podmeta.checks.make_reference", "jax": jax.__version__, "metrics": metrics}
    path = Path(__file__).with_name(REFERENCE)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _metrics(name: str) -> dict[str, list[float]]:
    job = reference_job(name)
    if not isinstance(job.architecture, AnakinConfig):
        return kept_metrics(run_sebulba(job, NUM_UPDATES).metrics)
    return kept_metrics(host_results(compile_updates(job, 1, NUM_UPDATES))[1])


if __name__ == "__main__":
    main()
