"""What goes wrong in one environment of a batch is reported with the batch's name, the place and the env step."""

import re

import numpy as np
import pytest

from podmeta.config.schema import FactoryConfig
from podmeta.errors import InputError, PodmetaError

ACTIONS = np.zeros(3, np.int32)
WHERE = r"^factory tests\.environments\.host\.factories:Script: at env step 2, environment 1 of 3 "


@pytest.mark.long
@pytest.mark.parametrize("vectorisation", ["inline", "processes"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", r"failed:\nTraceback (?s:.*)_misbehave(?s:.*)ZeroDivisionError: the script says so\n$"),
        ("grow", r"showed an observation of shape \(3,\), but its spec says \(2,\)$"),
        ("nan", "gave nan as its observation, component 2$"),
        ("infinite", r"gave -inf as its reward, but a number from -1e\+15 to 1e\+15 is required$"),
    ],
)
def test_a_fault_is_told_with_its_place(vectorisation, how, message, make_script, begin):
    keys = {"vectorisation": vectorisation, "num_processes": 2}
    environment = make_script(3, keys, strike=2, how=how)
    begin(environment)
    environment.step(ACTIONS)
    # A lifetime makes the script anew: only the middle one still is at its second env step.
    environment.reset(np.array([True, False, True]), np.zeros(3, np.uint32))
    with pytest.raises(PodmetaError, match=WHERE + message) as raised:
        environment.step(ACTIONS)
    assert not isinstance(raised.value, InputError)


def test_a_fault_of_a_reset_is_told(make, begin):
    environment = make(FactoryConfig(factory="tests.environments.host.factories:Reluctant"), 2)
    with pytest.raises(PodmetaError, match=re.escape("at env step 0, environment 0 of 2 failed:\n")):
        begin(environment)
