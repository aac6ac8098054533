"""Steps an agent under alarms at random moments: interrupted_agent TRIES SEED. Prints what became of it.

An alarm raises an exception wherever the main thread is, as Ctrl-C and time limits do. It is a process of its own,
because the type checks of the tests make other errors of exceptions.
"""

import collections
import copy
import random
import signal
import sys
import time

import dm_env
import jax
import numpy as np
from dm_env import specs

import podmeta
from podmeta.agent import Agent, LearnedAlgorithm

_COMPILING_EVERY = 20  # tries after which one comes while the program compiles
_LONGEST_COMPILATION_S = 1.0


class AlarmError(Exception):
    """Raised by the alarm."""


def ring(number, frame):
    raise AlarmError


def new_agent(algorithm: LearnedAlgorithm) -> Agent:
    return algorithm.reset(specs.BoundedArray((4,), np.float32, -1.0, 1.0), specs.DiscreteArray(2), seed=0)


def begun_agent(algorithm: LearnedAlgorithm) -> Agent:
    agent = new_agent(algorithm)
    agent.step(dm_env.restart(np.zeros(4, np.float32)))
    return agent


def next_timestep(moments: random.Random) -> dm_env.TimeStep:
    return dm_env.transition(moments.gauss(0, 1), np.array([moments.gauss(0, 1) for _ in range(4)], np.float32))


def leaves(agent: Agent) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(agent._state)]


def step_under_alarm(agent: Agent, timestep: dm_env.TimeStep, seconds: float) -> bool:
    """Whether the alarm came."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        agent.step(timestep)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except AlarmError:
        return True
    return False


def outcome(agent: Agent, before: Agent, after: Agent, timestep: dm_env.TimeStep) -> str:
    """Where an agent stands after an interrupted step, which the others have not taken."""
    after.step(timestep)
    now = leaves(agent)
    for name, other in (("before", before), ("after", after)):
        if all(map(np.array_equal, now, leaves(other))):
            return name
    return "elsewhere"


def main(tries: int, seed: int) -> dict[str, int]:
    moments = random.Random(seed)
    signal.signal(signal.SIGALRM, ring)
    algorithm = podmeta.load_agent("symla-general")
    agent = begun_agent(algorithm)
    agent.step(next_timestep(moments))
    start = time.perf_counter()
    for _ in range(50):
        agent.step(next_timestep(moments))
    step_seconds = (time.perf_counter() - start) / 50
    outcomes: collections.Counter[str] = collections.Counter()
    while outcomes.total() < tries:
        timestep, longest = next_timestep(moments), step_seconds
        if outcomes.total() % _COMPILING_EVERY == 0:
            agent, longest = new_agent(podmeta.load_agent("symla-general")), _LONGEST_COMPILATION_S
            timestep = dm_env.restart(timestep.observation)
        before, after = copy.copy(agent), copy.deepcopy(agent)
        try:
            if step_under_alarm(agent, timestep, moments.uniform(1e-6, longest)):
                outcomes[outcome(agent, before, after, timestep)] += 1
                agent = after
        except Exception as error:
            outcomes[f"{type(error).__name__}: {str(error).splitlines()[0]}"] += 1
            agent = begun_agent(algorithm)
    return dict(outcomes)


if __name__ == "__main__":
    for name, number in main(int(sys.argv[1]), int(sys.argv[2])).items():
        print(number, name)
