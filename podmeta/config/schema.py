"""Every config key, its type, its default and what it means.

Pure dataclasses: nothing here imports jax, so that `podmeta --help` and a wrong key answer at once. The YAML files
in `configs/` name presets and hold only what differs from the defaults below.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A config key: its default, its meaning, and the values that make sense.

    Args:
      default: the default.
      help: what the key means.
      minimum: the smallest value allowed (of each element of a list).
      above: a value that must be exceeded.
      maximum: the largest value allowed.
      choices: the words allowed.
    """
    metadata = {"help": help, "minimum": minimum, "above": above, "maximum": maximum, "choices": choices}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


# --- learners ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class SymmetricConfig:
    """The symmetric learner (SymLA)."""

    name: str = option("symmetric", "symmetric")
    hidden_size: int = option(16, "N: units of the LSTM that stands for each weight", minimum=1)
    message_size: int = option(8, "M: channels of a message", minimum=2)
    hidden_layers: list[int] = option([], "widths of the hidden layers; [] is one layer, K = 1", minimum=1)
    num_micro_ticks: int = option(1, "ticks of the network per env step", minimum=1)
    aggregation: str = option(
        "mean",
        "how messages are aggregated; sum_forward sums forward messages and takes the mean of backward ones",
        choices=("mean", "sum", "sum_forward"),
    )
    state_noise: float = option(
        0.0, "standard deviation of the i.i.d. noise on the cells at birth; 0: zeros", minimum=0
    )
    state_noise_fraction: float = option(1.0, "fraction of each cell's units that get the noise", minimum=0, maximum=1)
    episode_start_input: bool = option(True, "tell every LSTM whether an episode has just begun")
    activation: str = option(
        "tanh",
        "the LSTM's squashing; rational is a clipped Padé tanh, faster on CPU",
        choices=("tanh", "rational"),
    )
    forget_bias: float = option(1.0, "added to the forget gate")
    scale_observations: bool = option(
        False,
        "divide each observation component by the largest magnitude it has had in the lifetime, whatever its unit",
    )


@dataclasses.dataclass
class RecurrentConfig:
    """The recurrent learner (MetaRNN, RL²)."""

    name: str = option("recurrent", "recurrent")
    cell: str = option(
        "lstm",
        "the recurrent cell; none is a plain feed-forward policy of the observation",
        choices=("lstm", "gru", "none"),
    )
    hidden_size: int = option(48, "units of the cell", minimum=1)
    torso: str = option(
        "flat",
        "what sees the observation first: flat takes its components as they are; impala is IMPALA's residual "
        "convolutional network, for images",
        choices=("flat", "impala"),
    )
    torso_layers: list[int] = option([], "widths of an MLP between the input and the cell; [] is none", minimum=1)
    scale_observations: bool = option(
        False,
        "divide each observation component by the largest magnitude it has had in the lifetime, whatever its unit",
    )


# --- environments ------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class EnvironmentConfig:
    """What all environments share: the lifetime, and the task wrappers, drawn anew for every lifetime."""

    name: str = option("???", "the environment; one of the names below")
    lifetime_length: int = option(
        100, "T: env steps in a lifetime, on one task, over as many episodes as fit", minimum=1
    )
    permute_observations: bool = option(False, "shuffle the observation components, per lifetime")
    permute_actions: bool = option(False, "shuffle the actions, per lifetime")
    flip_observation_signs: bool = option(False, "flip the sign of each observation component or not, per lifetime")
    observation_scale: list[float] = option([], "factor on each observation component (one: on all); [] is 1")
    observation_copies: int = option(1, "times that each observation component is shown", minimum=1)
    failure_reward: bool = option(False, "pay -1 when an episode terminates and 0 otherwise, instead of its reward")
    padded_observation_size: int = option(
        0,
        "observations get zeros up to this many components; 0: none. With it a recurrent learner fits several sizes",
        minimum=0,
    )
    padded_num_actions: int = option(
        0,
        "actions up to this many, of which action i does what action i modulo the real number does; 0: none",
        minimum=0,
    )


@dataclasses.dataclass
class BanditConfig(EnvironmentConfig):
    """Bernoulli bandits: arm probabilities are the task."""

    name: str = option("bandit", "bandit")
    num_arms: int = option(5, "arms", minimum=2)
    distribution: str = option(
        "independent",
        "how arm probabilities are drawn: independent is U[0, 1] each; the others are for two arms with p2 = 1 - p1, "
        "p1 from U[0, 1] (uniform), {.1, .9} (easy), {.25, .75} (medium) or {.4, .6} (hard)",
        choices=("independent", "dependent_uniform", "dependent_easy", "dependent_medium", "dependent_hard"),
    )


@dataclasses.dataclass
class ContextualBanditConfig(EnvironmentConfig):
    """Contextual bandits: the reward of each action in each context is the task."""

    name: str = option("contextual_bandit", "contextual_bandit")
    num_contexts: int = option(2, "contexts, seen one-hot", minimum=2)
    num_actions: int = option(3, "actions", minimum=2)


@dataclasses.dataclass
class GridWorldConfig(EnvironmentConfig):
    """A grid of hearts and traps: what they are worth is the task."""

    name: str = option("grid_world", "grid_world")
    height: int = option(4, "rows", minimum=1)
    width: int = option(4, "columns", minimum=1)
    num_hearts: int = option(3, "hearts", minimum=0)
    num_traps: int = option(3, "traps", minimum=0)
    border: str = option(
        "torus", "torus: the grid's edges are joined; wall: they stop the agent", choices=("torus", "wall")
    )
    num_inner_walls: int = option(0, "wall cells inside the grid, drawn per lifetime", minimum=0)
    view: str = option(
        "neighbours_4",
        "the cells in which the agent sees each kind: those next to it, a window around it (egocentric), or all",
        choices=("neighbours_4", "neighbours_8", "egocentric", "full"),
    )
    view_radius: int = option(1, "the egocentric window is 2 view_radius + 1 cells wide", minimum=0)
    rewards: str = option(
        "fixed",
        "heart +1 and trap -1 (fixed), heart -1 and trap +1 (swapped), one of the two per lifetime (random_sign), or "
        "U[-1, 1] for each kind per lifetime (random)",
        choices=("fixed", "swapped", "random_sign", "random"),
    )
    respawn_probability: float = option(
        1.0, "per step: a taken object reappears at a random empty cell; 1: at once", minimum=0, maximum=1
    )
    episode_length: int = option(0, "steps after which an episode is truncated; 0: it never ends", minimum=0)


@dataclasses.dataclass
class ObjectGridWorldConfig(EnvironmentConfig):
    """The object grid-worlds of LPG: where the objects are is the task."""

    name: str = option("object_grid_world", "object_grid_world")
    mode: str = option("dense", "which of them", choices=("dense", "sparse", "long", "longer", "long_dense"))
    positions: str = option(
        "task",
        "where agent and objects are is drawn per task (tabular), or per episode and whenever an object reappears",
        choices=("task", "episode"),
    )


@dataclasses.dataclass
class TabularMDPConfig(EnvironmentConfig):
    """Random tabular MDPs, as in RL²: transitions and rewards are the task."""

    name: str = option("tabular_mdp", "tabular_mdp")
    lifetime_length: int = option(
        110, "T: env steps in a lifetime; horizon + 1 per episode, for the reset is a step too", minimum=1
    )
    num_states: int = option(10, "states, seen one-hot", minimum=1)
    num_actions: int = option(5, "actions", minimum=1)
    horizon: int = option(10, "steps in an episode", minimum=1)


@dataclasses.dataclass
class GymnaxConfig(EnvironmentConfig):
    """Any gymnax environment with a discrete or box action space."""

    name: str = option("gymnax", "gymnax")
    id: str = option("CartPole-v1", "the environment's gymnax id")
    parameters: dict[str, Any] = option({}, "gymnax environment parameters to change, such as max_steps_in_episode")


@dataclasses.dataclass
class XLandConfig(EnvironmentConfig):
    """XLand-MiniGrid (extra: xland): a goal, production rules and the objects on the grid are the task."""

    name: str = option("xland", "xland")
    lifetime_length: int = option(
        500, "T: env steps in a lifetime, on one task, over as many episodes as fit", minimum=1
    )
    id: str = option(
        "XLand-MiniGrid-R1-9x9",
        "rooms and size of the grid",
        choices=tuple(
            f"XLand-MiniGrid-R{num_rooms}-{size}x{size}"
            for num_rooms, sizes in (
                (1, (9, 11, 13, 15, 17)),
                (2, (9, 11, 13, 15, 17)),
                (4, (9, 11, 13, 15, 17)),
                (6, (13, 17, 19)),
                (9, (16, 19, 25)),
            )
            for size in sizes
        ),
    )
    view_size: int = option(5, "the agent sees this many cells, odd, ahead and across", minimum=3)
    episode_length: int = option(
        0, "steps after which an episode is truncated; 0: three times the cells of the grid", minimum=0
    )
    num_rules: int = option(1, "production rules, one after the other, that lead to the goal", minimum=0, maximum=20)
    num_distractors: int = option(3, "objects on the grid that lead nowhere", minimum=0, maximum=10)
    benchmark: str = option(
        "",
        "a benchmark file of XLand-MiniGrid's, to draw rule sets from instead of making them up. "
        "It is a pickle, which can run code: take one that you trust",
    )
    first_ruleset: int = option(0, "where in the benchmark to begin", minimum=0)
    num_rulesets: int = option(0, "rule sets of the benchmark to draw from; 0: all that follow", minimum=0)


@dataclasses.dataclass
class BraxConfig(EnvironmentConfig):
    """A brax environment (extra: brax): a body to be moved by continuous actions."""

    name: str = option("brax", "brax")
    lifetime_length: int = option(
        1000, "T: env steps in a lifetime, on one task, over as many episodes as fit", minimum=1
    )
    # brax has a swimmer too, which calls jnp.clip in a way that JAX has given up, and only one of its physics.
    id: str = option(
        "inverted_pendulum",
        "the body",
        choices=(
            "ant",
            "halfcheetah",
            "hopper",
            "humanoid",
            "humanoidstandup",
            "inverted_double_pendulum",
            "inverted_pendulum",
            "pusher",
            "reacher",
            "walker2d",
        ),
    )
    backend: str = option(
        "spring",
        "the physics: spring is fast, mjx is MuJoCo's",
        choices=("generalized", "spring", "positional", "mjx"),
    )
    episode_length: int = option(1000, "steps after which an episode is truncated; 0: never", minimum=0)


@dataclasses.dataclass
class HostEnvironmentConfig(EnvironmentConfig):
    """What environments that live on the host, in C++ or Python, share: architecture=sebulba runs them."""

    lifetime_length: int = option(
        500, "T: env steps in a lifetime, on one task, over as many episodes as fit", minimum=1
    )


@dataclasses.dataclass
class EnvpoolConfig(HostEnvironmentConfig):
    """A pool of C++ environments of envpool (extra: envpool)."""

    name: str = option("envpool", "envpool")
    id: str = option("CartPole-v1", "the environment's envpool id")
    observation: str = option(
        "obs", "which of the arrays that the pool hands out is the observation: obs, or ram for the 128 bytes of Atari"
    )
    else_gymnasium: bool = option(
        False, "where envpool is not installed, take gymnasium's environment of the same id, without the options"
    )
    options: dict[str, Any] = option(
        {}, "envpool's own options for the environment, such as num_threads (0: one per core), frame_skip, reward_clip"
    )


@dataclasses.dataclass
class PythonEnvironmentConfig(HostEnvironmentConfig):
    """What environments written in Python share, which step one at a time."""

    vectorisation: str = option(
        "inline",
        "where a batch steps: inline, one after the other in the actor's thread, or in worker processes",
        choices=("inline", "processes"),
    )
    num_processes: int = option(
        0, "worker processes of a batch, each with an equal share of it; 0: one per core", minimum=0
    )


@dataclasses.dataclass
class GymnasiumConfig(PythonEnvironmentConfig):
    """Any registered gymnasium environment (extra: gymnasium)."""

    name: str = option("gymnasium", "gymnasium")
    id: str = option(
        "CartPole-v1", "the environment's gymnasium id; my_module:MyEnvironment-v0 imports my_module first"
    )
    options: dict[str, Any] = option({}, "arguments of gymnasium.make, such as max_episode_steps")


@dataclasses.dataclass
class BsuiteConfig(PythonEnvironmentConfig):
    """An environment of the behaviour suite (extra: bsuite)."""

    name: str = option("bsuite", "bsuite")
    id: str = option("catch/0", "the experiment and the number of its setting")


@dataclasses.dataclass
class DmControlConfig(PythonEnvironmentConfig):
    """A task of the DeepMind control suite (extra: dm_control)."""

    name: str = option("dm_control", "dm_control")
    id: str = option("cartpole/swingup", "the domain and the task")


@dataclasses.dataclass
class FactoryConfig(PythonEnvironmentConfig):
    """Any dm_env.Environment, made by a function of the user's."""

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_env, a function that returns a dm_env.Environment. Where it takes a seed, it is called for "
        "every lifetime, and may draw a task from the seed; else once",
    )
    options: dict[str, Any] = option({}, "further arguments of the factory")


@dataclasses.dataclass
class MixtureEntryConfig:
    """One environment of a mixture: {environment: bandit, num_arms: 10, lifetimes: 4, weight: 2.0}.

    `environment` is a preset's name, and the keys of the environment that change stand beside it.
    """

    environment: Any = option(None, "the environment")
    lifetimes: int = option(
        0,
        "lifetimes of it per member (evolution) or per row (actor-critic); "
        "0: as many as in a job on it alone, which is outer.lifetimes_per_member or 1",
        minimum=0,
    )
    weight: float = option(1.0, "its share in the update, relative to the other entries", minimum=0)
    label: str = option("", "its name in metrics; default: the preset's, with the changed keys if it has namesakes")


@dataclasses.dataclass
class MixtureConfig:
    """Several environments in every update, of any sizes and lengths."""

    name: str = option("mixture", "mixture")
    entries: list[Any] = option([], "the environments: a list of such as {environment: bandit, num_arms: 10}")

    @property
    def is_whole(self) -> bool:
        """Whether the entries are typed and whole, as in a composed job, or still as the user wrote them."""
        return bool(self.entries) and all(isinstance(entry, MixtureEntryConfig) for entry in self.entries)


# --- outer loops -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class ScheduleConfig:
    """How a rate changes over the updates of a job."""

    name: str = option("constant", "its shape", choices=("constant", "linear", "cosine", "exponential"))
    end_factor: float = option(0.1, "the factor reached at the last update, for all but constant", above=0, maximum=1)
    warmup_updates: int = option(0, "updates over which the factor first rises linearly from 0 to 1", minimum=0)


@dataclasses.dataclass
class EvolutionConfig:
    """Antithetic evolution strategies (OpenAI-ES)."""

    name: str = option("evolution", "evolution")
    population_size: int = option(256, "members, even: they come in antithetic pairs", minimum=2)
    lifetimes_per_member: int = option(8, "lifetimes over which a member's fitness is averaged", minimum=1)
    noise_std: float = option(0.1, "σ of the perturbations", above=0)
    noise_std_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    unroll_length: int = option(
        0, "env steps per update of lifetimes that go on across updates (noise reuse); 0: whole lifetimes", minimum=0
    )
    noise_rank: int = option(0, "rank of each matrix's perturbation, u vᵀ / sqrt(rank); 0 is full rank", minimum=0)
    fitness: str = option(
        "reward",
        "what a member is judged by; expected_reward, under its policy, has less noise, and holds in those "
        "environments that know it: the others go on with the reward",
        choices=("reward", "expected_reward"),
    )
    fitness_shaping: str = option(
        "centred_rank", "over the whole population", choices=("centred_rank", "z_score", "raw")
    )
    fitness_fraction: float = option(
        1.0, "the fitness is the mean reward of this last part of the lifetime", above=0, maximum=1
    )
    optimiser: str = option("adam", "any optax optimiser that takes a learning rate, by its name in optax")
    optimiser_arguments: dict[str, Any] = option({}, "its further arguments, such as b1")
    learning_rate: float = option(0.03, "learning rate", above=0)
    learning_rate_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    weight_decay: float = option(0.0, "θ shrinks by learning_rate * weight_decay per update", minimum=0)


@dataclasses.dataclass
class ActorCriticConfig:
    """Gradient meta-training through the learner's own recurrence (RL²), with V-trace."""

    name: str = option("actor_critic", "actor_critic")
    num_lifetimes: int = option(64, "lifetimes side by side, over all devices", minimum=1)
    unroll_length: int = option(100, "env steps of every lifetime per update; it divides lifetime_length", minimum=1)
    discount: float = option(0.99, "γ, per env step", minimum=0, maximum=1)
    discount_across_episodes: bool = option(True, "the return runs on over episode ends, to the lifetime's end (RL²)")
    td_lambda: float = option(1.0, "λ of V-trace's targets", minimum=0, maximum=1)
    clip_ratio: float = option(1.0, "V-trace's clip of importance ratios", above=0)
    ppo_clip: float = option(0.0, "PPO's clip of importance ratios; 0: the plain policy gradient", minimum=0)
    num_epochs: int = option(1, "passes over the trajectories of an update", minimum=1)
    num_minibatches: int = option(1, "gradient steps per pass; it divides the lifetimes of a device", minimum=1)
    entropy_cost: float = option(0.01, "weight of the entropy bonus", minimum=0)
    value_cost: float = option(0.5, "weight of the value loss, whose target is normalised", minimum=0)
    normalise_advantages: bool = option(True, "advantages get mean 0 and standard deviation 1 in every gradient step")
    max_gradient_norm: float = option(1.0, "gradients are clipped to this norm; 0: not at all", minimum=0)
    remat_chunk: int = option(
        0, "env steps per chunk whose learner states are made again for the gradient, to save memory; 0: off", minimum=0
    )
    optimiser: str = option("adam", "any optax optimiser that takes a learning rate, by its name in optax")
    optimiser_arguments: dict[str, Any] = option({}, "its further arguments, such as b1")
    learning_rate: float = option(0.001, "learning rate", above=0)
    learning_rate_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)


# --- architectures -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class AnakinConfig:
    """Environment and learner in one compiled program on the devices."""

    name: str = option("anakin", "anakin")
    updates_per_call: int = option(10, "updates the devices run between two looks of the host", minimum=1)
    rows_at_once: int = option(
        0,
        "rows of a device (pairs of members, or lifetimes) that live side by side, the others after them: fewer need "
        "less memory, and are faster where the learner states of all do not fit the caches; 0: all",
        minimum=0,
    )
    num_instances: int = option(1, "S: independent meta-learners in the one program", minimum=1)
    instance_seeds: list[int] = option([], "seed of each instance; [] is seed, seed + 1, …", minimum=0)
    instance_learning_rates: list[float] = option(
        [], "learning rate of each instance; [] is outer.learning_rate", above=0
    )
    instance_noise_stds: list[float] = option([], "σ of each instance; [] is outer.noise_std", above=0)


@dataclasses.dataclass
class SebulbaConfig:
    """Actors and a learner, for environments that live on the host."""

    name: str = option("sebulba", "sebulba")
    updates_per_call: int = option(10, "updates between two looks at metrics and checkpoints", minimum=1)
    actor_devices: int = option(0, "devices that only act; 0: those that learn act as well", minimum=0)
    learner_devices: int = option(0, "devices that learn; 0: all that do not only act", minimum=0)
    actor_threads: int = option(
        2, "threads per actor device, each with its own environments: one steps them while another infers", minimum=1
    )
    actor_cores: int = option(
        0,
        "cores that the actors of this process are kept to, one after the other, with the threads of their "
        "environment pools (on Linux; elsewhere nothing is kept). It pays where an env step is quicker than waking "
        "another core, as CartPole's: one a thread where unrolls are one program, else 1; 0: any",
        minimum=0,
    )
    max_lag: int = option(
        1,
        "updates that the θ which acts may be behind the one that learns; 0: they alternate, and a job ends at the "
        "same θ each time. Evolution always waits",
        minimum=0,
    )
    actor_timeout_s: float = option(
        60.0, "seconds after which an environment that does not answer ends the job", above=0
    )


# --- the job -----------------------------------------------------------------------------------------------------


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
    num_tasks: int = option(1000, "held-out tasks per setting", minimum=2)
    settings: list[Any] = option(
        [{}],
        "one meta-test per entry: keys changed in the environment trained on, such as {num_arms: 10}, or in a preset, "
        "such as {environment: bandit, num_arms: 10}; {} is the environment itself, or every entry of a mixture",
    )
    seed: int = option(1_000_003, "seed of the held-out tasks, apart from every training seed", minimum=0)


@dataclasses.dataclass
class StageConfig:
    """One stage of a curriculum: {environment: bandit, num_arms: 2, num_updates: 50, outer: {learning_rate: 0.01}}.

    `environment` is a preset's name, and the keys of the environment that change stand beside it; without it they
    change the job's environment. A stage is like a job that starts from the θ of the stage before it: its optimiser
    has seen nothing, its lifetimes are new, and its schedules run over its own updates. With `outer: {name: evolution}`
    another outer loop than the job's takes over, whose other keys have their defaults.
    """

    environment: Any = option(None, "what is learnt")
    num_updates: int = option(0, "updates of the stage", minimum=1)
    outer: Any = option({}, "keys of the outer loop that change for this stage")


@dataclasses.dataclass
class JobConfig:
    """A whole job."""

    learner: Any = option("???", "what learns inside a lifetime")
    environment: Any = option("???", "what is learnt")
    outer: Any = option("???", "what changes θ")
    architecture: Any = option("???", "where it runs")
    seed: int = option(0, "the seed of everything", minimum=0, maximum=2**32 - 1)
    num_updates: int = option(
        -1, "updates of θ: ES generations or gradient steps; -1: those of all stages, or 100 without stages", minimum=-1
    )
    stages: list[Any] = option(
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


GROUPS: dict[str, dict[str, type]] = {
    "learner": {"symmetric": SymmetricConfig, "recurrent": RecurrentConfig},
    "environment": {
        "bandit": BanditConfig,
        "contextual_bandit": ContextualBanditConfig,
        "grid_world": GridWorldConfig,
        "object_grid_world": ObjectGridWorldConfig,
        "tabular_mdp": TabularMDPConfig,
        "gymnax": GymnaxConfig,
        "xland": XLandConfig,
        "brax": BraxConfig,
        "envpool": EnvpoolConfig,
        "gymnasium": GymnasiumConfig,
        "bsuite": BsuiteConfig,
        "dm_control": DmControlConfig,
        "factory": FactoryConfig,
        "mixture": MixtureConfig,
    },
    "outer": {"evolution": EvolutionConfig, "actor_critic": ActorCriticConfig},
    "architecture": {"anakin": AnakinConfig, "sebulba": SebulbaConfig},
}
"""The dataclass behind every `name` of every config group."""


def schema_fields() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every key of the schema, dotted, and its field. Members of a group that share a key each have their own."""

    def below(prefix: str, schema: type) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
        for field in dataclasses.fields(schema):
            yield prefix + field.name, field
            if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
                yield from below(f"{prefix}{field.name}.", field.type)

    yield from below("", JobConfig)
    for group, members in GROUPS.items():
        for schema in members.values():
            yield from below(f"{group}.", schema)


@functools.cache
def open_keys() -> frozenset[str]:
    """The keys that hold a mapping in which the schema leaves open which keys there are."""
    return frozenset(key for key, field in schema_fields() if field.type == dict[str, Any])
