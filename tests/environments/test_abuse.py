"""Every abusive environment is right, or named in a message; none is believed, and none hangs."""

import multiprocessing

import numpy as np
import pytest

from podmeta.config.schema import FactoryConfig, GymnasiumConfig
from podmeta.environments.host.registry import make_host_environment
from podmeta.errors import PodmetaError
from tests.environments.abuse_kinds import KINDS, Abuse

BATCH, NUM_STEPS = 2, 9
WORKERS = {"vectorisation": "processes", "num_processes": 2}
IN_WORKERS = {  # the rest of the kinds in workers are `long`
    "last_for_ever",
    "byte_300",
    "reward_text",
    "exits_in_step",
    "os_exits_in_step",
    "exits_in_init",
    "raises_1_MB",
    "raises_in_close",
    "observation_size_by_seed",
    "gym_terminated_none",
}


def live(abuse, keys):
    """A lifetime of some steps, in a batch of two."""
    if abuse.factory is None:
        config = GymnasiumConfig(id="tests.environments.abuse:podmeta/Abusive-v0", options=abuse.options, **keys)
    else:
        config = FactoryConfig(factory=f"tests.environments.abuse:{abuse.factory}", options=abuse.options, **keys)
    with make_host_environment(config, BATCH) as environment:
        spec = environment.action_spec()
        environment.reset(np.ones(BATCH, bool), np.arange(BATCH, dtype=np.uint32))
        for _ in range(NUM_STEPS):
            actions = np.ones((BATCH, *spec.shape), spec.dtype)
            actions.flags.writeable = False  # as an array of JAX's is
            timestep = environment.step(actions)
            assert np.isfinite(timestep.reward).all() and np.isin(timestep.step_type, (0, 1, 2)).all()


def check(abuse, keys):
    """Lives, and holds what is said against what should be."""
    if abuse.message is None:
        live(abuse, keys)
    else:
        with pytest.raises(PodmetaError, match=abuse.message) as raised:
            live(abuse, keys)
        said = str(raised.value)
        assert len(said) < 6000
        assert "Abusive" in said or "one_for_all" in said  # the environment's name
        if "\n" in said:  # only where an environment raises, whose traceback is shown
            assert "failed:\n" in said
    assert not multiprocessing.active_children()


def test_there_are_at_least_a_hundred_kinds():
    assert len(KINDS) >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_abuse_inline_is_named_or_right(kind):
    check(KINDS[kind], {})


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in IN_WORKERS else pytest.mark.long) for kind in KINDS]
)
def test_abuse_in_workers_is_named_or_right(kind):
    if kind == "one_object_for_all":
        pytest.skip("each worker makes its own")
    if kind == "observation_a_memory_view":
        pytest.skip("what a worker is to show is pickled, and memory views are not")
    check(KINDS[kind], WORKERS)


def test_a_worker_that_ends_silently_is_named():
    """Inline, the call of a thread, or of C code, ends the whole process."""
    options = {"does": "os_exit_in_a_thread"}
    message = "environment [01] of 2 is gone: the worker process .* ended with exit code 0"
    check(Abuse(message, options), WORKERS)
