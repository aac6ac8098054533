"""The keys of outer loops."""

import dataclasses
from typing import ClassVar

from podmeta.config.schema.code_texts import factory_texts
from podmeta.config.schema.option import option
from podmeta.value_types import Json


@dataclasses.dataclass
class ScheduleConfig:
    """How a rate changes over the updates of a job, or of a stage.

    If a job is resumed with a larger `num_updates`, its schedules are longer, and a rate that had fallen rises again; a
    line says so at the start. To keep the original schedule, set the schedule's own `num_updates`.
    """

    name: str = option("constant", "its shape", choices=("constant", "linear", "cosine", "exponential"))
    end_factor: float = option(0.1, "the factor at the last update, for all shapes but constant", above=0, maximum=1)
    warmup_updates: int = option(0, "updates over which the factor first rises linearly from 0 to 1", minimum=0)
    num_updates: int = option(
        0,
        "length of the schedule, after which it stays at end_factor; 0: the num_updates of the job, or of its stage",
        minimum=0,
    )


@dataclasses.dataclass
class OuterLoopConfig:
    """The common part of every outer loop's config: how the work of an update divides into slots.

    Attributes:
      size_key: the key with the size of an update, such as `population_size`.
      slot_size: how many of these units make one slot.
      slot_name: what a slot is, in the plural, for messages.
    """

    size_key: ClassVar[str]
    slot_size: ClassVar[int] = 1
    slot_name: ClassVar[str] = "slots"

    name: str
    learning_rate: float = option(0.001, "learning rate", above=0)

    @property
    def size(self) -> int:
        """The value of `size_key`."""
        size: int = getattr(self, self.size_key)
        return size

    @property
    def num_slots(self) -> int:
        """Slots of one update."""
        return self.size // self.slot_size

    @property
    def slots_multiple(self) -> int:
        """The slots of a device must be a multiple of this."""
        return 1

    def code_texts(self) -> dict[str, str]:
        """The values that name code to run, by key. Somebody else's run may not set them."""
        return {}


@dataclasses.dataclass
class MetaOptimiserConfig(OuterLoopConfig):
    """How a gradient becomes a new θ, in the same way for all outer loops of podmeta (outer/meta_optimiser.py)."""

    optimiser: str = option("adam", "name of an optax optimiser that takes a learning rate")
    optimiser_arguments: dict[str, Json] = option({}, "further arguments of the optimiser, such as b1")
    learning_rate_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    average_decay: float = option(
        0.0,
        "decay per update of a moving average of θ, which replaces θ at the last update of a job or stage; 0: none; "
        "1: the mean of all updates",
        minimum=0,
        maximum=1,
    )


@dataclasses.dataclass
class EvolutionConfig(MetaOptimiserConfig):
    """Antithetic evolution strategies (OpenAI-ES)."""

    size_key: ClassVar[str] = "population_size"
    slot_size: ClassVar[int] = 2
    slot_name: ClassVar[str] = "antithetic pairs"

    name: str = option("evolution", "evolution")
    population_size: int = option(256, "number of members; even, because they are antithetic pairs", minimum=2)
    lifetimes_per_member: int = option(8, "lifetimes over which a member's fitness is averaged", minimum=1)
    noise_std: float = option(0.1, "σ of the perturbations", above=0)
    noise_std_schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    unroll_length: int = option(
        0, "env steps per update, if lifetimes continue across updates (noise reuse); 0: whole lifetimes", minimum=0
    )
    evolved: list[str] = option(
        [],
        "prefixes of the names of the parameters of θ that evolution changes, such as base_ for the numbers of a "
        "hand-written base; []: all parameters",
    )
    noise_rank: int = option(0, "rank of each matrix's perturbation, u vᵀ / sqrt(rank); 0: full rank", minimum=0)
    fitness: str = option(
        "reward",
        "what a member is judged by. expected_reward (under its policy) has less noise than reward, and so has a "
        "teacher's expected_advantage, which includes the consequences of actions. Environments that do not know them "
        "use the reward",
        choices=("reward", "expected_reward", "expected_advantage"),
    )
    fitness_weighting: str = option(
        "uniform",
        "weights of the env steps of a lifetime: uniform, or half of the fitness from the first fifth of the lifetime "
        "and half from the last, so that learning early and not forgetting count equally",
        choices=("uniform", "first_and_last_fifth"),
    )
    fitness_shaping: str = option(
        "centred_rank", "shaping of the fitness over the whole population", choices=("centred_rank", "z_score", "raw")
    )
    fitness_fraction: float = option(
        1.0,
        "the fitness is the mean reward over this last fraction of the lifetime, with or without unroll_length",
        above=0,
        maximum=1,
    )
    learning_rate: float = option(0.03, "learning rate", above=0)
    weight_decay: float = option(0.0, "θ shrinks by learning_rate * weight_decay per update", minimum=0)


@dataclasses.dataclass
class GradientConfig(MetaOptimiserConfig):
    """The common part of outer loops that take gradients through the learner's recurrence."""

    size_key: ClassVar[str] = "num_lifetimes"
    slot_name: ClassVar[str] = "lifetimes"

    num_lifetimes: int = option(64, "parallel lifetimes, over all devices", minimum=1)
    unroll_length: int = option(100, "env steps of every lifetime per update; must divide lifetime_length", minimum=1)
    max_gradient_norm: float = option(1.0, "gradients are clipped to this norm; 0: no clipping", minimum=0)
    remat_chunk: int = option(
        0, "env steps per chunk whose learner states are recomputed for the gradient, to save memory; 0: off", minimum=0
    )


@dataclasses.dataclass
class ActorCriticConfig(GradientConfig):
    """Gradient meta-training by actor-critic (RL²), with V-trace."""

    name: str = option("actor_critic", "actor_critic")
    discount: float = option(0.99, "γ, per env step", minimum=0, maximum=1)
    discount_across_episodes: bool = option(
        True, "returns continue across episode ends, to the end of the lifetime (RL²)"
    )
    td_lambda: float = option(1.0, "λ of V-trace's targets", minimum=0, maximum=1)
    clip_ratio: float = option(1.0, "V-trace's clip of importance ratios", above=0)
    ppo_clip: float = option(0.0, "PPO's clip of importance ratios; 0: the plain policy gradient", minimum=0)
    num_epochs: int = option(1, "passes over the trajectories of an update", minimum=1)
    num_minibatches: int = option(1, "gradient steps per pass; must divide the lifetimes of a device", minimum=1)
    entropy_cost: float = option(0.01, "weight of the entropy bonus", minimum=0)
    value_cost: float = option(0.5, "weight of the value loss, whose target is normalised", minimum=0)
    normalise_advantages: bool = option(
        True, "scale advantages to mean 0 and standard deviation 1 in every gradient step"
    )

    @property
    def slots_multiple(self) -> int:
        """A device's lifetimes divide into minibatches."""
        return self.num_minibatches


@dataclasses.dataclass
class DistillationConfig(GradientConfig):
    """Gradient meta-training to imitate a teacher, in environments that know the expected advantage of every action."""

    name: str = option("distillation", "distillation")
    sharpness: float = option(2.0, "the teacher's policy is the softmax of this times its advantages", above=0)
    without_base: bool = option(
        False, "only the LSTMs' part of the policy imitates the teacher; learner.base merely acts with them"
    )
    learning_rate: float = option(0.003, "learning rate", above=0)


@dataclasses.dataclass
class OuterFactoryConfig(OuterLoopConfig):
    """The user's own outer loop, made by a function."""

    size_key: ClassVar[str] = "slots"

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_loop, a function of (config, entries, num_updates, first_update) that returns an OuterLoop",
    )
    options: dict[str, Json] = option({}, "further arguments of the factory")
    slots: int = option(64, "slots of an update, over all devices", minimum=1)
    lifetimes_per_member: int = option(1, "lifetimes of each environment per member of a slot", minimum=1)
    noise_std: float = option(0.1, "σ, if the outer loop uses noise", above=0)

    def code_texts(self) -> dict[str, str]:
        """The function, and strings among its arguments."""
        return factory_texts(self.factory, self.options)
