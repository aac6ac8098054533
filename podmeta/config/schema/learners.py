"""The keys of learners."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts
from podmeta.config.schema.option import option
from podmeta.value_types import Json


@dataclasses.dataclass
class LearnerConfig:
    """What podmeta knows of every learner's config. Every one has a `name` besides."""

    name: str
    scale_observations: bool = option(
        False,
        "divide each observation component by the largest magnitude it has had in the lifetime, whatever its unit",
    )
    normalise_rewards: bool = option(
        False,
        "show each reward twice: divided by the largest magnitude that rewards have had in the lifetime, and as its "
        "distance from their running mean, divided by the largest such distance; so their unit does not matter",
    )
    scale_rewards: bool = option(
        False, "divide each reward by the largest magnitude that rewards have had in the lifetime, and show it once"
    )

    @property
    def has_base(self) -> bool:
        """Whether a hand-written rule acts beneath what is learned."""
        return False

    def code_texts(self) -> dict[str, str]:
        """The texts that name code to run, by their keys. A run of somebody else's may not set them."""
        return {}


@dataclasses.dataclass
class SymmetricConfig(LearnerConfig):
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
    state_noise: float | None = option(
        None,
        "standard deviation of the i.i.d. noise on the cells when a lifetime starts. Not set, it is 0 without "
        "hidden_layers and 0.1 with them: without noise all units of a hidden layer start as copies of one another and "
        "stay copies",
        minimum=0,
    )
    state_noise_fraction: float = option(1.0, "fraction of each cell's units that get the noise", minimum=0, maximum=1)
    episode_start_input: bool = option(True, "tell every LSTM whether an episode has just begun")
    activation: str = option(
        "tanh",
        "the LSTM's squashing; rational is a clipped Padé tanh, faster on CPU",
        choices=("tanh", "rational"),
    )
    forget_bias: float = option(1.0, "added to the forget gate")
    pair_inputs: bool = option(
        False,
        "another input of the LSTM (a, b): the last observation's component a, times how the policy would have had to "
        "change to make the last action's component b more likely",
    )
    pair_traces: list[float] = option(
        [],
        "decays of eligibility traces of the pair inputs, each an input of its own and, times the reward, a second one",
        above=0.0,
        maximum=0.9999,
    )
    effect_inputs: bool = option(
        False,
        "two more inputs of the LSTM (a, b): how component a of the observation changed after component b of the "
        "action, and the running mean of it",
    )
    policy_input: bool = option(
        False,
        "a second channel from above: how the policy would have had to change to make the last action more likely",
    )
    constant_observation: bool = option(False, "a constant 1 as a further observation component")
    multiplicative_readout: bool = option(
        False, "the policy is read out as a sum over a of observation a times a projection of the LSTM (a, b)"
    )
    critic: bool = option(
        False,
        "a value, read out in the same multiplicative way, whose TD error is another input of every LSTM",
    )
    input_bias: float = option(0.0, "added to the input gate")
    base: str = option(
        "none",
        "a permanent term of the policy; actor_critic adds what the hand-written rule of learner=online_actor_critic, "
        "with annealed steps, has learned, and shows its weights, traces and TD error to the LSTMs",
        choices=("none", "actor_critic"),
    )
    adaptive_base: bool = option(False, "let the LSTMs set the step sizes and decays of the base, by a pooled message")

    @property
    def has_base(self) -> bool:
        """Whether a hand-written rule acts beneath the LSTMs."""
        return self.base != "none"

    @property
    def has_memory(self) -> bool:
        """Whether it has an option beyond the paper's equations that needs one layer and a memory of its own."""
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
class RecurrentConfig(LearnerConfig):
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


@dataclasses.dataclass
class OnlineRuleConfig(LearnerConfig):
    """What the hand-written rules have in common."""

    step_size: float = option(
        0.066, "of the policy's weights, whose gradients are divided by their root mean square", above=0
    )
    annealing: float = option(
        0.0, "after n env steps of a lifetime the step size is divided by (n / 100) to this power", minimum=0, maximum=1
    )
    trace_decay: float = option(0.93, "λ of the eligibility traces", minimum=0, maximum=1)
    discount: float = option(0.858, "γ of returns", minimum=0, maximum=1)
    mean_square_decay: float = option(
        0.983, "decay of the running mean square that gradients are divided by", minimum=0, maximum=0.9999
    )
    value_step_size: float = option(0.161, "of the value's weights, per squared length of the features", minimum=0)
    scale_observations: bool = option(
        True,
        "divide each observation component by the largest magnitude it has had in the lifetime, whatever its unit",
    )
    normalise_rewards: bool = option(
        True,
        "divide each reward by the largest magnitude that rewards have had in the lifetime; REINFORCE takes its "
        "distance from their running mean",
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
        0.0556, "of the policy's weights, whose gradients are divided by their root mean square", above=0
    )
    annealing: float = option(
        0.5, "after n env steps of a lifetime the step size is divided by (n / 100) to this power", minimum=0, maximum=1
    )
    trace_decay: float = option(0.654, "λ of the eligibility traces", minimum=0, maximum=1)
    discount: float = option(1.0, "γ, which shortens the traces", minimum=0, maximum=1)
    mean_square_decay: float = option(
        0.972, "decay of the running mean square that gradients are divided by", minimum=0, maximum=0.9999
    )


@dataclasses.dataclass
class LearnerFactoryConfig(LearnerConfig):
    """A learner of the user's own, made by a function."""

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_learner, a function of (observation_shape, num_actions, num_policy_channels) that returns a "
        "Learner",
    )
    options: dict[str, Json] = option({}, "further arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and texts among its arguments."""
        return factory_texts(self.factory, self.options)
