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

    cpu: int = option(0, "number of CPU devices to make and use; 0: what JAX finds", minimum=0)


@dataclasses.dataclass
class DistributedConfig:
    """The processes of one job on many hosts. Where SLURM or Open MPI start them, nothing need be set."""

    enabled: str = option(
        "auto",
        "auto: the job has several processes where coordinator_address is set, or SLURM or Open MPI has started "
        "several; on: also where JAX finds out by itself, as on GKE and TPU VMs; off: one process",
        choices=("auto", "on", "off"),
    )
    coordinator_address: str = option("", "host:port of process 0; needs num_processes and process_id")
    num_processes: int = option(0, "processes of the job; 0: as many as were started together", minimum=0)
    process_id: int = option(-1, "which of them this one is, from 0; -1: as what started it says", minimum=-1)
    heartbeat_s: int = option(30, "seconds without a sign of life after which a process counts as dead", minimum=5)


@dataclasses.dataclass
class CheckpointConfig:
    """When to save, and how many to keep. 0 switches a rule off; the end of a run always saves."""

    every_updates: int = option(0, "save when this many updates have passed", minimum=0)
    every_seconds: float = option(60.0, "save when this many seconds have passed", minimum=0)
    keep: int = option(3, "the last n checkpoints stay", minimum=1)


@dataclasses.dataclass
class LoggingConfig:
    """What is written about a run."""

    every_updates: int = option(10, "updates per line of metrics.jsonl (rounded up to whole calls)", minimum=1)
    tensorboard: bool = option(True, "write TensorBoard event files")
    wandb: bool = option(False, "log to Weights & Biases (extra: wandb)")
    wandb_project: str = option("podmeta", "its project")
    progress: bool = option(True, "show a progress bar (plain lines where there is no terminal)")


@dataclasses.dataclass
class EvaluationConfig:
    """The meta-test at the end of a run."""

    enabled: bool = option(True, "meta-test when training ends")
    num_tasks: int = option(1000, "lifetimes per setting, each on a task drawn anew", minimum=2)
    settings: list[Json] = option(
        [{}],
        "one meta-test per entry: keys changed in the environment trained on, such as {num_arms: 10}, or in a preset, "
        "such as {environment: bandit, num_arms: 10}; {} is the environment itself, or every entry of a mixture",
    )
    seed: int = option(
        1_000_003,
        "seed of the lifetimes, whose draws are apart from those of training whatever its seed",
        minimum=0,
        maximum=2**32 - 1,
    )


@dataclasses.dataclass
class StageConfig:
    """One stage of a curriculum: {environment: bandit, num_arms: 2, num_updates: 50, outer: {learning_rate: 0.01}}.

    `environment` is a preset's name, and the keys of the environment that change stand beside it; without it they
    change the job's environment. A stage is like a job that starts from the θ of the stage before it: its optimiser
    has seen nothing, its lifetimes are new, and its schedules run over its own updates. With `outer: {name: evolution}`
    another outer loop than the job's takes over, whose other keys have their defaults.
    """

    environment: EnvironmentConfig | MixtureConfig = option(None, "what is learnt")
    num_updates: int = option(0, "updates of the stage", minimum=1)
    outer: OuterLoopConfig = option({}, "keys of the outer loop that change for this stage")


@dataclasses.dataclass
class JobConfig:
    """A whole job. The rest of podmeta sees it typed; Hydra composes it by `loose`."""

    learner: LearnerConfig = option("???", "what learns inside a lifetime")
    environment: EnvironmentConfig | MixtureConfig = option("???", "what is learnt")
    outer: OuterLoopConfig = option("???", "what changes θ")
    architecture: AnakinConfig | SebulbaConfig = option("???", "where it runs")
    seed: int = option(0, "the seed of everything", minimum=0, maximum=2**32 - 1)
    num_updates: int = option(
        -1, "updates of θ: ES generations or gradient steps; -1: those of all stages, or 100 without stages", minimum=-1
    )
    stages: list[StageConfig] = option(
        [], "a curriculum: a list of such as {environment: bandit, num_updates: 100}, one after the other"
    )
    init_from: str = option("", "a run directory, or an .npz file of a θ, whose θ the job starts from")
    experiment_name: str = option("unnamed", "names the run directory")
    run_dir: str = option("", "the run directory; default: runs/<experiment_name>/<time>")
    resume: str = option(
        "auto",
        "auto goes on from the newest good checkpoint in run_dir; never refuses a run_dir that holds one",
        choices=("auto", "never"),
    )
    compilation_cache_dir: str = option("auto", "where compiled programs are kept; auto: the user's cache; off")
    devices: DevicesConfig = dataclasses.field(default_factory=DevicesConfig)
    distributed: DistributedConfig = dataclasses.field(default_factory=DistributedConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    logging: LoggingConfig = dataclasses.field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
