"""Timeouts for environments: each runs in its own thread, which is abandoned if it does not return."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import dm_env
import numpy as np
from jaxtyping import Bool, UInt32

from podmeta.environments.host.base import Actions, HostEnvironment, HostWrapper
from podmeta.errors import PodmetaError
from podmeta.exits import AbandonableThread
from podmeta.operating_system import lack_of_cores

TIMEOUT_S = 60.0

Result = TypeVar("Result")


class EnvironmentThread:
    """A thread in which one environment is made, stepped and closed. It does not prevent the process from ending.

    Args:
      name: what messages call the environment.
      timeout_s: how long one call may take.
    """

    def __init__(self, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._has_hung = False
        AbandonableThread(f"environment {name}", self._work).start()

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls a function in the thread.

        Raises:
          PodmetaError: it did not return in time, in this call or an earlier one.
        """
        if not self._has_hung:
            self._calls.put((function, arguments))
            with contextlib.suppress(queue.Empty):
                result, error = self._results.get(timeout=self._timeout_s)
                if error is not None:
                    raise error
                return result
        self._has_hung = True
        busy = lack_of_cores()
        slow = f". It may only be slow: {busy}" if busy else ""
        raise PodmetaError(f"{self._name}: the environment has not answered for {self._timeout_s:g} s{slow}")

    def end(self) -> None:
        """Ends the thread, unless it was abandoned."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, arguments = call
            try:
                self._results.put((function(*arguments), None))
            except BaseException as error:
                self._results.put((None, error))


class Patient(HostWrapper):
    """A batch with a timeout on every call.

    Args:
      environment: the batch.
      thread: the thread in which it was made.
    """

    def __init__(self, environment: HostEnvironment, thread: EnvironmentThread) -> None:
        super().__init__(environment)
        self._thread = thread

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """As inside."""
        return self._thread.call(super().reset, starts, seeds)

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """As inside."""
        return self._thread.call(super().step, actions)

    def close(self) -> None:
        """Closes the batch inside, and ends the thread."""
        self._thread.call(super().close)
        self._thread.end()


@contextlib.contextmanager
def patiently(
    name: str, make: Callable[[], HostEnvironment], timeout_s: float = TIMEOUT_S
) -> Iterator[HostEnvironment]:
    """A batch that is made, used and closed with a timeout.

    Args:
      name: what messages call it.
      make: makes the batch.
      timeout_s: how long each call may take.

    Raises:
      PodmetaError: an environment did not answer in time, or failed.
    """
    thread = EnvironmentThread(name, timeout_s)
    with Patient(thread.call(make), thread) as environment:
        yield environment
