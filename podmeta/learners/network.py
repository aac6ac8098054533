"""What learners share that are one network with a memory: what it sees, what it says, and how to make one of it."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import MemoryConfig
from podmeta.errors import InputError
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams, as_numbers
from podmeta.learners.convolution import impala_torso
from podmeta.learners.linear import Linear


def encode(
    config: MemoryConfig, learner_input: LearnerInput, dtype: str, only_observation: bool = False
) -> Float[Array, "num_features"]:
    """What the torso makes of one input: [observation, previous action, reward, episode start], or part of it.

    The features, and all that is computed from them, have the type `dtype`.
    """
    observation = as_numbers(learner_input.observation).astype(dtype)
    features = impala_torso(observation) if config.torso == "impala" else observation.reshape(-1)
    if not only_observation:
        scalars = jnp.stack([learner_input.reward, learner_input.episode_start])
        if learner_input.centred_reward is not None:
            scalars = jnp.append(scalars, learner_input.centred_reward)
        features = jnp.concatenate([features, learner_input.previous_action.astype(dtype), scalars.astype(dtype)])
    for index, width in enumerate(config.torso_layers):
        features = jax.nn.relu(Linear(width, name=f"torso_{index}")(features))
    return features


def read_out(hidden: Float[Array, "*time hidden_size"], num_actions: int, num_policy_channels: int) -> LearnerOutput:
    """Linear heads for policy and value, in float32 at least."""
    hidden = hidden.astype(jnp.promote_types(hidden.dtype, jnp.float32))
    # Small weights at first, so that the first policy is close to uniform.
    policy = Linear(num_actions * num_policy_channels, name="policy", w_init_scale=0.1)(hidden)
    value = Linear(1, name="value")(hidden)[..., 0]
    return LearnerOutput(policy.reshape(*hidden.shape[:-1], num_actions, num_policy_channels), value)


def check_torso(config: MemoryConfig, observation_shape: tuple[int, ...]) -> None:
    """Raises an `InputError` if the config has a convolutional torso, but observations are not images."""
    if config.torso == "impala" and len(observation_shape) != 3:
        raise InputError(
            f"learner.torso=impala is for images, and an observation here has the shape {list(observation_shape)}: "
            "set learner.torso=flat"
        )


def no_input(config: MemoryConfig, observation_shape: tuple[int, ...], num_actions: int) -> LearnerInput:
    """An input of zeros, by which a network finds the shapes of its parameters."""
    return LearnerInput(
        observation=jnp.zeros(observation_shape),
        previous_action=jnp.zeros(num_actions),
        reward=jnp.zeros(()),
        episode_start=jnp.zeros(()),
        centred_reward=jnp.zeros(()) if config.normalise_rewards else None,
    )


def encode_over_time(
    config: MemoryConfig, inputs: LearnerInput, dtype: str, width: int
) -> Float[Array, "num_steps width"]:
    """What the first layer of a network sees of inputs [num_steps, ...]: a layer of its width on top of the torso."""
    features = hk.vmap(lambda learner_input: encode(config, learner_input, dtype), split_rng=False)(inputs)
    return jax.nn.relu(Linear(width, name="encoder")(features))


def layer_norm(inputs: Float[Array, "*time size"], name: str) -> Float[Array, "*time size"]:
    """Layer norm over the last axis, with scale and offset, computed in float32. The result has the inputs' type."""
    norm = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True, name=name)
    return norm(inputs.astype(jnp.float32)).astype(inputs.dtype)


def make_unrolled_learner(
    network: Callable[[LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]],
    initial_state: LearnerState,
    first_input: LearnerInput,
) -> Learner:
    """The learner of a network that takes many inputs at once. Its step is an unroll of one.

    Args:
      network: (learner state, inputs [num_steps, ...]) -> (outputs [num_steps, ...], learner state), in haiku.
      initial_state: the learner state when a lifetime starts.
      first_input: an input of the right shapes.
    """
    transformed: hk.Transformed = hk.without_apply_rng(hk.transform(network))

    def init(key: PRNGKeyArray) -> MetaParams:
        return transformed.init(key, initial_state, jax.tree.map(lambda leaf: leaf[None], first_input))

    def step(
        meta_params: MetaParams, state: LearnerState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, LearnerState]:
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], learner_input)
        outputs, state = transformed.apply(meta_params, state, one)
        return jax.tree.map(lambda leaf: leaf[0], outputs), state

    return Learner(init, lambda meta_params, key: initial_state, step, transformed.apply)
