"""`podmeta check sebulba`: actors and a learner on the first device reach the CPU's values."""

import jax

from podmeta.architectures.session import Advance
from podmeta.checks.base import Figure, Setting
from podmeta.checks.reference import compare, reference_job
from podmeta.config.schema import JobConfig
from podmeta.config.stages import stages_of
from podmeta.training.build import build_program, instance_settings
from podmeta.training.sessions import open_session


def measure(setting: Setting) -> list[Figure]:
    """Compares some updates in which actors and learner alternate, and says where the time went."""
    advance = run_sebulba(reference_job("sebulba"), setting.num_updates)
    shares = {name: value for name, value in advance.process_metrics.items() if name.endswith("_share")}
    return [
        *compare("sebulba", advance.metrics, "float32"),
        *(Figure(name, value, setting={"job": "sebulba"}) for name, value in sorted(shares.items())),
    ]


def run_sebulba(job: JobConfig, num_updates: int) -> Advance:
    """The first updates of a job on Sebulba. Its first device acts and learns.

    Raises:
      SessionError: an actor or the learner failed.
    """
    program = build_program(job, jax.local_device_count())
    state = jax.device_get(jax.jit(program.init)(instance_settings(job)))
    (stage,) = stages_of(job)
    session = open_session(job, stage, program, state)
    try:
        return session.advance(num_updates, lambda: False)
    finally:
        session.close()
