"""The files of a run directory as typed values. Only this module knows their keys, and provenance.py those of one file.

All readers of a run use these functions. They raise an `InputError` of one line if a file is damaged, and keep unknown
keys in `others`, so that a file of a later version can be read and written again.
"""

import dataclasses
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from podmeta.config.paths import to_paste
from podmeta.storage.files import write_atomically
from podmeta.storage.json_files import (
    Line,
    Warn,
    damaged_line,
    decode_lines,
    encode,
    read_lines,
    read_object,
)
from podmeta.storage.meta_test_record import BEST, MetaTestRecord
from podmeta.value_types import Json

T = TypeVar("T")

METRICS, EVALUATION, CURVES = "metrics.jsonl", "evaluation.jsonl", "learning_curves.jsonl"
SUMMARY, ENVIRONMENT, SIGNATURE = "summary.json", "environment.json", "config.signature"
WALL_CLOCK, HEARTBEAT = "wall_clock.jsonl", "heartbeat.json"
PROFILE = "profile"
"""The folder of profiles."""
TENSORBOARD = "tensorboard"
"""The folder of TensorBoard's event files."""
TENSORBOARD_RESULTS = f"{TENSORBOARD}/evaluation"
"""The folder of those with results of meta-tests."""
FOLDERS = ("checkpoints", TENSORBOARD, TENSORBOARD_RESULTS, PROFILE, BEST)
"""The folders of a run directory that commands write into."""
FILES = (
    *("config.yaml", SIGNATURE, METRICS, EVALUATION, CURVES, SUMMARY, ENVIRONMENT, WALL_CLOCK),
    *(HEARTBEAT, "learning_curves.png", "wandb_id"),
)
"""The files of a run directory, apart from its folders and its lock."""

AGENT = "agent.json"
"""The file of an agent's evaluation that takes the place of a run's `config.yaml`."""


@dataclasses.dataclass(frozen=True)
class MetricsRow:
    """One line of `metrics.jsonl`.

    Attributes:
      update: updates done.
      env_steps: of all updates so far.
      seconds: spent training so far, compilation left out.
      env_steps_per_second: of the last call to the devices.
      fitness_mean: of the update; a list by instance where there are several.
      others: further metrics: numbers, lists of them by instance, or texts.
    """

    update: int
    env_steps: int
    seconds: float
    env_steps_per_second: float
    fitness_mean: float | list[float]
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    def fitness_by_instance(self) -> list[float]:
        """The fitness of every instance, also where there is one."""
        return self.fitness_mean if isinstance(self.fitness_mean, list) else [self.fitness_mean]

    def number(self, name: str) -> float | None:
        """A further metric, if the row has it and it is one number."""
        value = self.others.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclasses.dataclass(frozen=True)
class EvaluationRow:
    """One line of `evaluation.jsonl`: one metric of one algorithm in one setting, with its 95% interval.

    Attributes:
      update: the update of the run's θ that was tested, also in rows about what it is held against; -1: not recorded.
      meta_params_sha256: the digest of that θ; "": not recorded.
      evaluation_seed: the seed of the tasks; -1: not recorded.
      tasks: how many different tasks there are, and whether θ has met them in training; see
        `podmeta.evaluation.tasks`.
      environment_id: the environment's id, such as CartPole-v1, or its name; "": not recorded.
    """

    suite: str
    environment: str
    setting: dict[str, Json]
    algorithm: str
    metric: str
    mean: float
    low: float
    high: float
    num_tasks: int
    update: int = -1
    meta_params_sha256: str = ""
    evaluation_seed: int = -1
    tasks: str = ""
    environment_id: str = ""
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_instance(self.setting)


@dataclasses.dataclass(frozen=True)
class CurveRow:
    """One line of `learning_curves.jsonl`: how an algorithm's headline metric goes over the lifetime.

    Attributes:
      metric: "regret", "failures" or "return".
      steps: the env step at which each stretch of the lifetime ends.
      mean, low, high: the metric per env step in each stretch, its mean over tasks and its 95% interval.
      update, meta_params_sha256, evaluation_seed: as in `EvaluationRow`.
    """

    suite: str
    environment: str
    setting: dict[str, Json]
    algorithm: str
    metric: str
    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    num_tasks: int
    update: int = -1
    meta_params_sha256: str = ""
    evaluation_seed: int = -1
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_instance(self.setting)
        if not len(self.steps) == len(self.mean) == len(self.low) == len(self.high):
            raise ValueError("steps, mean, low and high differ in length")


@dataclasses.dataclass(frozen=True)
class Goodput:
    """Where the wall-clock time of a job went, over all its starts. See `podmeta.storage.wall_clock`.

    Attributes:
      share: the part of `wall_clock_seconds` that went into updates that counted.
      wall_clock_seconds: from the first start to the end; the sum of all seconds below.
      num_starts: how often the job was started.
      update_seconds: in updates that counted.
      repeated_seconds: in updates that a later start did again, from an older checkpoint.
      compile_seconds: compiling.
      save_seconds: saving checkpoints.
      evaluation_seconds: in meta-tests during training.
      startup_seconds: from each start of the command to the training loop: imports, restoring, building.
      restart_seconds: between the last sign of one start and the beginning of the next.
      other_seconds: everything else, such as writing metrics.
    """

    share: float
    wall_clock_seconds: float
    num_starts: int
    update_seconds: float
    repeated_seconds: float
    compile_seconds: float
    save_seconds: float
    evaluation_seconds: float
    startup_seconds: float
    restart_seconds: float
    other_seconds: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """`summary.json`: how a run has ended.

    Attributes:
      num_updates: updates done.
      env_steps: of all instances together.
      seconds: spent training, compilation left out.
      compile_seconds: spent compiling, by the last start of the job.
      env_steps_per_second: over the whole training; None if no time passed.
      num_meta_params: the size of one θ.
      meta_params_sha256: of θ; a list by instance where there are several.
      learner: the learner's config.
      instance_seeds: the seed of every instance; None in runs of earlier versions.
      goodput: where the wall-clock time went, over all starts; None in runs of earlier versions.
      wandb_url: the address of the run at Weights & Biases; None if there is none.
      stopped_early: why the run ended before its last update, in words; "" if it did not.
      meta_tests: the record of the meta-tests during training; None if there were none.
    """

    experiment_name: str
    seed: int
    num_updates: int
    env_steps: int
    seconds: float
    compile_seconds: float
    env_steps_per_second: float | None
    num_meta_params: int
    meta_params_sha256: str | list[str]
    learner: dict[str, Json]
    instance_seeds: list[int] | None = None
    goodput: Goodput | None = None
    wandb_url: str | None = None
    stopped_early: str = ""
    meta_tests: MetaTestRecord | None = None
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)

    def sha256_by_instance(self) -> tuple[str, ...]:
        """The digest of every instance's θ, also where there is one."""
        digests = self.meta_params_sha256
        return (digests,) if isinstance(digests, str) else tuple(digests)


@dataclasses.dataclass(frozen=True)
class Heartbeat:
    """`heartbeat.json`: how far the last start of a run is, or how it has ended. Rewritten every few seconds.

    Attributes:
      state: "starting" before the first update, "running", or how it ended: "finished", "interrupted" or "failed".
      time: when this was written, in Unix time.
      began: when this start began, in Unix time.
      holder: the process, as its lock names it.
      update: updates done.
      num_updates: of the job.
      env_steps_per_second: of the last call to the devices; None before it.
      reason: why it ended, in words; "" while it runs.
    """

    state: str
    time: float
    began: float
    holder: str
    update: int
    num_updates: int
    env_steps_per_second: float | None = None
    reason: str = ""
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TestedAgent:
    """`agent.json`: the learned algorithm that the rows of a folder are about.

    Attributes:
      name: its name.
      meta_params_sha256: the digest of its θ.
    """

    name: str
    meta_params_sha256: str
    others: Mapping[str, Json] = dataclasses.field(default_factory=dict)


def read_metrics(run_path: Path, warn: Warn = warnings.warn) -> list[MetricsRow]:
    """The rows of a run's `metrics.jsonl`; none where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    path, cure = run_path / METRICS, _CURE_OF_METRICS
    lines = read_lines(path, cure, warn)
    rows = decode_lines(path, lines, MetricsRow, cure)
    for line, row in zip(lines, rows, strict=True):
        if len(row.fitness_by_instance()) != len(rows[0].fitness_by_instance()):
            raise damaged_line(path, line.number, "fitness_mean has another number of instances", cure)
    return rows


def metrics_up_to(path: Path, update: int, warn: Warn) -> list[Line]:
    """The lines of a `metrics.jsonl` about an update and earlier ones.

    Raises:
      InputError: it is damaged.
    """
    lines = read_lines(path, _CURE_OF_METRICS, warn)
    rows = decode_lines(path, lines, _NumberedRow, _CURE_OF_METRICS)
    return [line for line, row in zip(lines, rows, strict=True) if row.update <= update]


def read_evaluation(run_path: Path, warn: Warn = warnings.warn) -> list[EvaluationRow]:
    """The rows of a run's `evaluation.jsonl`; none where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    return _read_rows(run_path, EVALUATION, EvaluationRow, warn)


def read_curves(run_path: Path, warn: Warn = warnings.warn) -> list[CurveRow]:
    """The rows of a run's `learning_curves.jsonl`; none where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    return _read_rows(run_path, CURVES, CurveRow, warn)


def read_summary(run_path: Path) -> Summary | None:
    """A run's `summary.json`; None if the run has not ended.

    Raises:
      InputError: it is damaged.
    """
    path = run_path / SUMMARY
    if not path.exists():
        return None
    return read_object(path, Summary, "Delete it and give the run's command again, which writes it anew")


def read_heartbeat(run_path: Path) -> Heartbeat | None:
    """A run's `heartbeat.json`; None where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    path = run_path / HEARTBEAT
    return read_object(path, Heartbeat, "The run's next start writes it anew") if os.path.lexists(path) else None


def read_tested_agent(path: Path) -> TestedAgent:
    """The `agent.json` of the folder of an agent's evaluation.

    Raises:
      InputError: it is damaged.
    """
    return read_object(path / AGENT, TestedAgent, "Name another folder: to=DIR")


def write_tested_agent(path: Path, agent: TestedAgent) -> None:
    """Writes the `agent.json` of a folder.

    Raises:
      PodmetaError: it could not be written.
    """
    write_atomically(path / AGENT, json.dumps(encode(agent)) + "\n")


def to_json_lines(rows: Sequence[EvaluationRow | CurveRow]) -> str:
    """Rows as the text of a file of JSON lines."""
    return "".join(json.dumps(encode(row), allow_nan=False) + "\n" for row in rows)


def _check_instance(setting: dict[str, Json]) -> None:
    """Checks that a setting counts the instance of θ from 0, where a run has several."""
    instance = setting.get("instance", 0)
    if type(instance) is not int or instance < 0:
        raise ValueError("setting.instance is not the number of an instance")


@dataclasses.dataclass(frozen=True)
class _NumberedRow:
    """What every line of `metrics.jsonl` has."""

    update: int


_CURE_OF_METRICS = "Delete that line"


def _read_rows(run_path: Path, name: str, kind: type[T], warn: Warn) -> list[T]:
    path = run_path / name
    cure = f"Delete that line, or delete the file and give `podmeta evaluate {to_paste('run', run_path)}`"
    return decode_lines(path, read_lines(path, cure, warn), kind, cure)
