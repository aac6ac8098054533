"""Values of linear systems: what a teacher knows of x' = A x + B u."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_DOUBLINGS = 10  # 2^10 steps ahead


def solve_riccati(
    transition: Float[Array, "size size"],
    control: Float[Array, "size num_controls"],
    state_cost: Float[Array, "size size"],
    control_cost: float,
) -> Float[Array, "size size"]:
    """The cost-to-go x' P x of the best control, by the doubling algorithm (Anderson 1978, Int. J. Control 28(2)).

    Args:
      transition: A.
      control: B.
      state_cost: Q; a step costs x' Q x + r |u|².
      control_cost: r, above 0.

    Returns:
      P, the stabilising solution of the discrete algebraic Riccati equation.
    """
    identity = jnp.eye(len(transition))

    def double(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        ahead, reach, cost = carry
        solved = jnp.linalg.solve(identity + reach @ cost, jnp.concatenate([ahead, reach], axis=1))
        solved_ahead, solved_reach = jnp.split(solved, 2, axis=1)
        further = cost + ahead.T @ cost @ solved_ahead
        return (
            ahead @ solved_ahead,
            reach + ahead @ solved_reach @ ahead.T,
            0.5 * (further + further.T),
        ), None

    start = transition, control @ control.T / control_cost, state_cost
    return jax.lax.scan(double, start, length=_DOUBLINGS)[0][2]


def sum_quadratic(
    transition: Float[Array, "size size"], state_value: Float[Array, "size size"], num_doublings: int
) -> Float[Array, "size size"]:
    """S of x' S x, the sum of x' Q x over the next 2^num_doublings states, x included, without control.

    Args:
      transition: A.
      state_value: Q.
      num_doublings: the logarithm of the number of states.
    """
    total, ahead = state_value, transition
    for _ in range(num_doublings):
        total, ahead = total + ahead.T @ total @ ahead, ahead @ ahead
    return total


def sum_linear(
    transition: Float[Array, "size size"], state_value: Float[Array, "size"], num_doublings: int
) -> Float[Array, "size"]:
    """s of s' x, the sum of q' x over the next 2^num_doublings states, x included, without control."""
    total, ahead = state_value, transition
    for _ in range(num_doublings):
        total, ahead = total + ahead.T @ total, ahead @ ahead
    return total
