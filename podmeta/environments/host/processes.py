"""A batch of Python environments, divided among worker processes.

The arrays of every env step are in shared memory; a pipe per worker carries one byte each way, and errors. Workers are
spawned, not forked, because JAX's threads do not survive a fork.
"""

import itertools
import multiprocessing
import multiprocessing.process
import multiprocessing.util
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import dm_env
import numpy as np
from dm_env import specs
from jaxtyping import Bool, UInt32

from podmeta.environments.bridge.arrays import ActionDecoder, ObservationEncoder
from podmeta.environments.contract import FaultyEnvironmentError, in_words, trace_of
from podmeta.environments.host.base import Actions, HostEnvironment
from podmeta.environments.host.inline import InlineEnvironments, make_inline
from podmeta.environments.host.single import SingleEnvironment
from podmeta.errors import InputError, PodmetaError
from podmeta.operating_system import STOP_SIGNALS, blocked
from podmeta.streams import protect_streams

_RESET, _STEP, _CLOSE, _DONE = b"r", b"s", b"c", b"d"
_CLOSE_TIMEOUT_S = 2.0
_KILL_TIMEOUT_S = 1.0
_ALIGNMENT = 64


class ArrayLayout(NamedTuple):
    """The place of an array in shared memory.

    Attributes:
      offset: bytes from the start.
      shape: its shape.
      dtype: its dtype's name.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: str


class WorkerEnvironments(HostEnvironment):
    """Steps its environments in worker processes.

    Workers ignore the terminal's Ctrl-C, SIGTERM and SIGHUP. They end when they are closed, when this process ends,
    however it ends, or by SIGKILL.

    Args:
      name: what messages call the batch.
      make: makes one environment; picklable, because the workers call it.
      num_environments: B.
      num_processes: workers; at most one per environment.

    Raises:
      InputError: the environment cannot be made, or podmeta does not support its observations or actions.
    """

    def __init__(self, name: str, make: Callable[[], SingleEnvironment], num_environments: int, num_processes: int):
        super().__init__(name, num_environments)
        self._encode, self._decode = _described(make, name)
        layouts, size = _layouts(num_environments, self._encode.spec, self._decode.spec)
        context = multiprocessing.get_context("spawn")
        memory = context.RawArray("b", size)
        self._arrays = _views(memory, layouts)
        bounds = np.linspace(0, num_environments, min(num_processes, num_environments) + 1).astype(int)
        self._shares = [slice(int(first), int(end)) for first, end in itertools.pairwise(bounds)]
        self._connections: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._is_idle = True
        # A process that ends without closing would wait for its workers for ever: they do not hear its SIGTERM.
        multiprocessing.util.Finalize(self, _kill, (self._processes,), exitpriority=0)
        for number, share in enumerate(self._shares):
            connection, workers_end = context.Pipe()
            process = context.Process(
                target=_work,
                name=f"{name}, worker {number}",
                args=(workers_end, memory, layouts, name, make, share),
                daemon=True,
            )
            _start_deaf(process)
            workers_end.close()  # so that the connection ends when the worker does
            self._connections.append(connection)
            self._processes.append(process)

    def observation_spec(self) -> specs.Array:
        """The environment's own, encoded."""
        return self._encode.spec

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """The environment's own, flat."""
        return self._decode.spec

    def reset(self, starts: Bool[np.ndarray, "B"], seeds: UInt32[np.ndarray, "B"]) -> dm_env.TimeStep:
        """Begins lifetimes, in all workers at the same time."""
        self._arrays["starts"][:] = starts
        self._arrays["seeds"][:] = seeds
        return self._ask(_RESET)

    def step(self, actions: Actions) -> dm_env.TimeStep:
        """Steps, in all workers at the same time."""
        self._arrays["actions"][:] = actions
        return self._ask(_STEP)

    def close(self) -> None:
        """Asks idle workers to close their environments, and kills those that do not end within two seconds.

        Raises:
          PodmetaError: an environment failed when it was closed.
        """
        deadline = time.monotonic() + (_CLOSE_TIMEOUT_S if self._is_idle else 0.0)
        for connection in self._connections if self._is_idle else []:
            _try_to_send(connection, _CLOSE)
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        _kill(self._processes)
        for process in self._processes:
            process.join(_KILL_TIMEOUT_S)
        for connection in self._connections if self._is_idle else []:
            failure = _last_word(connection)
            if failure is not None:
                raise failure

    def _ask(self, command: bytes) -> dm_env.TimeStep:
        self._is_idle = False
        for connection in self._connections:
            _try_to_send(connection, command)
        awaited = list(self._connections)
        while awaited:  # whoever answers first, so that a worker that is gone is seen even where another hangs
            answered = wait(awaited)
            for connection in [connection for connection in awaited if connection in answered]:
                self._receive(connection)
                awaited.remove(connection)
        self._is_idle = True
        return dm_env.TimeStep(*(self._arrays[field].copy() for field in dm_env.TimeStep._fields))

    def _receive(self, connection: Connection) -> None:
        try:
            reply = connection.recv()
        except (EOFError, OSError) as error:
            worker = self._connections.index(connection)
            process, share = self._processes[worker], self._shares[worker]
            process.join(_KILL_TIMEOUT_S)
            raise FaultyEnvironmentError(
                share.start,
                f"is gone: the worker process {process.pid} of environments {share.start} to {share.stop - 1} ended "
                f"with {_ending(process.exitcode)}",
            ) from error
        if isinstance(reply, FaultyEnvironmentError):
            raise reply


def _described(make: Callable[[], SingleEnvironment], name: str) -> tuple[ObservationEncoder, ActionDecoder]:
    """The specs of an environment, which is made and closed."""
    inline = make_inline(name, make, 1)
    inline.close()
    return inline.encode, inline.decode


def _last_word(connection: Connection) -> PodmetaError | None:
    """The error of a worker that has ended, from closing its environments."""
    try:
        reply = connection.recv() if connection.poll() else None
    except (EOFError, OSError):
        return None
    return reply if isinstance(reply, PodmetaError) else None


def _ending(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"exit code {exit_code}, by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"exit code {exit_code}"


def _start_deaf(process: multiprocessing.process.BaseProcess) -> None:
    """Starts a process that ignores the signals that ask a job to stop, by the signal mask that it inherits.

    A terminal sends its signals to the workers too, and a scheduler may send them SIGTERM, while this process still has
    to finish its update and save. Because they are blocked from the start, they cannot interrupt the worker's imports
    either.
    """
    with blocked(*STOP_SIGNALS):
        process.start()


def _kill(processes: list[multiprocessing.process.BaseProcess]) -> None:
    for process in processes:
        process.kill()


def _try_to_send(connection: Connection, command: bytes) -> None:
    """Sends to a worker. If it is gone, this shows when its reply is awaited."""
    try:
        connection.send(command)
    except OSError:
        return


def _layouts(
    num_environments: int, observation_spec: specs.Array, action_spec: specs.Array
) -> tuple[dict[str, ArrayLayout], int]:
    """The place of each array in shared memory, and the memory's size in bytes."""
    per_environment: dict[str, tuple[tuple[int, ...], Any]] = {
        "step_type": ((), np.int32),
        "reward": ((), np.float32),
        "discount": ((), np.float32),
        "observation": (observation_spec.shape, observation_spec.dtype),
        "actions": (action_spec.shape, action_spec.dtype),
        "starts": ((), np.bool_),
        "seeds": ((), np.uint32),
    }
    layouts, offset = {}, 0
    for field, (shape, dtype) in per_environment.items():
        layouts[field] = ArrayLayout(offset, (num_environments, *shape), np.dtype(dtype).name)
        size = int(np.prod(layouts[field].shape)) * np.dtype(dtype).itemsize
        offset += -(-size // _ALIGNMENT) * _ALIGNMENT
    return layouts, offset


def _views(memory: Any, layouts: dict[str, ArrayLayout]) -> dict[str, np.ndarray]:
    return {
        field: np.frombuffer(memory, layout.dtype, int(np.prod(layout.shape)), layout.offset).reshape(layout.shape)
        for field, layout in layouts.items()
    }


# --- in the worker -----------------------------------------------------------------------------------------------


def _work(
    connection: Connection,
    memory: Any,
    layouts: dict[str, ArrayLayout],
    name: str,
    make: Callable[[], SingleEnvironment],
    share: slice,
) -> None:
    """The main function of a worker: makes its share of the environments, and serves requests until it is closed."""
    threading.Thread(target=_die_with_parent, name="parent", daemon=True).start()
    protect_streams()  # an environment may print
    arrays = {field: array[share] for field, array in _views(memory, layouts).items()}
    environments: InlineEnvironments | None = None
    while True:
        try:
            command = connection.recv()
        except EOFError:  # the parent is gone
            return
        if command == _CLOSE:
            try:
                if environments is not None:
                    environments.close()
            except PodmetaError as error:
                connection.send(error)
            return
        try:
            if environments is None:
                environments = make_inline(name, make, share.stop - share.start)
                _check_alike(environments, arrays)
            if command == _RESET:
                timestep = environments.reset(arrays["starts"], arrays["seeds"])
            else:
                timestep = environments.step(arrays["actions"])
        except FaultyEnvironmentError as fault:
            connection.send(FaultyEnvironmentError(share.start + fault.index, fault.what))
        except (InputError, SystemExit) as error:
            connection.send(FaultyEnvironmentError(share.start, f"could not be made: {in_words(error)}"))
        except Exception as error:
            what = f"could not be made:\n{trace_of(error)}"
            connection.send(FaultyEnvironmentError(share.start, what))
        else:
            for field, values in timestep._asdict().items():
                arrays[field][:] = values
            connection.send(_DONE)


def _check_alike(environments: InlineEnvironments, arrays: dict[str, np.ndarray]) -> None:
    """Checks that the environments of a worker have the specs of the one that its parent made."""
    for field, spec in (("observation", environments.observation_spec()), ("actions", environments.action_spec())):
        if spec.shape != arrays[field].shape[1:] or spec.dtype != arrays[field].dtype:
            raise InputError(
                f"its spec of {field} has shape {spec.shape} and dtype {spec.dtype}, but an environment made before "
                f"had {arrays[field].shape[1:]} and {arrays[field].dtype}"
            )


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
