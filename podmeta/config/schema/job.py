"""The keys of a job and of its stages."""

import dataclasses

from podmeta.config.schema.architectures import AnakinConfig, SebulbaConfig
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.learners import LearnerConfig
from podmeta.config.schema.mixtures import MixtureConfig
from podmeta.config.schema.option import option
from podmeta.config.schema.outer_loops import OuterLoopConfig
from podmeta.value_types import Json


@dataclasses.dataclass
class DevicesConfig:
    """Which devices the job runs on."""

    cpu: int = option(0, "number of CPU devices to create and use; 0: the devices that JAX finds", minimum=0)


@dataclasses.dataclass
class DistributedConfig:
    """The processes of one job on many hosts. Under SLURM or Open MPI, no key needs to be set."""

    enabled: str = option(
        "auto",
        "auto: the job has several processes if coordinator_address is set, or if SLURM or Open MPI has started "
        "several; on: also if JAX detects them, as on GKE and TPU VMs; off: one process",
        choices=("auto", "on", "off"),
    )
    coordinator_address: str = option("", "host:port of process 0; needs num_processes and process_id")
    num_processes: int = option(0, "processes of the job; 0: as many as SLURM or Open MPI started", minimum=0)
    process_id: int = option(-1, "number of this process, from 0; -1: as SLURM or Open MPI says", minimum=-1)
    heartbeat_s: int = option(30, "seconds without a sign of life after which a process counts as dead", minimum=5)


@dataclasses.dataclass
class NumericsConfig:
    """How exactly the job computes. θ, its optimiser, sums and fitness are float32, whatever stands here."""

    matmul_precision: str = option(
        "float32",
        "how exactly matrices of float32 are multiplied: float32 in full; tensorfloat32 and bfloat16 round their "
        "elements, which is faster on GPUs and TPUs. On CPUs all three are float32",
        choices=("float32", "tensorfloat32", "bfloat16"),
    )
    dtype: str = option(
        "float32",
        "type of the learner's activations while θ is trained: float32 or bfloat16, which needs less memory and is "
        "faster on GPUs and TPUs. LSTM cells, messages, policy and value stay float32, and so does the meta-test",
        choices=("float32", "bfloat16"),
    )
    deterministic: bool = option(
        False,
        "on GPUs, use only operations that return the same bits each time, which are slower. CPUs and TPUs always "
        "do. It has no effect in a Python program in which JAX has touched a device already",
    )


@dataclasses.dataclass
class CheckpointConfig:
    """When to save checkpoints, and how many to keep. 0 switches a rule off; the end of a run always saves."""

    every_updates: int = option(0, "save after this many updates; 0: off", minimum=0)
    every_seconds: float = option(60.0, "save after this many seconds; 0: off", minimum=0)
    asynchronous: bool = option(
        False,
        "train on while a checkpoint is written, which begins so early that it is whole at the end of the interval; a "
        "copy of the state takes memory on the host meanwhile",
    )
    keep: int = option(3, "number of newest checkpoints to keep", minimum=1)
    keep_every: int = option(
        0, "also keep, for good, the first checkpoint after each multiple of this many updates; 0: none", minimum=0
    )


@dataclasses.dataclass
class LoggingConfig:
    """Logging of a run."""

    every_updates: int = option(10, "updates per line of metrics.jsonl (rounded up to whole calls)", minimum=1)
    tensorboard: bool = option(True, "write TensorBoard event files")
    tensorboard_videos: bool = option(
        False, "show the end of a lifetime in each grid-world of a meta-test, also during training, as a video there"
    )
    wandb: bool = option(False, "log to Weights & Biases (extra: wandb)")
    wandb_project: str = option("podmeta", "Weights & Biases project")
    prometheus_port: int = option(
        0, "port that serves the newest metrics to Prometheus (extra: prometheus); 0: off", minimum=0, maximum=65535
    )
    prometheus_address: str = option("127.0.0.1", "address of that port; the default is reached from this machine only")
    progress: bool = option(True, "show a progress bar (plain lines without a terminal)")


@dataclasses.dataclass
class EvaluationConfig:
    """The meta-test at the end of a run, and those during training."""

    enabled: bool = option(True, "meta-test when training ends")
    every_updates: int = option(
        0,
        "also meta-test θ alone during training, after this many updates (rounded to whole calls); 0: off",
        minimum=0,
    )
    stop_after: int = option(
        0,
        "stop training once this many meta-tests during training in a row have not improved on the best; 0: never",
        minimum=0,
    )
    periodic_suite: str = option("", "suite of the meta-tests during training; default: evaluation.settings")
    periodic_tasks: int = option(100, "lifetimes per setting in the meta-tests during training", minimum=1)
    num_tasks: int = option(1000, "lifetimes per setting, each on a new task", minimum=2)
    settings: list[Json] = option(
        [{}],
        "one meta-test per entry: keys to change in the training environment, such as {num_arms: 10}, or in a preset, "
        "such as {environment: bandit, num_arms: 10}; {} is the environment itself, or every entry of a mixture",
    )
    controls: bool = option(
        False,
        "also test controls on the same tasks, such as the same θ with rewards zeroed, so that the meta-test says in "
        "which settings θ learns from reward; it takes about four times as long",
    )
    seed: int = option(
        1_000_003,
        "seed of the test lifetimes; their draws differ from those of training even if the seeds are equal",
        minimum=0,
        maximum=2**32 - 1,
    )


@dataclasses.dataclass
class StageConfig:
    """One stage of a curriculum: {environment: bandit, num_arms: 2, num_updates: 50, outer: {learning_rate: 0.01}}.

    `environment` names a preset, and further keys change it. Without `environment`, they change the job's environment.
    A stage is like a job that starts from the θ of the stage before it: its optimiser and lifetimes are new, and its
    schedules run over its own updates. `outer: {name: evolution}` chooses another outer loop, whose other keys have
    their defaults.
    """

    environment: EnvironmentConfig | MixtureConfig = option(None, "what is learned")
    num_updates: int = option(0, "updates of the stage", minimum=1)
    outer: OuterLoopConfig = option({}, "keys of the outer loop to change in this stage")


@dataclasses.dataclass
class JobConfig:
    """A whole job. Hydra composes its `loose` form; the rest of podmeta uses this typed one."""

    learner: LearnerConfig = option("???", "what learns inside a lifetime")
    environment: EnvironmentConfig | MixtureConfig = option("???", "what is learned")
    outer: OuterLoopConfig = option("???", "what changes θ")
    architecture: AnakinConfig | SebulbaConfig = option("???", "where the job runs")
    seed: int = option(0, "seed of all random draws except the meta-test's", minimum=0, maximum=2**32 - 1)
    num_updates: int = option(
        -1, "updates of θ, such as ES generations; -1: those of all stages, or 100 without stages", minimum=-1
    )
    stages: list[StageConfig] = option(
        [], "a curriculum: a list of stages such as {environment: bandit, num_updates: 100}, in order"
    )
    init_from: str = option("", "a run directory or an exported .npz file, whose θ the job starts from")
    experiment_name: str = option("unnamed", "name of the job; part of the default run_dir")
    run_dir: str = option(
        "", "the run directory, also in an object store: s3://bucket/run; default: runs/<experiment_name>/<time>"
    )
    resume: str = option(
        "auto",
        "auto: resume from the newest good checkpoint in run_dir; never: reject a run_dir that holds one",
        choices=("auto", "never"),
    )
    profile: str = option(
        "",
        "updates to trace with JAX's profiler, such as 100:110, rounded to whole calls; the trace, for Perfetto and "
        "XProf, is in profile/ of the run directory",
    )
    compilation_cache_dir: str = option("auto", "folder for compiled programs; auto: the user's cache; off: none")
    devices: DevicesConfig = dataclasses.field(default_factory=DevicesConfig)
    numerics: NumericsConfig = dataclasses.field(default_factory=NumericsConfig)
    distributed: DistributedConfig = dataclasses.field(default_factory=DistributedConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    logging: LoggingConfig = dataclasses.field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
