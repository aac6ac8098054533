"""Opens the session of a stage, by the architecture of its program."""

from collections.abc import Callable
from typing import Any

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import AnakinSession
from podmeta.architectures.base import TrainingState
from podmeta.architectures.sebulba.functions import Sebulba
from podmeta.architectures.sebulba.layout import make_layout
from podmeta.architectures.sebulba.session import SebulbaSession
from podmeta.architectures.session import Session
from podmeta.config.schema import JobConfig, SebulbaConfig
from podmeta.config.stages import Stage, environments_of
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.registry import lives_on_host, make_host_environment
from podmeta.training.build import Program


def open_session(job: JobConfig, stage: Stage, program: Program, state: TrainingState) -> Session:
    """Begins a stage, or goes on with it, on the job's architecture."""
    return _SESSIONS[type(program)](job, stage, program, state)


def _open_anakin(job: JobConfig, stage: Stage, program: Anakin, state: TrainingState) -> Session:
    del job, stage
    return AnakinSession(program, state, jax.local_device_count())


def _open_sebulba(job: JobConfig, stage: Stage, program: Sebulba, state: TrainingState) -> Session:
    num_lifetimes = [entry_actor.num_lifetimes for entry_actor in program.entry_actors]
    configs = [config for config in environments_of(stage.environment) if lives_on_host(config)]

    def make_environments() -> list[HostEnvironment]:
        return [make_host_environment(config, number) for config, number in zip(configs, num_lifetimes, strict=True)]

    assert isinstance(job.architecture, SebulbaConfig)
    layout = make_layout(job.architecture, jax.local_device_count())
    return SebulbaSession(program, job.architecture, layout, state, make_environments)


_SESSIONS: dict[type, Callable[[JobConfig, Stage, Any, TrainingState], Session]] = {
    Anakin: _open_anakin,
    Sebulba: _open_sebulba,
}
