"""The current lifetimes of one entry in an actor: a batch of host environments, and the state on a device."""

import dm_env
import numpy as np
from jaxtyping import Bool, Float, UInt32

from podmeta.architectures.sebulba.actor_programs import CompiledEntry
from podmeta.architectures.sebulba.cpu_tuning.compiled_unroll import CompiledUnroll
from podmeta.architectures.sebulba.entry_actor import ActorState
from podmeta.environments.host.base import Actions, HostEnvironment
from podmeta.learners.base import MetaParams


class EpisodeReturns:
    """Collects the returns of the episodes of a batch of environments."""

    def __init__(self, num_environments: int) -> None:
        self._running = np.zeros(num_environments)
        self._has_ended = np.zeros(num_environments, bool)  # with the last env step
        self._under_way = np.zeros(num_environments, bool)  # whether an action was taken in the episode

    def restart(self, starts: Bool[np.ndarray, "num"]) -> int:
        """Drops the episodes that new lifetimes cut off, and counts them."""
        num_cut_off = int((self._under_way & starts).sum())
        self._running[starts] = 0.0
        self._has_ended[starts] = self._under_way[starts] = False
        return num_cut_off

    def add(self, rewards: Float[np.ndarray, "num time"], episode_ends: Bool[np.ndarray, "num time"]) -> list[float]:
        """Adds the rewards of an unroll. Returns the returns of the episodes that ended in it."""
        since = self._running[:, None] + np.cumsum(rewards, axis=1, dtype=np.float64)
        environments, steps = np.nonzero(episode_ends)
        totals = since[environments, steps]
        # Of each environment in turn, its episodes one after the other: an episode's return is what the total grew by.
        is_first = np.diff(environments, prepend=-1) > 0
        before = np.where(is_first, 0.0, np.roll(totals, 1))
        is_last = np.roll(is_first, -1)
        self._running = since[:, -1].copy()
        self._running[environments[is_last]] -= totals[is_last]
        ended = np.column_stack([self._has_ended, episode_ends]).astype(bool)
        self._has_ended = ended[:, -1]
        self._under_way = ~(ended[:, -1] | ended[:, -2])  # an env step after an end is a reset
        return (totals - before).tolist()


class ActorRollout:
    """The lifetimes of one entry of one actor.

    Attributes:
      environment: the batch of environments.
      state: their state on the device, including the growing trajectory.
      timestep: [num, ...] their current time step, on the host or the device.
      position: env steps of the unroll done so far.
      unroll_length: env steps of the unroll.
      compiled_unroll: does several env steps in one program; None if they are done one by one.
      returns: the returns of their episodes.
    """

    def __init__(
        self,
        programs: CompiledEntry,
        environment: HostEnvironment,
        state: ActorState,
        timestep: dm_env.TimeStep,
        compiled_unroll: CompiledUnroll | None,
    ) -> None:
        self.environment = environment
        self.state = state
        self.timestep = timestep
        self.position = 0
        self.unroll_length = programs.unroll_length
        self.compiled_unroll = compiled_unroll
        self.returns = EpisodeReturns(environment.num_environments)
        self._act = programs.act

    def restart(self, starts: Bool[np.ndarray, "num"], seeds: UInt32[np.ndarray, "num"]) -> int:
        """Begins lifetimes in the environments of `starts`. Returns the number of episodes that this cuts off."""
        self.timestep = self.environment.reset(starts, seeds)
        return self.returns.restart(starts)

    def begin(self, state: ActorState) -> None:
        """Begins an unroll with a state."""
        self.state, self.position = state, 0

    def infer_and_append(self, meta_params: MetaParams) -> Actions:
        """The actions at the time step. The trajectory on the device grows by the learner's input and output."""
        self.state, actions = self._act(meta_params, self.state, self.timestep)
        self.position += 1
        return np.asarray(actions)

    def step(self, actions: Actions) -> None:
        """Takes these actions in the environments."""
        self.timestep = self.environment.step(actions)

    def run_compiled_unroll(self, compiled_unroll: CompiledUnroll, meta_params: MetaParams) -> None:
        """Infers, appends and steps several times in one program."""
        before = self.position
        self.state, self.timestep, self.position = compiled_unroll(meta_params, self.state, self.timestep, before)
        compiled_unroll.check(self.position - before, self.timestep)
