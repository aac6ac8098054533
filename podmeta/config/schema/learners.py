"""The keys of learners."""

import dataclasses

from podmeta.config.schema.option import option


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
    state_noise: float | None = option(
        None,
        "standard deviation of the i.i.d. noise on the cells at birth. Not set, it is 0 without hidden_layers and 0.1 "
        "with them: without noise all units of a hidden layer start as copies of one another and stay copies",
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
    scale_observations: bool = option(
        False,
        "divide each observation component by the largest magnitude it has had in the lifetime, whatever its unit",
    )

    def __post_init__(self) -> None:
        if self.state_noise is None:
            self.state_noise = 0.1 if self.hidden_layers else 0.0


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
