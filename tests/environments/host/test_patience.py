"""An environment that does not answer is named after a while, and left behind."""

import threading
import time

import numpy as np
import pytest

from podmeta.config.schema import FactoryConfig
from podmeta.environments.host.registry import patient_host_environment
from podmeta.errors import InputError, PodmetaError
from podmeta.exits import AbandonableThread

TIMEOUT_S = 0.3
ONE = np.ones(1, bool), np.zeros(1, np.uint32)


def patient(**options):
    config = FactoryConfig(factory="tests.environments.abuse:Hanging", options=options)
    return patient_host_environment(config, 1, TIMEOUT_S)


@pytest.mark.parametrize("where", ["init", "spec", "reset", "step", "close"])
def test_a_hang_anywhere_is_named_in_time(where):
    start = time.monotonic()
    named = r"^factory .*Hanging: the environment has not answered for 0\.3 s(\. It may only be slow: .*)?$"
    with pytest.raises(PodmetaError, match=named):  # noqa: SIM117
        with patient(where=where) as environment:
            environment.reset(*ONE)
            environment.step(np.zeros(1, np.int32))
    assert time.monotonic() - start < 5
    # An ordinary exit would destroy what the thread runs in, and might abort.
    assert any(isinstance(thread, AbandonableThread) and "Hanging" in thread.name for thread in threading.enumerate())


def test_what_answers_is_as_it_was_and_leaves_no_thread():
    with patient(where="nowhere") as environment:
        assert environment.reset(*ONE).step_type == 0
        assert environment.step(np.zeros(1, np.int32)).reward == 1.0
    deadline = time.monotonic() + 5
    while any("nowhere" in thread.name for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(InputError, match="in init"), patient(where="nowhere", does="raise_in_init"):
        pass
