"""The recurrent learner against haiku's LSTM, and against the GRU's equations in NumPy."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import RecurrentConfig
from podmeta.learners.base import LearnerInput
from podmeta.learners.recurrent import make_recurrent_learner

HIDDEN_SIZE, OBSERVATION_SIZE, NUM_ACTIONS, NUM_STEPS = 6, 3, 2, 5


def draw_meta_params(learner):
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(learner.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * generator.normal(size=leaf.shape), jnp.float32), shapes)


def draw_script():
    generator = np.random.default_rng(1)
    return LearnerInput(
        observation=generator.normal(size=(NUM_STEPS, OBSERVATION_SIZE)).astype(np.float32),
        previous_action=generator.normal(size=(NUM_STEPS, NUM_ACTIONS)).astype(np.float32),
        reward=generator.normal(size=NUM_STEPS).astype(np.float32),
        episode_start=np.array([1, 0, 0, 1, 0], np.float32),
    )


def live(config, num_policy_channels=1):
    """θ, the cell's inputs [NUM_STEPS, num_inputs], and the outputs [NUM_STEPS, ...]."""
    learner = make_recurrent_learner(config, (OBSERVATION_SIZE,), NUM_ACTIONS, num_policy_channels)
    meta_params, script = draw_meta_params(learner), draw_script()

    def scanned(state, learner_input):
        output, state = learner.step(meta_params, state, learner_input)
        return state, output

    _, outputs = jax.lax.scan(scanned, learner.initial_state(meta_params, jax.random.key(0)), script)
    scalars = np.stack([script.reward, script.episode_start], axis=1)
    return meta_params, np.concatenate([script.observation, script.previous_action, scalars], axis=1), outputs


def heads(meta_params, hidden, num_policy_channels=1):
    """The policy [NUM_STEPS, num_actions, channels] and the value [NUM_STEPS] that hidden states give."""
    policy, value = meta_params["recurrent/policy"], meta_params["recurrent/value"]
    flat = hidden @ policy["w"] + policy["b"]
    return flat.reshape(len(hidden), NUM_ACTIONS, num_policy_channels), (hidden @ value["w"] + value["b"])[:, 0]


def assert_outputs(outputs, expected):
    np.testing.assert_allclose(outputs.policy, expected[0], atol=1e-5)
    np.testing.assert_allclose(outputs.value, expected[1], atol=1e-5)


@pytest.mark.parametrize("num_policy_channels", [1, 2])
def test_the_lstm_is_haikus(num_policy_channels):
    meta_params, inputs, outputs = live(RecurrentConfig(hidden_size=HIDDEN_SIZE), num_policy_channels)
    hidden = haiku_lstm(meta_params["recurrent/lstm"], inputs)
    assert_outputs(outputs, heads(meta_params, hidden, num_policy_channels))


def haiku_lstm(layer, inputs):
    """The hidden states [NUM_STEPS, HIDDEN_SIZE] of haiku's LSTM, whose forget gate comes before its output gate."""

    def unroll(inputs):
        core = hk.LSTM(HIDDEN_SIZE)
        return hk.static_unroll(core, inputs, core.initial_state(None))[0]

    def reordered(leaf):
        input_gate, candidate, output_gate, forget_gate = jnp.split(leaf, 4, axis=-1)
        return jnp.concatenate([input_gate, candidate, forget_gate, output_gate], axis=-1)

    oracle = hk.without_apply_rng(hk.transform(unroll))
    return np.asarray(oracle.apply({"lstm/linear": jax.tree.map(reordered, layer)}, jnp.asarray(inputs)))


def test_the_gru_follows_its_equations():
    meta_params, inputs, outputs = live(RecurrentConfig(cell="gru", hidden_size=HIDDEN_SIZE))
    gates, candidate = meta_params["recurrent/gates"], meta_params["recurrent/candidate"]
    hidden, history = np.zeros(HIDDEN_SIZE), []
    for told in inputs:
        gate_values = 1.0 / (1.0 + np.exp(-(np.concatenate([told, hidden]) @ gates["w"] + gates["b"])))
        reset, update = gate_values[:HIDDEN_SIZE], gate_values[HIDDEN_SIZE:]
        proposed = np.tanh(np.concatenate([told, reset * hidden]) @ candidate["w"] + candidate["b"])
        hidden = (1.0 - update) * hidden + update * proposed
        history.append(hidden)
    assert_outputs(outputs, heads(meta_params, np.stack(history)))


def test_the_torso_is_an_mlp_before_the_cell():
    config = RecurrentConfig(hidden_size=HIDDEN_SIZE, torso_layers=[4, 7])
    meta_params, inputs, outputs = live(config)
    for name in ("recurrent/torso_0", "recurrent/torso_1"):
        inputs = np.maximum(inputs @ meta_params[name]["w"] + meta_params[name]["b"], 0.0)
    hidden = haiku_lstm(meta_params["recurrent/lstm"], inputs)
    assert_outputs(outputs, heads(meta_params, hidden))


def test_without_a_cell_only_the_observation_counts():
    config = RecurrentConfig(cell="none", torso_layers=[4])
    meta_params, inputs, outputs = live(config)
    torso = meta_params["recurrent/torso_0"]
    hidden = np.maximum(inputs[:, :OBSERVATION_SIZE] @ torso["w"] + torso["b"], 0.0)
    assert_outputs(outputs, heads(meta_params, hidden))


def test_the_first_policy_is_close_to_uniform():
    learner = make_recurrent_learner(RecurrentConfig(), (OBSERVATION_SIZE,), NUM_ACTIONS, 1)
    meta_params = jax.jit(learner.init)(jax.random.key(0))
    first_input = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), draw_script())
    output, _ = learner.step(meta_params, learner.initial_state(meta_params, jax.random.key(1)), first_input)
    np.testing.assert_allclose(jax.nn.softmax(output.policy[:, 0]), 0.5, atol=0.05)


def test_other_sizes_than_those_of_its_meta_params_are_an_error():
    learner, other = (make_recurrent_learner(RecurrentConfig(), (size,), NUM_ACTIONS, 1) for size in (3, 4))
    nothing = LearnerInput(jnp.zeros(4), jnp.zeros(NUM_ACTIONS), jnp.zeros(()), jnp.zeros(()))
    state = other.initial_state(None, jax.random.key(0))
    with pytest.raises(ValueError, match="retrieved shape"):
        other.step(draw_meta_params(learner), state, nothing)
