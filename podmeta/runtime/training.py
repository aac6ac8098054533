"""The training loop: a job from its start, or where it stopped, to its end, or to a signal."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.base import TrainingState
from podmeta.config.compose import job_to_yaml
from podmeta.config.schema import JobConfig
from podmeta.config.stages import Stage, environments_of, stages_of
from podmeta.config.validate import validate_devices
from podmeta.environments.host.base import HostEnvironment
from podmeta.environments.host.registry import lives_on_host, make_host_environment
from podmeta.errors import InputError, PodmetaError, SessionError
from podmeta.runtime.anakin_session import AnakinSession
from podmeta.runtime.checkpoints import Checkpoints, meta_params_sha256
from podmeta.runtime.devices import describe_devices, explained_memory_errors
from podmeta.runtime.files import write_atomically
from podmeta.runtime.meta_params import load_meta_params
from podmeta.runtime.metrics import MetricsWriter
from podmeta.runtime.program import Program, build_programs, instance_settings, num_instances, state_shapes
from podmeta.runtime.progress import Progress as Display
from podmeta.runtime.progress import show_progress
from podmeta.runtime.provenance import describe_provenance
from podmeta.runtime.run_directory import RunDirectory
from podmeta.runtime.sebulba.layout import make_layout
from podmeta.runtime.sebulba.session import SebulbaSession
from podmeta.runtime.session import Advance, Metrics, Session
from podmeta.runtime.signals import StopRequest

_LESS_MEMORY = "take fewer members or lifetimes, a smaller learner, shorter lifetimes, or more devices"


class Progress(NamedTuple):
    """How far a job is.

    Attributes:
      update: updates done.
      seconds: time spent training, over all starts of the job, compilation left out.
    """

    update: int
    seconds: float


class TrainingResult(NamedTuple):
    """How training ended.

    Attributes:
      run_path: the run directory.
      update: updates done.
      meta_params: θ, [num_instances, ...], on the host.
      stopped_by: the signal that stopped the job before its end; None at the end.
    """

    run_path: Path
    update: int
    meta_params: Any
    stopped_by: str | None


def default_run_path(job: JobConfig) -> Path:
    """`run_dir`, or runs/<experiment_name>/<time>."""
    return Path(job.run_dir or f"runs/{job.experiment_name}/{time.strftime('%Y-%m-%d_%H-%M-%S')}")


def train(job: JobConfig, tell: Callable[[str], None]) -> TrainingResult:
    """Trains a job to its end, or until SIGINT or SIGTERM asks for a stop, on the devices that have been set up.

    Args:
      job: the job.
      tell: shows the user a line.

    Returns:
      How it ended. The run directory holds the rest.

    Raises:
      InputError: the job does not fit the machine, or the run directory another job.
      PodmetaError: the fitness was no longer finite, no checkpoint could be saved or read.
    """
    if jax.process_count() > 1:
        raise InputError(
            f"this is one of {jax.process_count()} processes, over which training cannot be divided yet: start one, or "
            "set distributed.enabled=off"
        )
    num_devices = jax.local_device_count()
    validate_devices(job, num_devices)
    stages, programs = stages_of(job), build_programs(job, num_devices)
    run_path = default_run_path(job)
    if job.resume == "never" and Checkpoints(run_path / "checkpoints").steps():
        raise InputError(f"resume=never, but {run_path} holds checkpoints: choose another run_dir, or resume=auto")
    fresh_state = _fresh_state(job, programs[0], run_path)

    with RunDirectory(run_path, job_to_yaml(job)) as run_directory, StopRequest() as stop_request:
        run_directory.write_environment(describe_provenance(describe_devices()))
        tell(f"run directory: {run_directory.path}")
        checkpoints = Checkpoints(run_directory.checkpoints_path, job.checkpoint.keep)
        checkpoints.recover()
        state, progress = _start(job, checkpoints, fresh_state, tell)
        metrics_writer = MetricsWriter(
            run_directory,
            resumed_update=progress.update,
            tensorboard=job.logging.tensorboard,
            wandb_project=job.logging.wandb_project if job.logging.wandb else None,
        )
        saver = _Saver(job, checkpoints, progress)
        compile_seconds = 0.0
        with (
            contextlib.closing(metrics_writer),
            show_progress(job.num_updates, sys.stderr, job.logging.progress) as display,
        ):
            for stage, program in zip(stages, programs, strict=True):
                if progress.update >= min(stage.end, job.num_updates) or stop_request.requested:
                    continue
                if progress.update == stage.first_update > 0:
                    state = program.init(instance_settings(job, stage.number), state.outer.meta_params)
                with explained_memory_errors(_LESS_MEMORY):
                    session = _open_session(job, stage, program, state, num_devices)
                under_way = _StageUnderWay(job, stages, programs, stage, session, saver, metrics_writer, display)
                try:
                    progress = under_way.train(progress, stop_request)
                finally:
                    told = session.close()
                state = session.state()
                compile_seconds += session.compile_seconds
                if told is not None:
                    tell(told)
        saver.save(state, progress)
        finished = progress.update >= job.num_updates
        if finished:
            env_steps = _env_steps(progress.update, stages, programs)
            summary = _summary(job, state, progress, env_steps, compile_seconds)
            write_atomically(run_directory.summary_path, json.dumps(summary, indent=2) + "\n")
    return TrainingResult(
        run_directory.path, progress.update, state.outer.meta_params, None if finished else stop_request.signal_name
    )


@dataclasses.dataclass(frozen=True)
class _StageUnderWay:
    """One stage, and whoever wants to know of it."""

    job: JobConfig
    stages: tuple[Stage, ...]
    programs: tuple[Program, ...]
    stage: Stage
    session: Session
    saver: "_Saver"
    metrics_writer: MetricsWriter
    display: Display

    def train(self, progress: Progress, stop_request: StopRequest) -> Progress:
        """Trains to the end of the stage, or of the job, or until a stop is requested; returns how far it came."""
        end = min(self.stage.end, self.job.num_updates)
        while progress.update < end and not stop_request.requested:
            num_updates = _updates_until_boundary(progress.update, self.stage, self.job)
            try:
                with explained_memory_errors(_LESS_MEMORY):
                    advance = self.session.advance(num_updates, lambda: stop_request.requested)
            except SessionError:
                self.saver.save(self.session.state(), progress)
                raise
            if advance.num_updates > 0:
                progress = self._note(advance, progress)
        return progress

    def _note(self, advance: Advance, last: Progress) -> Progress:
        """Writes and shows what has been done, and saves it where that is due."""
        _check_finite(advance.metrics, last.update, self.saver.checkpoints)
        program = self.programs[self.stage.number]
        rate = program.env_steps_per_update * advance.num_updates / advance.seconds
        progress = Progress(last.update + advance.num_updates, last.seconds + advance.seconds)
        for row in _rows(advance.metrics, last.update, progress, self.stage, self.programs, rate, self.job):
            self.metrics_writer.write(row)
        self.display.update(progress.update, float(np.mean(advance.metrics["fitness_mean"][-1])), rate)
        if self.saver.due(progress):
            self.saver.save(self.session.state(), progress)
        return progress


class _Saver:
    """Saves checkpoints when they are due."""

    def __init__(self, job: JobConfig, checkpoints: Checkpoints, progress: Progress) -> None:
        self._config = job.checkpoint
        self.checkpoints = checkpoints
        self._last_update = progress.update
        self._last_time = time.monotonic()

    def due(self, progress: Progress) -> bool:
        every_updates, every_seconds = self._config.every_updates, self._config.every_seconds
        updates_due = every_updates > 0 and progress.update - self._last_update >= every_updates
        return updates_due or (every_seconds > 0 and time.monotonic() - self._last_time >= every_seconds)

    def save(self, state: Any, progress: Progress) -> None:
        """Saves, unless this update is saved already."""
        if progress.update not in self.checkpoints.steps() or progress.update != self._last_update:
            self.checkpoints.save(progress.update, state, {"seconds": progress.seconds})
        self._last_update, self._last_time = progress.update, time.monotonic()


def _fresh_state(job: JobConfig, program: Program, run_path: Path) -> TrainingState:
    """The state of a job that has just begun, with the θ of `init_from`, unless it is not going to be needed."""
    settings = instance_settings(job)
    meta_params = None
    if job.init_from and not Checkpoints(run_path / "checkpoints").steps():
        expected = jax.eval_shape(program.init, settings).outer.meta_params
        meta_params = load_meta_params(Path(job.init_from), expected)
    return jax.device_get(program.init(settings, meta_params))


def _open_session(job: JobConfig, stage: Stage, program: Program, state: TrainingState, num_devices: int) -> Session:
    """Begins a stage, or goes on with it, on the job's architecture."""
    if isinstance(program, Anakin):
        return AnakinSession(program, state, num_devices)
    num_lifetimes = [entry_actor.num_lifetimes for entry_actor in program.entry_actors]
    configs = [config for config in environments_of(stage.environment) if lives_on_host(config)]

    def make_environments() -> list[HostEnvironment]:
        return [make_host_environment(config, number) for config, number in zip(configs, num_lifetimes, strict=True)]

    layout = make_layout(job.architecture, num_devices)
    return SebulbaSession(program, job.architecture, layout, state, make_environments)


def _start(
    job: JobConfig, checkpoints: Checkpoints, fresh_state: Any, tell: Callable[[str], None]
) -> tuple[Any, Progress]:
    """The state to start from: the newest good checkpoint's, or a fresh one."""
    restored = checkpoints.restore_latest(lambda update: state_shapes(job, update))
    if restored is None:
        return fresh_state, Progress(0, 0.0)
    for warning in restored.warnings:
        tell(f"warning: {warning}")
    tell(f"going on from update {restored.step}")
    return restored.tree, Progress(restored.step, float(restored.metadata["seconds"]))


def _updates_until_boundary(update: int, stage: Stage, job: JobConfig) -> int:
    """Updates until the stage has done a multiple of updates_per_call, so that every start makes the same calls."""
    per_call = job.architecture.updates_per_call
    return min(per_call - (update - stage.first_update) % per_call, min(stage.end, job.num_updates) - update)


def _env_steps(update: int, stages: tuple[Stage, ...], programs: tuple[Program, ...]) -> int:
    """Env steps of the first `update` updates."""
    return sum(
        (min(update, stage.end) - stage.first_update) * program.env_steps_per_update
        for stage, program in zip(stages, programs, strict=True)
        if update > stage.first_update
    )


def _check_finite(metrics: Metrics, last_update: int, checkpoints: Checkpoints) -> None:
    """Stops a job whose fitness or θ is no longer finite, before it can be saved."""
    finite = np.all([np.isfinite(metrics[name]) for name in ("fitness_mean", "meta_params_norm")], axis=0)
    if not finite.all():
        generation = last_update + int(np.argwhere(~finite)[0][0])
        steps = checkpoints.steps()
        kept = f"the checkpoint of update {steps[-1]} is intact" if steps else "no checkpoint had been saved"
        raise PodmetaError(
            f"the fitness or θ of generation {generation} is not finite; {kept}. "
            "Try a smaller outer.learning_rate or outer.noise_std"
        )


def _rows(
    metrics: Metrics,
    last_update: int,
    progress: Progress,
    stage: Stage,
    programs: tuple[Program, ...],
    rate: float,
    job: JobConfig,
) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl for one call: updates that are a multiple of logging.every_updates, and the last."""
    num_updates = progress.update - last_update
    rows = []
    for index in range(num_updates):
        update = last_update + index + 1
        if update % job.logging.every_updates == 0 or update == job.num_updates:
            values = {name: _single_or_list(values[index]) for name, values in metrics.items()}
            rows.append(
                {
                    "update": update,
                    "stage": stage.number,
                    "env_steps": _env_steps(update, stages_of(job), programs),
                    "seconds": progress.seconds,
                    "env_steps_per_second": rate,
                    **values,
                }
            )
    return rows


def _single_or_list(values: np.ndarray) -> float | list[float]:
    """One number for one instance, else a list by instance."""
    return float(values[0]) if len(values) == 1 else values.tolist()


def _summary(job: JobConfig, state: Any, progress: Progress, env_steps: int, compile_seconds: float) -> dict[str, Any]:
    by_instance = [jax.tree.map(lambda leaf, i=i: leaf[i], state.outer.meta_params) for i in range(num_instances(job))]
    digests = [meta_params_sha256(meta_params) for meta_params in by_instance]
    return {
        "experiment_name": job.experiment_name,
        "seed": job.seed,
        "num_updates": progress.update,
        "env_steps": env_steps,
        "seconds": progress.seconds,
        "compile_seconds": compile_seconds,
        "env_steps_per_second": env_steps / progress.seconds if progress.seconds > 0 else None,
        "num_meta_params": sum(leaf.size for leaf in jax.tree.leaves(by_instance[0])),
        "meta_params_sha256": digests[0] if len(digests) == 1 else digests,
        "learner": dataclasses.asdict(job.learner),
    }
