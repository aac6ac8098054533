"""The programs of an actor of Sebulba on its device, for the lifetimes of one entry.

At every env step it takes the time steps of a batch of environments and gives a batch of actions. Learner states and
the growing trajectory stay on the device.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, PyTree, Shaped, UInt32

from podmeta.inner_loop import ActorOutput, Experience, LifetimeState, action_noise, policy_step
from podmeta.learners.base import LearnerState, MetaParams
from podmeta.learners.policies import Action, Noise
from podmeta.outer.base import Entry, Trajectory

LAST = int(dm_env.StepType.LAST)
EnvironmentStep = Callable[[dm_env.TimeStep, Action], dm_env.TimeStep]


class Record(NamedTuple):
    """What an actor records of one env step. `num` is its number of parallel lifetimes.

    Attributes:
      actor_output: [num, ...] the learner's input, output and action; None if only rewards count.
      step_type, reward, discount: [num] of the time step.
    """

    actor_output: ActorOutput | None
    step_type: Int[Array, "*time num"]
    reward: Float[Array, "*time num"]
    discount: Float[Array, "*time num"]


class ActorState(NamedTuple):
    """The state of an actor on its device, for the lifetimes of one entry.

    Attributes:
      lifetimes: [num, ...] the lifetimes, whose tasks, environments and time steps are on the host.
      noise: [unroll_length, num, ...] the noise of the unroll's actions, drawn at once because that is cheaper.
      records: [unroll_length, num, ...] the growing trajectory, one `Record` per env step.
      position: [] env steps of the unroll done.
    """

    lifetimes: LifetimeState
    noise: Noise
    records: Record
    position: Int[Array, ""]


class EntryActor(NamedTuple):
    """The functions with which an actor rolls out the lifetimes of one entry. `num` is the number of lifetimes.

    Attributes:
      entry: the entry.
      num_lifetimes: parallel lifetimes.
      unroll_length: env steps of an update.
      num_members: members, each with its own θ and an equal, consecutive share of the lifetimes; 0: all have one θ.
      uses_actor_outputs: whether more than rewards and discounts is recorded.
    """

    entry: Entry
    num_lifetimes: int
    unroll_length: int
    num_members: int
    uses_actor_outputs: bool

    def init(self, meta_params: MetaParams, keys: Key[Array, "num"], timestep: dm_env.TimeStep) -> ActorState:
        """The state before the first env step of lifetimes with these keys, at these time steps [num, ...]."""
        lifetimes = self._over_lifetimes(self._lifetime, meta_params, keys)
        noise = self._noise(lifetimes)

        def recorded(lifetimes: LifetimeState, noise: Noise) -> Record:
            return self._policy_step(meta_params, lifetimes, noise, timestep)[0]

        shapes = jax.eval_shape(recorded, lifetimes, noise[0])
        records = jax.tree.map(lambda leaf: jnp.zeros((self.unroll_length, *leaf.shape), leaf.dtype), shapes)
        return ActorState(lifetimes, noise, records, jnp.zeros((), jnp.int32))

    def begin(
        self, meta_params: MetaParams, state: ActorState, keys: Key[Array, "num"], starts: Bool[Array, "num"]
    ) -> tuple[ActorState, LearnerState]:
        """Begins an unroll, with fresh lifetimes in `starts`. Returns the state, and the learner states [num, ...]."""
        fresh = self._over_lifetimes(self._lifetime, meta_params, keys)
        lifetimes = jax.tree.map(
            lambda new, old: jnp.where(starts.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
            fresh,
            state.lifetimes,
        )
        state = ActorState(lifetimes, self._noise(lifetimes), state.records, jnp.zeros((), jnp.int32))
        return state, lifetimes.learner_state

    def act(self, meta_params: MetaParams, state: ActorState, timestep: dm_env.TimeStep) -> tuple[ActorState, Action]:
        """The actions [num, ...] at time steps [num, ...]."""
        # These functions do not check the position, because a check at every env step would cost as much as they do.
        noise = jax.lax.dynamic_index_in_dim(state.noise, state.position, keepdims=False)
        record, actions, lifetimes = self._policy_step(meta_params, state.lifetimes, noise, timestep)
        records = jax.tree.map(
            lambda growing, new: jax.lax.dynamic_update_index_in_dim(growing, new, state.position, axis=0),
            state.records,
            record,
        )
        return state._replace(lifetimes=lifetimes, records=records, position=state.position + 1), actions

    def unroll(
        self,
        step: EnvironmentStep,
        meta_params: MetaParams,
        state: ActorState,
        timestep: dm_env.TimeStep,
        until: Int[Array, ""],
    ) -> tuple[ActorState, dm_env.TimeStep]:
        """Acts in environments that compiled programs can step.

        Args:
          step: (time step, actions) -> the next time step.
          meta_params: the θ that acts.
          state: the state.
          timestep: [num, ...] the current time steps.
          until: [] the position of the unroll at which to stop; a NaN or an infinite number stops it earlier.

        Returns:
          The new state and time steps.
        """

        def goes_on(reached: tuple[ActorState, dm_env.TimeStep]) -> Bool[Array, ""]:
            state, timestep = reached
            finite = jnp.isfinite(timestep.reward).all() & jnp.isfinite(timestep.observation).all()
            return (state.position < until) & finite

        def env_step(reached: tuple[ActorState, dm_env.TimeStep]) -> tuple[ActorState, dm_env.TimeStep]:
            state, timestep = reached
            state, actions = self.act(meta_params, state, timestep)
            return state, step(timestep, actions)

        return jax.lax.while_loop(goes_on, env_step, (state, timestep))

    def finish(
        self, state: ActorState, learner_state: LearnerState, timestep: dm_env.TimeStep, first_step: Int[Array, "num"]
    ) -> Trajectory:
        """The trajectory [num, ...] of an unroll that began with these learner states and ends at this time step.

        The time step may hold NumPy arrays, as environments return them.
        """

        def shifted(leaf: Shaped[Array, "time num"], last: Shaped[ArrayLike, "num"]) -> Shaped[Array, "num time"]:
            return jnp.append(leaf[1:], jnp.asarray(last)[None], axis=0).swapaxes(0, 1)

        records = state.records
        learner_input, learner_output, action = jax.tree.map(
            lambda leaf: leaf.swapaxes(0, 1), records.actor_output or (None, None, None)
        )
        experience = Experience(
            learner_input=learner_input,
            learner_output=learner_output,
            action=action,
            action_ignored=(records.step_type == LAST).swapaxes(0, 1),
            follows_truncation=((records.step_type == LAST) & (records.discount > 0)).swapaxes(0, 1),
            reward=shifted(records.reward, timestep.reward),
            discount=shifted(records.discount, timestep.discount),
            episode_end=shifted(records.step_type, timestep.step_type) == LAST,
            expected_reward=None,
            regret=None,
            expected_advantages=None,
            expected_advantage=None,
        )
        final_input = jax.vmap(self.entry.inner_loop.make_learner_input)(timestep, state.lifetimes.previous_action)
        return Trajectory(learner_state, experience, final_input, first_step)

    def _over_lifetimes(self, function: Callable[..., PyTree], meta_params: MetaParams, *arguments: Any) -> Any:
        """Maps a function of θ and one lifetime over the lifetimes, each with the θ of its member."""
        if self.num_members == 0:
            return jax.vmap(lambda *one: function(meta_params, *one))(*arguments)
        by_member = jax.tree.map(lambda leaf: leaf.reshape(self.num_members, -1, *leaf.shape[1:]), arguments)
        over_members: Callable[..., PyTree] = jax.vmap(
            lambda member, several: jax.vmap(lambda one: function(member, *one))(several)
        )
        results = over_members(meta_params, by_member)
        return jax.tree.map(lambda leaf: leaf.reshape(self.num_lifetimes, *leaf.shape[2:]), results)

    def _lifetime(self, meta_params: MetaParams, key: Key[Array, ""]) -> LifetimeState:
        """A lifetime at its first env step."""
        _, learner_key, lifetime_key = _reset_keys(key)
        return LifetimeState(
            key_data=jax.random.key_data(lifetime_key),
            num_steps=jnp.zeros((), jnp.int32),
            task=(),
            environment_state=(),
            timestep=(),  # type: ignore[arg-type]  # the host holds it
            previous_action=jnp.zeros(self.entry.inner_loop.policy.num_actions),
            learner_state=self.entry.inner_loop.initial_state(meta_params, learner_key),
        )

    def _policy_step(
        self, meta_params: MetaParams, lifetimes: LifetimeState, noise: Noise, timestep: dm_env.TimeStep
    ) -> tuple[Record, Action, LifetimeState]:
        """Runs the learner on the time steps: the record, the actions, and the lifetimes after them."""
        inner_loop = self.entry.inner_loop
        actor_output, lifetimes = self._over_lifetimes(
            functools.partial(policy_step, inner_loop.step, inner_loop.policy, inner_loop.make_learner_input),
            meta_params,
            lifetimes._replace(timestep=timestep),
            noise,
        )
        kept = actor_output if self.uses_actor_outputs else None
        record = Record(kept, timestep.step_type, timestep.reward, timestep.discount)
        lifetimes = lifetimes._replace(timestep=())  # type: ignore[arg-type]  # the host holds it
        return record, jax.vmap(inner_loop.policy.to_environment)(actor_output.action), lifetimes

    def _noise(self, lifetimes: LifetimeState) -> Noise:
        """The noise [unroll_length, num, ...] of the actions of an unroll."""
        draw = functools.partial(action_noise, self.entry.inner_loop.policy, num_steps=self.unroll_length)
        return jax.vmap(draw, out_axes=1)(lifetimes)


def environment_seeds(keys: Key[Array, "num"]) -> UInt32[Array, "num"]:
    """The seeds of the tasks and environments of lifetimes with these keys."""
    return jax.vmap(lambda key: jax.random.bits(_reset_keys(key)[0], dtype=jnp.uint32))(keys)


def _reset_keys(key: Key[Array, ""]) -> Key[Array, "3"]:
    """The keys of a lifetime's task and environment, of its learner state, and of its env steps."""
    return jax.random.split(key, 3)
