"""The training loop: trains a job from its start, or from where it stopped, to its end or a signal.

All processes of a job run it, and decide together when to save and when to stop.
"""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from podmeta.architectures.base import TrainingState
from podmeta.architectures.registry import Program
from podmeta.architectures.session import Advance, MetricsByUpdate, Session
from podmeta.config.compose import job_to_yaml
from podmeta.config.paths import to_paste
from podmeta.config.profiled_updates import profiled_updates
from podmeta.config.schema import DistributedConfig, JobConfig
from podmeta.config.stages import Stage, stages_of
from podmeta.config.validate import validate_devices
from podmeta.distributed import initialise
from podmeta.distributed.devices import explained_memory_errors, num_devices_of_all_processes
from podmeta.distributed.memory import memory_metrics
from podmeta.distributed.processes import check_alike, from_first, gather, is_first, largest
from podmeta.distributed.signals import StopRequest
from podmeta.errors import InputError, PodmetaError, SessionError
from podmeta.learners.base import MetaParams
from podmeta.storage.checkpoints import Checkpoints, sha256_by_instance
from podmeta.storage.published_run import PublishedRun
from podmeta.storage.run_directory import make_run_path
from podmeta.storage.run_files import Summary
from podmeta.training.build import build_programs, instance_settings
from podmeta.training.meta_params import load_meta_params
from podmeta.training.profiler import Profiler
from podmeta.training.run_logger import NoRecords, Progress, Records, Row, open_records
from podmeta.training.schedules import earlier_job, schedule_changes
from podmeta.training.sessions import open_session


class TrainingResult(NamedTuple):
    """How training ended.

    Attributes:
      run_path: the run directory.
      update: updates done.
      meta_params: θ, [num_instances, ...], on the host.
      stopped_by: the signal that stopped the job before its end, whichever process it was sent to; None at the end.
    """

    run_path: Path
    update: int
    meta_params: MetaParams
    stopped_by: str | None


PeriodicTest = Callable[[MetaParams], Mapping[str, Any]]
"""Tests θ, [num_instances, ...]: metrics, each a number, or a list by instance."""
Film = Callable[[MetaParams], Mapping[str, bytes]]
"""Films θ, [num_instances, ...]: animated GIFs by tag."""


def train(
    job: JobConfig,
    tell: Callable[[str], None],
    began: float | None = None,
    periodic_test: PeriodicTest | None = None,
    film: Film | None = None,
    published: PublishedRun | None = None,
) -> TrainingResult:
    """Trains a job on the devices that have been set up, to its end or until SIGINT, SIGTERM or SIGHUP asks for a stop.

    Outside the main thread no signal stops it, because Python sets signal handlers only in the main thread. In a job of
    several processes, all must call it; it disconnects them at its end.

    Args:
      job: the job.
      tell: shows the user a line.
      began: when the command began, in Unix time, for the account of time; None: now.
      periodic_test: what `evaluation.every_updates` asks for; None if it asks for nothing.
      film: what `logging.tensorboard_videos` asks for after each of these tests; None if it asks for nothing.
      published: the run in an object store that `run_dir` names, held by this process; None for a path.

    Returns:
      How it ended. The run directory holds the rest.

    Raises:
      InputError: the job does not fit the machine, or the run directory another job; or the processes differ.
      PodmetaError: the fitness was no longer finite, no checkpoint could be saved or read, nothing could be published
        for long, or a process was lost.
    """
    with initialise.explained_losses():
        result = _train(job, tell, time.time() if began is None else began, periodic_test, film, published)
        initialise.finish()
    return result


def _train(
    job: JobConfig,
    tell: Callable[[str], None],
    began: float,
    periodic_test: PeriodicTest | None,
    film: Film | None,
    published: PublishedRun | None,
) -> TrainingResult:
    validate_devices(job, num_devices_of_all_processes())
    check_alike(job_to_yaml(dataclasses.replace(job, distributed=DistributedConfig())))
    stages, programs = stages_of(job), build_programs(job, jax.local_device_count())
    with contextlib.ExitStack() as stack:
        stop_request = stack.enter_context(StopRequest())
        records, run_path, state, progress = _begin(job, programs[0], stack, tell, began, published)
        stop_request.advice = (
            f"the newest checkpoint in {run_path} is intact; to resume, repeat the command with "
            f"{to_paste('run_dir', published.address if published else run_path)}"
        )
        profiler = Profiler(profiled_updates(job.profile) if is_first() else None, run_path, tell)
        compile_seconds = 0.0
        stopped_by, stops_early = _stop_signal(stop_request), _stops_early(job, records)
        if progress.update < job.num_updates and not stops_early:
            records.begin()
        for stage, program in zip(stages, programs, strict=True):
            if progress.update >= min(stage.end, job.num_updates) or stopped_by is not None or stops_early:
                continue
            if progress.update == stage.first_update > 0:
                # Seeds stay those that the run began with, even if this version derives others.
                settings = instance_settings(job, stage.number)._replace(seed=state.outer.settings.seed)
                state = jax.jit(program.init)(settings, state.outer.meta_params)
            with explained_memory_errors():
                session = open_session(job, stage, program, state)
            tell(session.preparation)
            under_way = _StageUnderWay(
                job, stages, programs, stage, session, records, run_path, profiler, periodic_test, film, published
            )
            try:
                progress, stopped_by, stops_early = under_way.train(progress, stop_request)
            finally:
                profiler.close(progress.update)
                message = session.close()
            state = session.state()
            compile_seconds += session.compile_seconds
            if message is not None:
                tell(message)
            if progress.update < job.num_updates and (reason := records.reason_to_stop()):
                tell(reason)
        records.save(state, progress)
        finished = progress.update >= job.num_updates or stops_early
        if finished:
            env_steps = _env_steps(progress.update, stages, programs)
            summary = _summary(job, state, progress, env_steps, compile_seconds)
            early = records.reason_to_stop() if progress.update < job.num_updates else ""
            records.finish(dataclasses.replace(summary, stopped_early=early))
        elif stopped_by is not None:
            records.interrupt(stopped_by)
    return TrainingResult(run_path, progress.update, state.outer.meta_params, None if finished else stopped_by)


def _begin(
    job: JobConfig,
    program: Program,
    stack: contextlib.ExitStack,
    tell: Callable[[str], None],
    began: float,
    published: PublishedRun | None,
) -> tuple[Records, Path, TrainingState, Progress]:
    """The state to start from. The first process finds it and sends it to the others."""
    opened: list[Records] = []
    run_dir = published.path if published else Path(job.run_dir) if job.run_dir else None

    def begin() -> tuple[Path, TrainingState, Progress]:
        goes_on = bool(run_dir and Checkpoints(run_dir / "checkpoints").steps())
        if job.resume == "never" and goes_on:
            raise InputError(
                f"resume=never, but {job.run_dir} holds checkpoints: choose another run_dir, or resume=auto"
            )
        fresh_state = None if goes_on else _fresh_state(job, program, tell)
        run_path = (run_dir or make_run_path(job.experiment_name)).absolute()
        earlier = earlier_job(run_path)
        records, state, progress = stack.enter_context(open_records(job, run_path, fresh_state, tell, began))
        for line in schedule_changes(earlier, job, progress.update) if earlier else []:
            tell(line)
        opened.append(records)
        return run_path, state, progress

    run_path, state, progress = from_first(begin)
    return (opened[0] if opened else NoRecords()), run_path, state, progress


def _stop_signal(stop_request: StopRequest) -> str | None:
    """The stop signal of any process of the job."""
    number = signal.Signals[stop_request.signal_name] if stop_request.signal_name else 0
    (number,) = largest(number)
    return signal.Signals(number).name if number else None


def _stops_early(job: JobConfig, records: Records) -> bool:
    """Whether the job stops early. The first process says so."""
    if job.evaluation.stop_after == 0:
        return False
    (stops,) = largest(bool(records.reason_to_stop()))
    return bool(stops)


@dataclasses.dataclass(frozen=True)
class _StageUnderWay:
    """The training of one stage, and its logging."""

    job: JobConfig
    stages: tuple[Stage, ...]
    programs: tuple[Program, ...]
    stage: Stage
    session: Session
    records: Records
    run_path: Path
    profiler: Profiler
    periodic_test: PeriodicTest | None
    film: Film | None
    published: PublishedRun | None

    def train(self, progress: Progress, stop_request: StopRequest) -> tuple[Progress, str | None, bool]:
        """Trains to the end of the stage, or of the job, until a stop is requested, or until it stops early.

        Returns:
          The progress; the signal that requested a stop, if any; and whether the job stops early.
        """
        end = min(self.stage.end, self.job.num_updates)
        alone = jax.process_count() == 1
        stopped_by, stops_early = None, False
        while progress.update < end and stopped_by is None and not stops_early:
            num_updates = _updates_until_boundary(progress.update, self.stage, self.job)
            compiled_before = self.session.compile_seconds
            self.profiler.before_call(progress.update, num_updates)
            try:
                # A process that stopped in the middle of these updates would leave the others waiting for it.
                with explained_memory_errors():
                    advance = self.session.advance(num_updates, lambda: alone and stop_request.requested)
            except SessionError:
                self.records.save(self.session.state(), progress)
                raise
            self.records.spend("compile", self.session.compile_seconds - compiled_before)
            self.records.spend("updates", advance.seconds)
            if advance.num_updates > 0:
                progress = self._note(advance, progress)
                self.profiler.after_call(progress.update)
            stopped_by, stops_early = _stop_signal(stop_request), _stops_early(self.job, self.records)
        return progress, stopped_by, stops_early

    def _note(self, advance: Advance, last: Progress) -> Progress:
        """Logs progress, and saves a checkpoint if one is due."""
        _check_finite(advance.metrics, last.update, self.run_path)
        program = self.programs[self.stage.number]
        rate = program.env_steps_per_update * advance.num_updates / advance.seconds
        progress = Progress(last.update + advance.num_updates, last.seconds + advance.seconds)
        tested = self._test(last.update, progress.update)
        rows = _rows(advance, last.update, progress, self.stage, self.programs, rate, self.job, tested)
        self.records.note(rows, progress, float(np.mean(advance.metrics["fitness_mean"][-1])), rate)
        (due,) = largest(self.records.due(progress))
        if due:
            self.records.save(self.session.state(), progress, in_background=self.job.checkpoint.asynchronous)
        problem = self.published.problem() if self.published else None
        if problem is not None:
            self.records.save(self.session.state(), progress)
            raise PodmetaError(problem)
        return progress

    def _test(self, last_update: int, update: int) -> Mapping[str, Any]:
        """The metrics of a meta-test, if one is due. All processes bring the state together; the first one tests."""
        every = self.job.evaluation.every_updates
        if self.periodic_test is None or update // every == last_update // every:
            return {}
        start = time.perf_counter()
        meta_params = self.session.state().outer.meta_params
        tested: Mapping[str, Any] = {}
        if is_first():
            tested = self.periodic_test(meta_params)
            # A curriculum is not cut short: early stopping counts the meta-tests of its last stage.
            self.records.note_test(update, tested, meta_params, counts=self.stage is self.stages[-1])
            if self.film is not None:
                self.records.note_videos(update, self.film(meta_params))
        self.records.spend("evaluation", time.perf_counter() - start)
        return tested


def _fresh_state(job: JobConfig, program: Program, tell: Callable[[str], None]) -> TrainingState:
    """The state of a job that has just begun, with the θ of `init_from`."""
    settings = instance_settings(job)
    meta_params = None
    if job.init_from:
        expected = jax.eval_shape(program.init, settings).outer.meta_params
        meta_params = load_meta_params(Path(job.init_from), expected, lambda line: tell(f"warning: {line}"))
    # Compiled: one by one, its operations take longer to start than all of them do together.
    return jax.device_get(jax.jit(program.init)(settings, meta_params))


def _updates_until_boundary(update: int, stage: Stage, job: JobConfig) -> int:
    """Updates until the stage has done a multiple of updates_per_call, so that every start makes the same calls."""
    per_call = job.architecture.updates_per_call
    return min(per_call - (update - stage.first_update) % per_call, min(stage.end, job.num_updates) - update)


def _env_steps(update: int, stages: tuple[Stage, ...], programs: tuple[Program, ...]) -> int:
    """Env steps of the first `update` updates. A run that has done more than its stages was in the last of them."""
    return sum(
        ((update if stage is stages[-1] else min(update, stage.end)) - stage.first_update)
        * program.env_steps_per_update
        for stage, program in zip(stages, programs, strict=True)
        if update > stage.first_update
    )


def _check_finite(metrics: MetricsByUpdate, last_update: int, run_path: Path) -> None:
    """Stops a job whose fitness or θ is no longer finite, before it can be saved."""
    finite = np.all([np.isfinite(metrics[name]) for name in ("fitness_mean", "meta_params_norm")], axis=0)
    if not finite.all():
        generation = last_update + int(np.argwhere(~finite)[0][0])
        steps = Checkpoints(run_path / "checkpoints").steps()
        kept = f"the checkpoint of update {steps[-1]} is intact" if steps else "no checkpoint had been saved"
        raise PodmetaError(
            f"the fitness or θ of generation {generation} is not finite; {kept}. "
            "Try a smaller outer.learning_rate or outer.noise_std"
        )


def _rows(
    advance: Advance,
    last_update: int,
    progress: Progress,
    stage: Stage,
    programs: tuple[Program, ...],
    rate: float,
    job: JobConfig,
    tested: Mapping[str, Any],
) -> Sequence[Row]:
    """The lines of metrics.jsonl for one call.

    They are about updates that are a multiple of logging.every_updates, the last one, and the one that was tested.
    """
    of_processes = _of_processes(advance._replace(process_metrics=advance.process_metrics | memory_metrics()))
    num_updates = progress.update - last_update
    rows: list[Row] = []
    for index in range(num_updates):
        update = last_update + index + 1
        of_test = tested if update == progress.update else {}
        if update % job.logging.every_updates == 0 or update == job.num_updates or of_test:
            values = {name: _single_or_list(values[index]) for name, values in advance.metrics.items()}
            rows.append(
                {
                    "update": update,
                    "stage": stage.number,
                    "env_steps": _env_steps(update, stages_of(job), programs),
                    "seconds": progress.seconds,
                    "env_steps_per_second": rate,
                    **values,
                    **of_processes,
                    **of_test,
                }
            )
    return rows


def _of_processes(advance: Advance) -> dict[str, float]:
    """What the updates were like where they were done: over all processes, and for each of several."""
    if jax.process_count() == 1:
        return {name: value for name, value in advance.process_metrics.items() if np.isfinite(value)}
    metrics = {}
    for name, values in gather(advance.process_metrics | {"call_seconds": advance.seconds}).items():
        known = np.flatnonzero(np.isfinite(values))
        if known.size:
            metrics[name] = _over_processes(name, values[known])
            metrics |= {f"{name}/process_{index}": float(values[index]) for index in known}
    return metrics


def _over_processes(name: str, values: np.ndarray) -> float:
    """Maxima are maximised, counts added up, and everything else averaged."""
    if name.endswith("_max"):
        return float(values.max())
    return float(values.sum() if name.startswith("num_") else values.mean())


def _single_or_list(values: np.ndarray) -> float | list[float]:
    """One number for one instance, else a list by instance."""
    return float(values[0]) if len(values) == 1 else values.tolist()


def _summary(job: JobConfig, state: Any, progress: Progress, env_steps: int, compile_seconds: float) -> Summary:
    digests = sha256_by_instance(state.outer.meta_params)
    return Summary(
        experiment_name=job.experiment_name,
        seed=job.seed,
        instance_seeds=np.asarray(state.outer.settings.seed).tolist(),
        num_updates=progress.update,
        env_steps=env_steps,
        seconds=progress.seconds,
        compile_seconds=compile_seconds,
        env_steps_per_second=env_steps / progress.seconds if progress.seconds > 0 else None,
        num_meta_params=sum(leaf[0].size for leaf in jax.tree.leaves(state.outer.meta_params)),
        meta_params_sha256=digests[0] if len(digests) == 1 else digests,
        learner=dataclasses.asdict(job.learner),
    )
