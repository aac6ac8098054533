"""Env steps and inference in one program, for environments with a compiled step and actors on the CPU.

An env step then needs no Python. With a small network, actors would otherwise spend most of their time in Python, and
waiting for the interpreter lock.
"""

import functools
import time
from collections.abc import Callable

import dm_env
import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.architectures.sebulba.actor_programs import CompiledEntry
from podmeta.architectures.sebulba.clock import ENVIRONMENT, INFERENCE, Clock
from podmeta.architectures.sebulba.entry_actor import ActorState
from podmeta.environments.host.base import CompiledStep, HostEnvironment
from podmeta.learners.base import MetaParams

_LOOK_EVERY_S = 0.1  # about how long a program runs before the actor checks whether it is to stop
_TIMED_FOR_S = 0.005  # how long inference is timed for at least: what a call costs is then little of it


Arguments = tuple[MetaParams, ActorState, dm_env.TimeStep]
"""The θ that acts, the state, and the time step."""


def compile_unroll(
    programs: CompiledEntry,
    environment: HostEnvironment,
    device: jax.Device,
    is_staggered: bool,
    clock: Clock,
    arguments: Arguments,
) -> "CompiledUnroll | None":
    """The program that rolls out the lifetimes of one entry; None if there can be none.

    Args:
      programs: those of the entry.
      environment: the batch.
      device: the actor's.
      is_staggered: whether lifetimes never all start at once again. Environments are made anew if they do, which a
        compiled step cannot follow.
      clock: the actor's.
      arguments: examples with the shapes of all later ones. The state is donated.
    """
    if device.platform != "cpu" or not is_staggered:
        return None
    compiled = environment.compiled_step()
    return None if compiled is None else CompiledUnroll(programs, compiled, device, clock, arguments)


class CompiledUnroll:
    """The program that rolls out the lifetimes of one entry, for one batch of environments.

    Attributes:
      steps_at_once: the number of env steps of the next call.
    """

    def __init__(
        self,
        programs: CompiledEntry,
        compiled: CompiledStep,
        device: jax.Device,
        clock: Clock,
        arguments: Arguments,
    ) -> None:
        """Compiles the program, once for all calls. No environment steps. For the arguments see `compile_unroll`."""
        meta_params, state, timestep = arguments
        self.steps_at_once = 1
        self._unroll_length = programs.entry_actor.unroll_length
        self._compiled = compiled
        self._device = device
        timestep = self.placed(timestep)
        self._clock = clock
        unroll = functools.partial(programs.entry_actor.unroll, compiled.step)
        self._program = jax.jit(unroll, donate_argnums=1)
        state, _ = self._program(meta_params, state, timestep, np.int32(0))
        # Its part of the program's time cannot be seen otherwise.
        self._seconds_to_act = _seconds_to_act(programs.act_alone, meta_params, state, timestep)

    def __call__(
        self, meta_params: MetaParams, state: ActorState, timestep: dm_env.TimeStep, position: int
    ) -> tuple[ActorState, dm_env.TimeStep, int]:
        """Does env steps from a position of the unroll. Returns the new state, time step and position."""
        timestep = self.placed(timestep)
        until = np.int32(min(position + self.steps_at_once, self._unroll_length))
        start = time.perf_counter()
        with self._clock.spending(ENVIRONMENT):  # whose failure to answer is looked for
            state, timestep = self._program(meta_params, state, timestep, until)
            jax.block_until_ready(timestep)
        seconds = time.perf_counter() - start
        reached = int(state.position)
        self._clock.divide(min(seconds, self._seconds_to_act * (reached - position)), ENVIRONMENT, INFERENCE)
        self.steps_at_once = max(1, int(_LOOK_EVERY_S / seconds * (reached - position)))
        return state, timestep, reached

    def placed(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        """A time step on the actor's device, where calls leave theirs. JAX would compile again for one in NumPy."""
        return jax.device_put(timestep, self._device)

    def check(self, num_steps: int, timestep: dm_env.TimeStep) -> None:
        """Checks the time step at the end of a call of this many env steps.

        Raises:
          PodmetaError: an environment failed; the message names it.
        """
        self._compiled.has_stepped(num_steps, dm_env.TimeStep(*map(np.asarray, timestep)))


def _seconds_to_act(
    act_alone: Callable[..., PyTree], meta_params: MetaParams, state: ActorState, timestep: dm_env.TimeStep
) -> float:
    """Seconds of inference for one env step in a compiled program. The state is donated."""
    state, _ = act_alone(meta_params, state, timestep, 0)
    seconds, position, num_steps = 0.0, 0, 1
    while seconds < _TIMED_FOR_S:
        num_steps *= 2
        position += num_steps
        start = time.perf_counter()
        state, _ = jax.block_until_ready(act_alone(meta_params, state, timestep, position))
        seconds = time.perf_counter() - start
    return seconds / num_steps
