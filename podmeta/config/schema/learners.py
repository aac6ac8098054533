"""The keys of learners."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts
from podmeta.config.schema.option import option
from podmeta.value_types import Json


@dataclasses.dataclass
class LearnerConfig:
    """The common part of every learner's config."""

    name: str
    scale_observations: bool = option(
        False,
        "divide each observation component by its largest magnitude so far in the lifetime, so units do not matter",
    )
    normalise_rewards: bool = option(
        False,
        "two reward inputs: the reward divided by the largest magnitude of rewards so far in the lifetime, and its "
        "distance from their running mean, divided by the largest such distance; so units do not matter",
    )
    scale_rewards: bool = option(
        False, "one reward input: the reward divided by the largest magnitude of rewards so far in the lifetime"
    )

    @property
    def has_base(self) -> bool:
        """Whether a hand-written rule acts beneath what is learned."""
        return False

    def code_texts(self) -> dict[str, str]:
        """The values that name code to run, by key. Somebody else's run may not set them."""
        return {}


@dataclasses.dataclass
class SymmetricConfig(LearnerConfig):
    """The symmetric learner (SymLA)."""

    name: str = option("symmetric", "symmetric")
    hidden_size: int = option(16, "N: units of the LSTM of each weight", minimum=1)
    message_size: int = option(8, "M: channels of a message", minimum=2)
    hidden_layers: list[int] = option([], "widths of the hidden layers; []: one layer, K = 1", minimum=1)
    num_micro_ticks: int = option(1, "ticks of the network per env step", minimum=1)
    aggregation: str = option(
        "mean",
        "how messages are aggregated; sum_forward sums forward messages and averages backward ones",
        choices=("mean", "sum", "sum_forward"),
    )
    state_noise: float | None = option(
        None,
        "standard deviation of the i.i.d. noise on the cells at the start of a lifetime. The default is 0 without "
        "hidden_layers and 0.1 with them, because without noise all units of a hidden layer start equal and stay equal",
        minimum=0,
    )
    state_noise_fraction: float = option(1.0, "fraction of each cell's units that get the noise", minimum=0, maximum=1)
    episode_start_input: bool = option(True, "give every LSTM a flag for episode starts")
    activation: str = option(
        "tanh",
        "activation of the LSTM; rational is a clipped Padé approximation of tanh, faster on CPUs",
        choices=("tanh", "rational"),
    )
    forget_bias: float = option(1.0, "added to the forget gate")
    pair_inputs: bool = option(
        False,
        "another input of the LSTM (a, b): component a of the last observation, times the change of the policy that "
        "would have made component b of the last action more likely",
    )
    pair_traces: list[float] = option(
        [],
        "decays of eligibility traces of the pair inputs; each trace is one input, and the trace times the reward is "
        "another",
        above=0.0,
        maximum=0.9999,
    )
    effect_inputs: bool = option(
        False,
        "two more inputs of the LSTM (a, b): how component a of the observation changed after component b of the "
        "action, and the running mean of this change",
    )
    policy_input: bool = option(
        False,
        "a second backward channel at the output: the change of the policy that would have made the last action more "
        "likely",
    )
    constant_observation: bool = option(False, "add a constant 1 as a further observation component")
    multiplicative_readout: bool = option(
        False, "component b of the policy is the sum over a of observation a times a projection of the LSTM (a, b)"
    )
    critic: bool = option(
        False,
        "add a value with a multiplicative readout, whose TD error is another input of every LSTM",
    )
    input_bias: float = option(0.0, "added to the input gate")
    base: str = option(
        "none",
        "a hand-written term of the policy, whose weights, traces and TD error are inputs of the LSTMs; actor_critic "
        "is the policy of learner=online_actor_critic, with annealed steps; multi_horizon is the mean of three of "
        "other horizons, with quadratic values",
        choices=("none", "actor_critic", "multi_horizon"),
    )
    adaptive_base: bool = option(False, "let the LSTMs set the step sizes and decays of the base, by a pooled message")

    @property
    def has_base(self) -> bool:
        """Whether a hand-written rule acts beneath the LSTMs."""
        return self.base != "none"

    @property
    def has_memory(self) -> bool:
        """Whether an option beyond the paper's equations is set, which needs a single layer and its own memory."""
        return bool(
            self.pair_inputs
            or self.pair_traces
            or self.effect_inputs
            or self.policy_input
            or self.constant_observation
            or self.multiplicative_readout
            or self.critic
            or self.has_base
        )

    def __post_init__(self) -> None:
        if self.state_noise is None:
            self.state_noise = 0.1 if self.hidden_layers else 0.0


@dataclasses.dataclass
class MemoryConfig(LearnerConfig):
    """The common part of learners that are one network with memory."""

    hidden_size: int = option(48, "units of the cell, or of each layer", minimum=1)
    torso: str = option(
        "flat",
        "the first layers: flat uses the observation's components directly; impala is IMPALA's residual convolutional "
        "network, for images",
        choices=("flat", "impala"),
    )
    torso_layers: list[int] = option([], "widths of an MLP between the input and the cell; []: none", minimum=1)


@dataclasses.dataclass
class RecurrentConfig(MemoryConfig):
    """The recurrent learner (MetaRNN, RL²)."""

    name: str = option("recurrent", "recurrent")
    cell: str = option(
        "lstm",
        "the recurrent cell; none: a feed-forward policy of the observation",
        choices=("lstm", "gru", "none"),
    )


@dataclasses.dataclass
class S5Config(MemoryConfig):
    """RL² with a diagonal linear recurrence, as in S5 and the LRU, instead of a recurrent cell."""

    name: str = option("s5", "s5")
    num_layers: int = option(1, "layers, each a recurrence and a gate", minimum=1)


@dataclasses.dataclass
class GTrXLConfig(MemoryConfig):
    """RL² with gated Transformer-XL, which attends to the last steps of the lifetime, instead of a recurrent cell."""

    name: str = option("gtrxl", "gtrxl")
    num_layers: int = option(2, "layers, each an attention and an MLP behind gates", minimum=1)
    num_heads: int = option(4, "heads of an attention; a divisor of hidden_size", minimum=1)
    memory_length: int = option(64, "env steps that each layer looks back", minimum=1)


@dataclasses.dataclass
class OnlineRuleConfig(LearnerConfig):
    """The common part of the hand-written rules."""

    step_size: float = option(
        0.066, "step size of the policy's weights; gradients are divided by their root mean square", above=0
    )
    annealing: float = option(
        0.0,
        "after n env steps of a lifetime, the step size is divided by (n / 100) to this power",
        minimum=0,
        maximum=1,
    )
    trace_decay: float = option(0.93, "λ of the eligibility traces", minimum=0, maximum=1)
    discount: float = option(0.858, "γ of returns", minimum=0, maximum=1)
    mean_square_decay: float = option(
        0.983, "decay of the running mean square that gradients are divided by", minimum=0, maximum=0.9999
    )
    value_step_size: float = option(
        0.161, "step size of the value's weights, divided by the squared length of the features", minimum=0
    )
    scale_observations: bool = option(
        True,
        "divide each observation component by its largest magnitude so far in the lifetime, so units do not matter",
    )
    normalise_rewards: bool = option(
        True,
        "divide each reward by the largest magnitude of rewards so far in the lifetime; REINFORCE uses its distance "
        "from their running mean",
    )


@dataclasses.dataclass
class OnlineActorCriticConfig(OnlineRuleConfig):
    """A hand-written learner: a linear policy that learns by actor-critic with TD(λ)."""

    name: str = option("online_actor_critic", "online_actor_critic")


@dataclasses.dataclass
class OnlineReinforceConfig(OnlineRuleConfig):
    """A hand-written learner: a linear policy that learns by REINFORCE with eligibility traces. It has no value."""

    name: str = option("online_reinforce", "online_reinforce")
    step_size: float = option(
        0.0556, "step size of the policy's weights; gradients are divided by their root mean square", above=0
    )
    annealing: float = option(
        0.5,
        "after n env steps of a lifetime, the step size is divided by (n / 100) to this power",
        minimum=0,
        maximum=1,
    )
    trace_decay: float = option(0.654, "λ of the eligibility traces", minimum=0, maximum=1)
    discount: float = option(1.0, "γ, which only shortens the traces", minimum=0, maximum=1)
    mean_square_decay: float = option(
        0.972, "decay of the running mean square that gradients are divided by", minimum=0, maximum=0.9999
    )


@dataclasses.dataclass
class LearnerFactoryConfig(LearnerConfig):
    """The user's own learner, made by a function."""

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_learner, a function of (observation_shape, num_actions, num_policy_channels) that returns a "
        "Learner",
    )
    options: dict[str, Json] = option({}, "further arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and strings among its arguments."""
        return factory_texts(self.factory, self.options)
