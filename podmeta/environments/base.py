"""The functional interface of JAX environments.

An environment is a set of pure functions over `dm_env.TimeStep` and dm_env specs. A *task* is drawn once per lifetime
(arm probabilities, a permutation, a reward sign), and episodes are played on it.

Episode ends follow dm_env's contract. The time step that ends an episode has `step_type` LAST; its `discount` is 0 if
the episode *terminated* and 1 if it was *truncated* (a time limit). The step after a LAST one ignores its action and
starts the next episode with a FIRST time step (`step_or_reset`). This reset counts as an env step, as in every host
environment.
"""

import abc
from typing import Any, Generic, TypeVar

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from podmeta.arithmetic import use_own_types_in

Task = TypeVar("Task")
EnvironmentState = TypeVar("EnvironmentState")
Action = Int[Array, ""] | Float[Array, "num_actions"]

_COMPUTED = ("sample_task", "reset", "step", "expected_rewards", "expected_advantages")


class Environment(abc.ABC, Generic[Task, EnvironmentState]):
    """One JAX environment: a distribution of tasks, and episodes on each of them.

    All functions are pure, unbatched, and safe under `jit` and `vmap`. Arrays carry no batch axis. Those of subclasses
    compute in podmeta's arithmetic, whatever a user's program has set.

    In all methods, `key` is the randomness of the call, `task` is what `sample_task` drew for the lifetime, `state` is
    the environment state, and `action` is one that `action_spec` allows.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        use_own_types_in(_COMPUTED, cls)

    @property
    def episodes_end(self) -> bool:
        """Whether episodes ever end. If not, resets need not be computed at every env step."""
        return True

    @property
    def num_tasks(self) -> float | None:
        """The number of different tasks, at most; `math.inf` if too many to count; None if unknown."""
        return None

    @abc.abstractmethod
    def observation_spec(self) -> specs.Array:
        """Shape, dtype (float32) and bounds of an observation. Discrete observations are one-hot."""

    @abc.abstractmethod
    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """A `DiscreteArray` of `num_values` actions, or a `BoundedArray` of shape [num_actions]."""

    @abc.abstractmethod
    def sample_task(self, key: PRNGKeyArray) -> Task:
        """Draws the task of one lifetime."""

    @abc.abstractmethod
    def reset(self, key: PRNGKeyArray, task: Task) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Starts an episode: the environment state and a FIRST time step (`restart`)."""

    @abc.abstractmethod
    def step(
        self, key: PRNGKeyArray, task: Task, state: EnvironmentState, action: Action
    ) -> tuple[EnvironmentState, dm_env.TimeStep]:
        """Advances an episode that has not ended by one action."""

    def expected_rewards(self, task: Task, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """The expected immediate reward of every action; None if the environment does not know it.

        The regret of an action is its distance from the best.
        """
        del task, state
        return None

    def expected_advantages(self, task: Task, state: EnvironmentState) -> Float[Array, "num_actions"] | None:
        """A teacher's expected advantage of every action; None if the environment has no teacher.

        Unlike `expected_rewards`, it includes later consequences of the action. The best action has 0, and the mean
        over actions is about -1; if all actions are equal, all have 0.
        """
        del task, state
        return None


AnyEnvironment = Environment[Any, Any]
"""An environment, whatever its tasks and states are."""


def restart(observation: Shaped[Array, "..."]) -> dm_env.TimeStep:
    """A FIRST time step. Reward 0 and discount 1 stand for dm_env's None: a traced step has one structure."""
    return _time_step(dm_env.StepType.FIRST, 0.0, 1.0, observation)


def transition(
    reward: Shaped[Array, ""] | float,
    observation: Shaped[Array, "..."],
    terminated: Array | bool = False,
    truncated: Array | bool = False,
) -> dm_env.TimeStep:
    """A MID time step, or a LAST one if the episode terminated (discount 0) or was truncated (discount 1)."""
    last = jnp.logical_or(terminated, truncated)
    step_type = jnp.where(last, int(dm_env.StepType.LAST), int(dm_env.StepType.MID))
    return _time_step(step_type, reward, 1.0 - jnp.asarray(terminated, jnp.float32), observation)


def step_or_reset(
    environment: Environment[Task, EnvironmentState],
    key: PRNGKeyArray,
    task: Task,
    state: EnvironmentState,
    timestep: dm_env.TimeStep,
    action: Action,
) -> tuple[EnvironmentState, dm_env.TimeStep]:
    """Steps the current episode; after a LAST `timestep`, ignores `action` and starts the next episode.

    Args:
      environment: the environment.
      key: the randomness of this env step.
      task: the task of the lifetime.
      state: the environment state at `timestep`.
      timestep: the time step at which `action` was chosen.
      action: the action.

    Returns:
      The next environment state and time step.
    """
    stepped = environment.step(key, task, state, action)
    if not environment.episodes_end:
        return stepped
    ended = is_last(timestep)
    restarted = environment.reset(key, task)
    return jax.tree.map(lambda new, old: jnp.where(ended, new, old), restarted, stepped)


def is_first(timestep: dm_env.TimeStep) -> Array:
    """Whether a (traced) time step starts an episode."""
    return jnp.equal(timestep.step_type, int(dm_env.StepType.FIRST))


def is_last(timestep: dm_env.TimeStep) -> Array:
    """Whether a (traced) time step ends an episode."""
    return jnp.equal(timestep.step_type, int(dm_env.StepType.LAST))


def is_truncated(timestep: dm_env.TimeStep) -> Array:
    """Whether a (traced) time step ends an episode by a time limit, not by termination."""
    return jnp.logical_and(is_last(timestep), timestep.discount > 0)


def _time_step(step_type: Any, reward: Any, discount: Any, observation: Any) -> dm_env.TimeStep:
    return dm_env.TimeStep(
        step_type=jnp.asarray(step_type, jnp.int32),
        reward=jnp.asarray(reward, jnp.float32),
        discount=jnp.asarray(discount, jnp.float32),
        observation=jnp.asarray(observation, jnp.float32),
    )
