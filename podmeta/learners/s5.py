"""A diagonal linear recurrence instead of the recurrent learner's cell: S5, parametrised as the LRU.

S5 (Smith et al. 2023, arXiv 2208.04933) has a linear recurrence with a diagonal complex matrix, so that a parallel scan
runs it over all steps of an unroll at once. Lu et al. (2023, arXiv 2303.03982) train RL² with it. The eigenvalues here
are those of the LRU (Orvieto et al. 2023, arXiv 2303.06349), which is such a recurrence in discrete time:

    λ = exp(-exp(ν) + i exp(φ)),  x(t) = λ x(t - 1) + √(1 - |λ|²) B u(t),  y(t) = Re(C x(t)) + D u(t)

|λ| < 1 for any ν, and the root keeps the size of x the same for any λ; the LRU makes the root a parameter of its own.
The rest is S5's: x has half as many complex numbers as a layer has units, because the other half would be their
conjugates. With z = GELU(y), a layer adds z sigmoid(W z) to its inputs, and u is the layer norm of these.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import S5Config
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput
from podmeta.learners.linear import Linear, get_matrix, matmul
from podmeta.learners.network import (
    check_torso,
    encode_over_time,
    layer_norm,
    make_unrolled_learner,
    no_input,
    read_out,
)

_SMALLEST_RADIUS, _LARGEST_RADIUS = 0.9, 0.999  # of eigenvalues at first: they forget within 10 to 1,000 steps
_LARGEST_PHASE = math.pi / 10


class Complex(NamedTuple):
    """Complex numbers as two real arrays, which XLA's CPU programs are faster with.

    Attributes:
      real: the real parts.
      imag: the imaginary parts.
    """

    real: Float[Array, "..."]
    imag: Float[Array, "..."]

    def times(self, other: "Complex") -> "Complex":
        """The product, element by element."""
        return Complex(
            self.real * other.real - self.imag * other.imag,
            self.real * other.imag + self.imag * other.real,
        )

    def plus(self, other: "Complex") -> "Complex":
        """The sum."""
        return Complex(self.real + other.real, self.imag + other.imag)

    def conjugate(self) -> "Complex":
        """The complex conjugate."""
        return Complex(self.real, -self.imag)


S5State = tuple[Complex, ...]
"""By layer, x [half of hidden_size, rounded up]."""


def make_s5_learner(
    config: S5Config,
    observation_shape: tuple[int, ...],
    num_actions: int,
    num_policy_channels: int,
    dtype: str = "float32",
) -> Learner:
    """Builds the learner for one shape of observation and number of actions, as `make_recurrent_learner`.

    The recurrence is float32, whatever the type of activations.

    Raises:
      InputError: the config has a convolutional torso, but observations are not images.
    """
    check_torso(config, observation_shape)

    def network(state: S5State, inputs: LearnerInput) -> tuple[LearnerOutput, S5State]:
        return S5Network(config, num_actions, num_policy_channels, dtype)(state, inputs)

    zeros = jnp.zeros(_state_size(config.hidden_size))
    initial_state = (Complex(zeros, zeros),) * config.num_layers
    return make_unrolled_learner(network, initial_state, no_input(config, observation_shape, num_actions))


class S5Network(hk.Module):
    """Many env steps of the learner."""

    def __init__(self, config: S5Config, num_actions: int, num_policy_channels: int, dtype: str):
        super().__init__(name="s5")
        self.config = config
        self.num_actions = num_actions
        self.num_policy_channels = num_policy_channels
        self.dtype = dtype

    def __call__(self, state: S5State, inputs: LearnerInput) -> tuple[LearnerOutput, S5State]:
        """Takes the state and inputs [num_steps, ...]; returns outputs [num_steps, ...] and the state after them."""
        hidden = encode_over_time(self.config, inputs, self.dtype, self.config.hidden_size)
        after = []
        for index, of_layer in enumerate(state):
            hidden, of_layer = S5Layer(name=f"layer_{index}")(hidden, of_layer)
            after.append(of_layer)
        return read_out(hidden, self.num_actions, self.num_policy_channels), tuple(after)


class S5Layer(hk.Module):
    """A recurrence between a layer norm and a gate, with a residual connection around them."""

    def __call__(
        self, inputs: Float[Array, "num_steps hidden_size"], state: Complex
    ) -> tuple[Float[Array, "num_steps hidden_size"], Complex]:
        """Takes inputs and the state [state_size] before them; returns outputs and the state after them."""
        size = inputs.shape[-1]
        state_size = _state_size(size)
        normed = layer_norm(inputs, "norm")
        decay = jnp.exp(hk.get_parameter("log_decay", (state_size,), init=_draw_log_decay))
        phase = jnp.exp(hk.get_parameter("log_phase", (state_size,), init=_draw_log_phase))
        radius = jnp.exp(-decay)
        gain = jnp.sqrt(-jnp.expm1(-2.0 * decay))
        driven = jnp.tile(gain, 2) * matmul(normed, get_matrix("b", size, 2 * state_size, fan_in=2 * size))  # float32
        eigenvalues = Complex(radius * jnp.cos(phase), radius * jnp.sin(phase))
        states = diagonal_recurrence(eigenvalues, Complex(*jnp.split(driven, 2, axis=-1)), state)
        # Re(C x) is a real matrix times the real and imaginary parts of x.
        shown = jnp.concatenate(states, axis=-1).astype(inputs.dtype)
        read = matmul(shown, get_matrix("c", 2 * state_size, size))
        value = jax.nn.gelu(read + hk.get_parameter("d", (size,), init=jnp.ones).astype(inputs.dtype) * normed)
        gated = value * jax.nn.sigmoid(Linear(size, name="gate")(value))
        return inputs + gated, jax.tree.map(lambda leaf: leaf[-1], states)


@jax.custom_vjp
def diagonal_recurrence(eigenvalues: Complex, driven: Complex, state: Complex) -> Complex:
    """x(t) = λ x(t - 1) + v(t) for all t.

    Its gradient keeps x alone, where that of a scan would keep what the scan works with: it is such a recurrence
    itself, with the conjugate of λ and from the last step to the first.

    Args:
      eigenvalues: [size] λ.
      driven: [num_steps, size] v.
      state: [size] x before the first step.

    Returns:
      [num_steps, size] x.
    """
    first = jax.tree.map(lambda leaf: leaf[0], driven).plus(eigenvalues.times(state))
    return _recurrence(eigenvalues, jax.tree.map(lambda leaf, value: leaf.at[0].set(value), driven, first))


def _forward(eigenvalues: Complex, driven: Complex, state: Complex) -> tuple[Complex, tuple[Complex, Complex, Complex]]:
    states = diagonal_recurrence(eigenvalues, driven, state)
    return states, (eigenvalues, states, state)


def _backward(residuals: tuple[Complex, Complex, Complex], gradient: Complex) -> tuple[Complex, Complex, Complex]:
    eigenvalues, states, state = residuals
    conjugate = eigenvalues.conjugate()
    driven = _recurrence(conjugate, gradient, reverse=True)
    before = jax.tree.map(lambda first, leaf: jnp.concatenate([first[None], leaf[:-1]]), state, states)
    of_eigenvalues = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), before.conjugate().times(driven))
    return of_eigenvalues, driven, conjugate.times(jax.tree.map(lambda leaf: leaf[0], driven))


diagonal_recurrence.defvjp(_forward, _backward)


def _recurrence(eigenvalues: Complex, driven: Complex, reverse: bool = False) -> Complex:
    """The recurrence from x = 0: step by step on CPUs, which have little to gain from a parallel scan."""
    return jax.lax.platform_dependent(
        eigenvalues,
        driven,
        cpu=functools.partial(step_by_step, reverse=reverse),
        default=functools.partial(in_parallel, reverse=reverse),
    )


def step_by_step(eigenvalues: Complex, driven: Complex, reverse: bool = False) -> Complex:
    """The recurrence from x = 0, as a scan. A step is a few multiplications for each number of the state."""

    def step(state: Complex, value: Complex) -> tuple[Complex, Complex]:
        state = value.plus(eigenvalues.times(state))
        return state, state

    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), driven)
    return jax.lax.scan(step, nothing, driven, reverse=reverse)[1]


def in_parallel(eigenvalues: Complex, driven: Complex, reverse: bool = False) -> Complex:
    """The recurrence from x = 0, as an associative scan (Blelloch 1990): its depth is the logarithm of num_steps."""

    def combine(left: tuple[Complex, Complex], right: tuple[Complex, Complex]) -> tuple[Complex, Complex]:
        return left[0].times(right[0]), right[0].times(left[1]).plus(right[1])

    factors = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape), eigenvalues, driven)
    return jax.lax.associative_scan(combine, (factors, driven), reverse=reverse)[1]


def _state_size(hidden_size: int) -> int:
    return -(-hidden_size // 2)


def _draw_log_decay(shape: Sequence[int], dtype: Any) -> Float[Array, "size"]:
    """ν such that |λ|² is uniform between the squares of the radii."""
    squares = jax.random.uniform(hk.next_rng_key(), tuple(shape), dtype, _SMALLEST_RADIUS**2, _LARGEST_RADIUS**2)
    return jnp.log(-0.5 * jnp.log(squares))


def _draw_log_phase(shape: Sequence[int], dtype: Any) -> Float[Array, "size"]:
    """φ such that the phase is uniform."""
    # Never 0, which has no logarithm.
    return jnp.log(jax.random.uniform(hk.next_rng_key(), tuple(shape), dtype, _LARGEST_PHASE * 1e-3, _LARGEST_PHASE))
