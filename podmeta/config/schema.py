"""Every config key, its type, its default and what it means.

Pure dataclasses: nothing here imports jax, so that `podmeta --help` and a wrong key answer at once. The YAML files
in `configs/` name presets and hold only what differs from the defaults below.
"""

import dataclasses
from typing import Any


def option(default: Any, help: str) -> Any:
    """A config key with its default and its meaning."""
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: default.copy(), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})


# --- learners ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class SymmetricConfig:
    """The symmetric learner (SymLA)."""

    name: str = option("symmetric", "symmetric")
    hidden_size: int = option(16, "N: units of the LSTM that stands for each weight")
    message_size: int = option(8, "M: channels of a message")
    hidden_layers: list[int] = option([], "widths of the hidden layers; [] is one layer, K = 1")
    num_micro_ticks: int = option(1, "ticks of the network per env step")
    aggregation: str = option("mean", "how messages are aggregated: mean or sum")
    state_noise: float = option(0.0, "standard deviation of the i.i.d. noise on the cells at birth; 0: zeros")
    state_noise_fraction: float = option(1.0, "fraction of each cell's units that get the noise")
    episode_start_input: bool = option(True, "tell every LSTM whether an episode has just begun")
    activation: str = option("tanh", "the LSTM's squashing: tanh, or rational (a clipped Padé tanh, faster on CPU)")
    forget_bias: float = option(1.0, "added to the forget gate")


@dataclasses.dataclass
class RecurrentConfig:
    """The recurrent learner (MetaRNN, RL²)."""

    name: str = option("recurrent", "recurrent")
    cell: str = option("lstm", "lstm or gru")
    hidden_size: int = option(48, "units of the cell")
    torso_layers: list[int] = option([], "widths of an MLP between the input and the cell; [] is none")


# --- environments ------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class EnvironmentConfig:
    """What all environments share: the lifetime, and the task wrappers, drawn anew for every lifetime."""

    name: str = option("???", "bandit or gymnax")
    lifetime_length: int = option(100, "T: env steps in a lifetime, on one task, over as many episodes as fit")
    permute_observations: bool = option(False, "shuffle the observation components, per lifetime")
    permute_actions: bool = option(False, "shuffle the actions, per lifetime")
    flip_observation_signs: bool = option(False, "flip the sign of each observation component or not, per lifetime")
    observation_scale: list[float] = option([], "factor on each observation component (one: on all); [] is 1")
    failure_reward: bool = option(False, "pay -1 when an episode terminates and 0 otherwise, instead of its reward")


@dataclasses.dataclass
class BanditConfig(EnvironmentConfig):
    """Bernoulli bandits: arm probabilities are the task."""

    name: str = option("bandit", "bandit")
    num_arms: int = option(5, "arms")
    distribution: str = option(
        "independent",
        "how arm probabilities are drawn: independent (each U[0, 1]), or two dependent arms with p2 = 1 - p1: "
        "dependent_uniform, dependent_easy {.1, .9}, dependent_medium {.25, .75}, dependent_hard {.4, .6}",
    )


@dataclasses.dataclass
class GymnaxConfig(EnvironmentConfig):
    """Any gymnax environment with a discrete or box action space."""

    name: str = option("gymnax", "gymnax")
    id: str = option("CartPole-v1", "the environment's gymnax id")
    parameters: dict[str, Any] = option({}, "gymnax environment parameters to change, such as max_steps_in_episode")


# --- outer loops -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class ScheduleConfig:
    """How a rate changes over the updates of a job."""

    name: str = option("constant", "constant, linear, cosine or exponential")
    end_factor: float = option(0.1, "the factor reached at the last update, for all but constant")
    warmup_updates: int = option(0, "updates over which the factor first rises linearly from 0 to 1")


@dataclasses.dataclass
class EvolutionConfig:
    """Antithetic evolution strategies (OpenAI-ES)."""

    name: str = option("evolution", "evolution")
    population_size: int = option(256, "members, even: they come in antithetic pairs")
    lifetimes_per_member: int = option(8, "lifetimes over which a member's fitness is averaged")
    noise_std: float = option(0.1, "σ of the perturbations")
    noise_std_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    noise_rank: int = option(0, "rank of each matrix's perturbation, u vᵀ / sqrt(rank); 0 is full rank")
    fitness_shaping: str = option("centred_rank", "centred_rank, z_score or raw, over the whole population")
    fitness_fraction: float = option(1.0, "the fitness is the mean reward of this last part of the lifetime")
    optimiser: str = option("adam", "any optax optimiser that takes a learning rate, by its name in optax")
    optimiser_arguments: dict[str, Any] = option({}, "its further arguments, such as b1")
    learning_rate: float = option(0.03, "learning rate")
    learning_rate_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    weight_decay: float = option(0.0, "θ shrinks by learning_rate * weight_decay per update")


# --- architectures -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class AnakinConfig:
    """Environment and learner in one compiled program on the devices."""

    name: str = option("anakin", "anakin")
    updates_per_call: int = option(10, "updates the devices run between two looks of the host")
    num_instances: int = option(1, "S: independent meta-learners in the one program")
    instance_seeds: list[int] = option([], "seed of each instance; [] is seed, seed + 1, …")
    instance_learning_rates: list[float] = option([], "learning rate of each instance; [] is outer.learning_rate")
    instance_noise_stds: list[float] = option([], "σ of each instance; [] is outer.noise_std")
    members_per_batch: int = option(0, "members a device runs side by side, batch after batch; 0 is all of its own")


# --- the job -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class DevicesConfig:
    """Which devices the job runs on."""

    cpu: int = option(0, "number of CPU devices to make and use; 0: what JAX finds")


@dataclasses.dataclass
class CheckpointConfig:
    """When to save, and how many to keep. 0 switches a rule off; the end of a run always saves."""

    every_updates: int = option(0, "save when this many updates have passed")
    every_seconds: float = option(60.0, "save when this many seconds have passed")
    keep: int = option(3, "the last n checkpoints stay")


@dataclasses.dataclass
class LoggingConfig:
    """What is written about a run."""

    every_updates: int = option(10, "updates per line of metrics.jsonl (rounded up to whole calls)")
    tensorboard: bool = option(True, "write TensorBoard event files")
    wandb: bool = option(False, "log to Weights & Biases (extra: wandb)")
    wandb_project: str = option("podmeta", "its project")
    progress: bool = option(True, "show a progress bar (plain lines where there is no terminal)")


@dataclasses.dataclass
class EvaluationConfig:
    """The meta-test at the end of a run."""

    enabled: bool = option(True, "meta-test when training ends")
    num_tasks: int = option(1000, "held-out tasks per setting")
    settings: list[dict[str, Any]] = option(
        [{}], "one meta-test per entry: environment keys changed, such as {num_arms: 10}"
    )
    seed: int = option(1_000_003, "seed of the held-out tasks, apart from every training seed")


@dataclasses.dataclass
class JobConfig:
    """A whole job."""

    learner: Any = option("???", "what learns inside a lifetime")
    environment: Any = option("???", "what is learnt")
    outer: Any = option("???", "what changes θ")
    architecture: Any = option("???", "where it runs")
    seed: int = option(0, "the seed of everything")
    num_updates: int = option(100, "updates of θ: ES generations or gradient steps")
    experiment_name: str = option("unnamed", "names the run directory")
    run_dir: str = option("", "the run directory; default: runs/<experiment_name>/<time>")
    resume: str = option("auto", "auto: go on from the newest good checkpoint in run_dir; never: refuse to")
    compilation_cache_dir: str = option("auto", "where compiled programs are kept; auto: the user's cache; off")
    devices: DevicesConfig = dataclasses.field(default_factory=DevicesConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    logging: LoggingConfig = dataclasses.field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)


GROUPS: dict[str, dict[str, type]] = {
    "learner": {"symmetric": SymmetricConfig, "recurrent": RecurrentConfig},
    "environment": {"bandit": BanditConfig, "gymnax": GymnaxConfig},
    "outer": {"evolution": EvolutionConfig},
    "architecture": {"anakin": AnakinConfig},
}
"""The dataclass behind every `name` of every config group."""
