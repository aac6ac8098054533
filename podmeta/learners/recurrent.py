"""The recurrent learner: MetaRNN, RL² (Duan et al. 2016, arXiv 1611.02779; Wang et al. 2016, arXiv 1611.05763).

One LSTM or GRU over [observation, previous action, reward, episode start], with linear heads for policy and value.
Its θ fits one size of observation and action. Without a cell, it is a feed-forward policy of the observation, which
learns nothing inside a lifetime: ordinary RL.
"""

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import RecurrentConfig
from podmeta.learners.activations import ACTIVATIONS, lstm
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.learners.linear import Linear
from podmeta.learners.network import check_torso, encode, no_input, read_out


def make_recurrent_learner(
    config: RecurrentConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    num_policy_channels: int,
    dtype: str = "float32",
) -> Learner:
    """Builds the recurrent learner for one shape of observation and number of actions.

    Args:
      config: the learner's config.
      observation_shape: [...] of an observation, which a flat torso flattens. The convolutional one needs an image:
        [height, width, channels], or [channels, height, width] if the first axis is smaller than the last.
      num_actions: number of action components.
      num_policy_channels: 1 for logits, 2 for mean and log standard deviation.
      dtype: the type of activations.

    Returns:
      The learner. Its state is the hidden state and the cell, each [hidden_size], for an LSTM; the hidden state for a
      GRU; nothing without a cell. What adds up over a lifetime is float32: the cell, and the hidden state of a GRU.

    Raises:
      InputError: the config has a convolutional torso, but observations are not images.
    """
    check_torso(config, observation_shape)

    def network(state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        return RecurrentNetwork(config, num_actions, num_policy_channels, dtype)(state, learner_input)

    transformed: hk.Transformed = hk.without_apply_rng(hk.transform(network))

    def initial_state(meta_params: MetaParams, key: PRNGKeyArray) -> LearnerState:
        del meta_params, key
        zeros = jnp.zeros(config.hidden_size)
        return {"lstm": (zeros.astype(dtype), zeros), "gru": zeros, "none": ()}[config.cell]

    def init(key: PRNGKeyArray) -> MetaParams:
        first_input = no_input(config, observation_shape, num_actions)
        return transformed.init(key, initial_state(None, key), first_input)

    return Learner(init, initial_state, transformed.apply)


class RecurrentNetwork(hk.Module):
    """One env step of the recurrent learner."""

    def __init__(self, config: RecurrentConfig, num_actions: int, num_policy_channels: int, dtype: str):
        super().__init__(name="recurrent")
        self.config = config
        self.num_actions = num_actions
        self.num_policy_channels = num_policy_channels
        self.dtype = dtype

    def __call__(self, state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        """Takes the state and the input of one env step; returns the output and the next state."""
        inputs = encode(self.config, learner_input, self.dtype, only_observation=self.config.cell == "none")
        if self.config.cell == "lstm":
            hidden, cell = state
            gates = Linear(4 * self.config.hidden_size, name="lstm")(jnp.concatenate([inputs, hidden]))
            hidden, cell = lstm(gates, cell, ACTIVATIONS["tanh"], forget_bias=1.0)
            state = (hidden, cell)
        elif self.config.cell == "gru":
            hidden = state = _gru(inputs, state)
        else:
            hidden = inputs

        return read_out(hidden, self.num_actions, self.num_policy_channels), state


def _gru(inputs: Float[Array, "num_inputs"], hidden: Float[Array, "hidden_size"]) -> Float[Array, "hidden_size"]:
    """The GRU's update (Cho et al. 2014): reset and update gates, then the candidate. The hidden state is float32."""
    shown = hidden.astype(inputs.dtype)
    gates = Linear(2 * hidden.size, name="gates")(jnp.concatenate([inputs, shown]))
    reset, update = jnp.split(jax.nn.sigmoid(gates.astype(hidden.dtype)), 2)
    shown = (reset * hidden).astype(inputs.dtype)
    candidate = jnp.tanh(Linear(hidden.size, name="candidate")(jnp.concatenate([inputs, shown])))
    return (1.0 - update) * hidden + update * candidate
