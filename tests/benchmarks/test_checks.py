"""The recorded CartPoles by which the checks are timed keep to the contract, or no check would come to its end."""

import numpy as np

from podmeta.benchmarks.checks import NUM_ENVIRONMENTS, _Recorded
from podmeta.environments.contract import FIRST, LAST
from podmeta.environments.host.checked import Checked


def test_the_recording_passes_the_checks_over_several_episodes():
    environment = Checked(_Recorded())
    every = np.ones(NUM_ENVIRONMENTS, bool)
    timesteps = [environment.reset(every, np.arange(NUM_ENVIRONMENTS, dtype=np.uint32))]
    timesteps += [environment.step(np.zeros(NUM_ENVIRONMENTS, np.int32)) for _ in range(50)]
    step_types = [int(timestep.step_type[0]) for timestep in timesteps]
    assert step_types.count(FIRST) == 3 and step_types.count(LAST) == 2
