"""Floating-point operations: against counts by hand, and against XLA's own where that can be had."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import SymmetricConfig
from podmeta.learners.base import LearnerInput
from podmeta.learners.symmetric import make_symmetric_learner
from podmeta.planning.flops import FlopCount, count_flops
from tests.planning.by_hand import symmetric_learner_matmul_flops


def counted(function, *arguments):
    return count_flops(jax.make_jaxpr(function)(*arguments))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_without_loops_they_are_what_xla_counts(rows, terms, columns, batch):
    def program(left, right):
        product = jnp.einsum("brt,tc->brc", left, right)
        return jnp.sum(jnp.maximum(product * product - 1.0, 0.0), axis=0)

    arguments = jnp.ones((batch, rows, terms)), jnp.ones((terms, columns))
    size = batch * rows * columns
    assert counted(program, *arguments) == FlopCount(matmul=2 * size * terms, other=4 * size)
    by_xla = jax.jit(program).lower(*arguments).cost_analysis()["flops"]
    assert counted(program, *arguments).total == pytest.approx(by_xla, abs=rows * columns)  # n terms: n - 1 sums


def test_products_of_bfloat16_count_by_themselves():
    assert counted(jnp.matmul, jnp.ones((2, 3)), jnp.ones((3, 5))) == FlopCount(matmul=60)
    narrow = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3, 5), jnp.bfloat16)
    assert counted(jnp.matmul, *narrow) == FlopCount(matmul_bfloat16=60)
    assert FlopCount(matmul=1, matmul_bfloat16=2).plus(FlopCount(matmul_bfloat16=3), times=4).total == 15


def test_loops_count_as_often_as_they_run():
    matrix = jnp.ones((3, 3))

    def inner(x):
        return jax.lax.scan(lambda x, _: (x @ matrix, None), x, length=5)[0]

    @jax.jit
    def outer(x):
        return jax.lax.fori_loop(0, 7, lambda _, x: jax.checkpoint(inner)(x), x)

    assert counted(outer, matrix) == FlopCount(matmul=7 * 5 * 2 * 27)
    doubled = counted(lambda x: jax.vmap(outer)(jnp.stack([x, x])), matrix)
    assert doubled == FlopCount(matmul=2 * 7 * 5 * 2 * 27)


def test_a_gradient_counts_forward_and_backward():
    def loss(x):
        return jnp.sum(jax.lax.scan(lambda x, _: (jnp.tanh(x @ x), None), x, length=4)[0])

    forward, both = counted(loss, jnp.ones((8, 8))), counted(jax.grad(loss), jnp.ones((8, 8)))
    assert both.matmul == 3 * forward.matmul  # each product has two in its gradient


def test_of_branches_the_larger_counts_and_a_loop_of_unknown_length_once():
    def program(x):
        x = jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x, x)
        return jax.lax.while_loop(lambda x: x[0, 0] < 9, lambda x: x @ x, x)

    assert counted(program, jnp.ones((4, 4))) == FlopCount(matmul=2 * 2 * 64, unknown_loops=1)


def test_integers_comparisons_and_moves_are_free():
    def program(x):
        return jnp.where(x > 0, x, 2.0).T.reshape(-1)[::2], jnp.arange(5) + 3

    assert counted(program, jnp.ones((4, 4))) == FlopCount()


@pytest.mark.long
@pytest.mark.parametrize(("observation_size", "num_actions", "hidden_size"), [(4, 2, 16), (32, 4, 16), (10, 10, 8)])
def test_the_symmetric_learner_agrees_with_a_count_by_hand(observation_size, num_actions, hidden_size):
    a, b, n, m = observation_size, num_actions, hidden_size, 8
    learner = make_symmetric_learner(SymmetricConfig(hidden_size=n, message_size=m), a, b, 1)
    meta_params = learner.init(jax.random.key(0))
    state = learner.initial_state(meta_params, jax.random.key(0))
    told = LearnerInput(jnp.zeros(a), jnp.zeros(b), jnp.zeros(()), jnp.zeros(()))
    count = counted(learner.step, meta_params, state, told)

    assert count.matmul == symmetric_learner_matmul_flops(a, b, n, m)
    # Of every LSTM: two sums of its 4 N gates, 1 N forget bias, 5 N squashing, 4 N for cell and hidden state; and
    # three means over all of them.
    assert count.other == pytest.approx(a * b * n * (8 + 1 + 5 + 4 + 3), rel=0.1)
