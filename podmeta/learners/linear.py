"""Matrices of θ, full or perturbed at low rank, and products with them.

Evolution perturbs every matrix of θ. At full rank, each member has its own matrix, and a product over the population is
a batch of small products. At low rank, a member has two thin factors of its own and shares the base matrix, so that the
base product is one large GEMM for the whole population (EGGROLL, Sarkar et al. 2025). `matmul` and `leading_rows` hide
the difference from learners.

θ is float32. Products are made in the type of their inputs, to which matrices and biases are rounded: activations say
how exactly a learner computes.
"""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRankMatrix:
    """The matrix `base + left @ right.T`, kept as its parts.

    Attributes:
      base: [num_inputs, num_outputs] shared by the population.
      left: [num_inputs, rank] a member's own factor.
      right: [num_outputs, rank] a member's own factor.
    """

    base: Float[Array, "num_inputs num_outputs"]
    left: Float[Array, "num_inputs rank"]
    right: Float[Array, "num_outputs rank"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole matrix, which haiku checks."""
        return self.base.shape

    @property
    def dtype(self) -> jnp.dtype:
        """Data type of the whole matrix."""
        return self.base.dtype


Matrix = Float[Array, "num_inputs num_outputs"] | LowRankMatrix


def matmul(inputs: Float[Array, "*batch num_inputs"], matrix: Matrix) -> Float[Array, "*batch num_outputs"]:
    """`inputs @ matrix` in the type of `inputs`, without ever forming a low-rank matrix."""
    matrix = jax.tree.map(lambda part: part.astype(inputs.dtype), matrix)
    if isinstance(matrix, LowRankMatrix):
        return inputs @ matrix.base + (inputs @ matrix.left) @ matrix.right.T
    return inputs @ matrix


def leading_rows(matrix: Matrix, num_rows: int) -> Float[Array, "num_rows num_outputs"] | LowRankMatrix:
    """The first `num_rows` rows of a matrix."""
    if isinstance(matrix, LowRankMatrix):
        return LowRankMatrix(matrix.base[:num_rows], matrix.left[:num_rows], matrix.right)
    return matrix[:num_rows]


def get_matrix(name: str, num_inputs: int, num_outputs: int, fan_in: float | None = None) -> Matrix:
    """A matrix of the calling Haiku module, initialised with standard deviation 1 / sqrt(fan_in or num_inputs)."""
    init = hk.initializers.TruncatedNormal(stddev=(fan_in or num_inputs) ** -0.5)
    return hk.get_parameter(name, (num_inputs, num_outputs), init=init)


class Linear(hk.Module):
    """A dense layer whose matrix may be perturbed at low rank."""

    def __init__(self, num_outputs: int, name: str, w_init_scale: float = 1.0):
        super().__init__(name=name)
        self.num_outputs = num_outputs
        self.w_init_scale = w_init_scale

    def __call__(self, inputs: Float[Array, "*batch num_inputs"]) -> Float[Array, "*batch num_outputs"]:
        """Maps [..., num_inputs] to [..., num_outputs], in the type of the inputs."""
        matrix = get_matrix("w", inputs.shape[-1], self.num_outputs, inputs.shape[-1] / self.w_init_scale**2)
        bias = hk.get_parameter("b", (self.num_outputs,), init=jnp.zeros)
        return matmul(inputs, matrix) + bias.astype(inputs.dtype)
