"""`podmeta bench agent`: how long an agent of a learned algorithm takes for a step."""

import itertools
import time

import dm_env
import numpy as np
from dm_env import specs

from podmeta.agent import LearnedAlgorithm, load_agent
from podmeta.benchmarks.measure import report
from podmeta.storage.pretrained import list_pretrained

SIZES = [(1, 2), (4, 2), (32, 4), (147, 16)]
STEPS = 500
REPEATS = 10


def bench_agent() -> None:
    """Measures µs per step of every algorithm that ships, at four sizes."""
    for name, (observation_size, num_actions) in itertools.product(list_pretrained(), SIZES):
        _measure(name, load_agent(name), observation_size, num_actions)


def _measure(name: str, algorithm: LearnedAlgorithm, observation_size: int, num_actions: int) -> None:
    observation_spec = specs.BoundedArray((observation_size,), np.float32, -1.0, 1.0)
    agent = algorithm.reset(observation_spec, specs.DiscreteArray(num_actions), seed=0)
    timestep = dm_env.transition(reward=1.0, observation=np.ones(observation_size, np.float32))
    start = time.perf_counter()
    agent.step(timestep)
    first_seconds = time.perf_counter() - start
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(STEPS):
            agent.step(timestep)
        seconds.append((time.perf_counter() - start) / STEPS)
    setting = {"agent": name, "observation_size": observation_size, "num_actions": num_actions}
    report("agent_step", setting, min(seconds) * 1e6, "us")
    report("agent_first_step", setting, first_seconds, "s")
