"""Counts the floating-point operations of a traced program, with loops as often as they run."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

# fmt: off
_ELEMENTWISE = frozenset((
    "abs", "add", "add_any", "atan2", "ceil", "clamp", "cos", "cosh", "cumprod", "cumsum", "div", "erf", "erf_inv",
    "exp", "exp2", "expm1", "floor", "integer_pow", "log", "log1p", "logistic", "max", "min", "mul", "neg", "pow",
    "rem", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh",
))
"""Primitives that make one operation for every element of their result."""

_REDUCTIONS = frozenset(("argmax", "argmin", "reduce_max", "reduce_min", "reduce_prod", "reduce_sum"))
"""Primitives that make one operation for every element of their argument."""
# fmt: on


class FlopCount(NamedTuple):
    """Floating-point operations.

    Attributes:
      matmul: of products of float32 matrices, two for every multiply-add.
      matmul_bfloat16: of products of bfloat16 matrices.
      other: of elementwise arithmetic and reductions, one for every element, a transcendental function included.
        Comparisons, selections and integers do not count.
      unknown_loops: loops whose length is only known when they run. Their bodies count once.
    """

    matmul: int = 0
    matmul_bfloat16: int = 0
    other: int = 0
    unknown_loops: int = 0

    @property
    def total(self) -> int:
        """All operations."""
        return self.matmul + self.matmul_bfloat16 + self.other

    def plus(self, more: "FlopCount", times: int = 1) -> "FlopCount":
        """This count, and another so many times."""
        return FlopCount(
            self.matmul + times * more.matmul,
            self.matmul_bfloat16 + times * more.matmul_bfloat16,
            self.other + times * more.other,
            self.unknown_loops + more.unknown_loops,
        )


def count_flops(program: ClosedJaxpr | Jaxpr) -> FlopCount:
    """The floating-point operations of one run of a traced program."""
    count = FlopCount()
    for equation in getattr(program, "jaxpr", program).eqns:
        count = count.plus(_count_equation(equation))
    return count


def _count_equation(equation: Any) -> FlopCount:
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        terms = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        number = 2 * equation.outvars[0].aval.size * terms
        if equation.invars[0].aval.dtype == jnp.bfloat16:
            return FlopCount(matmul_bfloat16=number)
        return FlopCount(matmul=number)
    if name in _ELEMENTWISE:
        return FlopCount(other=_num_floats(equation.outvars))
    if name in _REDUCTIONS:
        return FlopCount(other=_num_floats(equation.invars))
    if name == "scan":
        return FlopCount().plus(count_flops(parameters["jaxpr"]), times=parameters["length"])
    if name == "while":
        return FlopCount(unknown_loops=1).plus(count_flops(parameters["body_jaxpr"]))
    if name == "cond":
        return max((count_flops(branch) for branch in parameters["branches"]), key=lambda count: count.total)
    called = parameters.get("jaxpr", parameters.get("call_jaxpr"))
    return FlopCount() if called is None else count_flops(called)


def _num_floats(variables: Any) -> int:
    return sum(variable.aval.size for variable in variables if jnp.issubdtype(variable.aval.dtype, jnp.floating))
