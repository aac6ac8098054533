"""Opens the session of a stage, on the job's architecture."""

from collections.abc import Sequence

from podmeta.architectures.base import TrainingState
from podmeta.architectures.registry import Program, architecture_of
from podmeta.architectures.session import Session
from podmeta.config.schema import JobConfig
from podmeta.config.stages import Stage, environments_of
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.registry import lives_on_host, make_host_environment


def open_session(job: JobConfig, stage: Stage, program: Program, state: TrainingState) -> Session:
    """Begins or resumes a stage on the job's architecture."""
    configs = [config for config in environments_of(stage.environment) if lives_on_host(config)]

    def make_environments(sizes: Sequence[int]) -> list[HostEnvironment]:
        return [make_host_environment(config, size) for config, size in zip(configs, sizes, strict=True)]

    return architecture_of(job.architecture).open_session(job.architecture, program, state, make_environments)
