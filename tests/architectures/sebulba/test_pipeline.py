"""Actors and the learner meet: in order, within the lag, and never waiting for one that has failed or been stopped."""

import threading

import jax
import pytest

from podmeta.architectures.sebulba.pipeline import Fault, Pipeline, Published, Unroll

DEVICE = jax.local_devices()[0]
WAIT_S = 5.0


def unroll(update):
    return Unroll(version=update, shards=(update,), episode_returns=[], num_cut_off=0)


def asked(question, *arguments):
    """A thread that asks something of a pipeline, and what it was given."""
    given = []
    thread = threading.Thread(target=lambda: given.append(question(*arguments)), daemon=True)
    thread.start()
    return thread, given


@pytest.mark.parametrize("max_lag", [0, 1, 3])
def test_an_actor_waits_until_theta_is_new_enough(max_lag):
    pipeline = Pipeline(num_actors=1, max_lag=max_lag)
    pipeline.publish(4, {DEVICE: "four"})
    assert pipeline.newest(DEVICE, 4 + max_lag) == Published(4, "four")
    thread, given = asked(pipeline.newest, DEVICE, 5 + max_lag)
    thread.join(0.05)
    assert thread.is_alive()
    pipeline.publish(5, {DEVICE: "five"})
    thread.join(WAIT_S)
    assert given == [Published(5, "five")]


def test_nobody_acts_before_anything_is_published():
    pipeline = Pipeline(num_actors=1, max_lag=10)
    thread, given = asked(pipeline.newest, DEVICE, 0)
    thread.join(0.05)
    assert thread.is_alive()
    pipeline.stop()
    thread.join(WAIT_S)
    assert given == [None]


def test_an_update_takes_one_unroll_of_every_actor_in_their_order():
    pipeline = Pipeline(num_actors=2, max_lag=1)
    pipeline.hand_over(1, unroll(0))
    pipeline.hand_over(1, unroll(1))
    thread, given = asked(pipeline.collect)
    thread.join(0.05)
    assert thread.is_alive()
    assert pipeline.depth() == 2
    pipeline.hand_over(0, unroll(10))
    thread.join(WAIT_S)
    assert [each.version for each in given[0]] == [10, 0]
    assert pipeline.depth() == 1


def test_a_learner_that_waits_is_told_to_stop():
    pipeline = Pipeline(num_actors=1, max_lag=0)
    thread, given = asked(pipeline.collect)
    thread.join(0.05)
    assert thread.is_alive()
    pipeline.stop()
    thread.join(WAIT_S)
    assert given == [None]


def test_the_first_fault_is_heard_even_where_unrolls_wait():
    pipeline = Pipeline(num_actors=1, max_lag=1)
    pipeline.hand_over(0, unroll(0))
    first = ValueError("first")
    pipeline.fail("actor 0", first)
    pipeline.fail("actor 1", ValueError("second"))
    assert pipeline.collect() is None
    assert pipeline.fault == Fault("actor 0", first)
