"""Contextual bandits: which action pays depends on the context and on the task."""

from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray

from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.errors import InputError


class ContextualBanditTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      rewards: [num_contexts, num_actions] the reward of each action in each context.
    """

    rewards: Float[Array, "num_contexts num_actions"]


class ContextualBanditState(NamedTuple):
    """The state of an episode.

    Attributes:
      context: [] the current context.
    """

    context: Int[Array, ""]


class ContextualBandit(Environment[ContextualBanditTask, ContextualBanditState]):
    """A random table of rewards with one row per context. The context is drawn uniformly at every step.

    Each entry of the table is drawn from {-1, 0, 1}, and then each action's mean over the contexts is subtracted. So no
    action is better than another on average, and a policy that ignores the context earns nothing. Without this,
    meta-training gets stuck at choosing the best action overall. Rewards lie in (-2, 2).

    The observation is the context, one-hot: [num_contexts]. The episode never ends.

    Args:
      num_contexts: contexts, at least 2.
      num_actions: actions, at least 2.

    Raises:
      InputError: there are too few of them.
    """

    def __init__(self, num_contexts: int, num_actions: int):
        for name, value in (("num_contexts", num_contexts), ("num_actions", num_actions)):
            if value < 2:
                raise InputError(f"environment.{name} is {value}: make it 2 or more")
        self._num_contexts = num_contexts
        self._num_actions = num_actions

    @property
    def episodes_end(self) -> bool:
        """A lifetime is one unending episode of pulls."""
        return False

    @property
    def num_tasks(self) -> int:
        """Of an action, a column of C values from {-1, 0, 1} whose mean is taken off: 3^C - 2^C differ."""
        return (3**self._num_contexts - 2**self._num_contexts) ** self._num_actions

    def observation_spec(self) -> specs.BoundedArray:
        """[num_contexts], one-hot."""
        return specs.BoundedArray((self._num_contexts,), "float32", 0.0, 1.0, "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """One of num_actions."""
        return specs.DiscreteArray(self._num_actions, name="action")

    def sample_task(self, key: PRNGKeyArray) -> ContextualBanditTask:
        """Draws the table of rewards."""
        drawn = jax.random.randint(key, (self._num_contexts, self._num_actions), -1, 2).astype(jnp.float32)
        return ContextualBanditTask(drawn - jnp.mean(drawn, axis=0))

    def reset(self, key: PRNGKeyArray, task: ContextualBanditTask) -> tuple[ContextualBanditState, dm_env.TimeStep]:
        """Shows the first context."""
        del task
        context = self._draw_context(key)
        return ContextualBanditState(context), restart(jax.nn.one_hot(context, self._num_contexts))

    def step(
        self, key: PRNGKeyArray, task: ContextualBanditTask, state: ContextualBanditState, action: Action
    ) -> tuple[ContextualBanditState, dm_env.TimeStep]:
        """Pays for the action and shows the next context."""
        context = self._draw_context(key)
        observation = jax.nn.one_hot(context, self._num_contexts)
        return ContextualBanditState(context), transition(task.rewards[state.context, action], observation)

    def expected_rewards(self, task: ContextualBanditTask, state: ContextualBanditState) -> Float[Array, "num_actions"]:
        """The table's row of the context: rewards are not random once the task is drawn."""
        return task.rewards[state.context]

    def _draw_context(self, key: PRNGKeyArray) -> Int[Array, ""]:
        return jax.random.randint(key, (), 0, self._num_contexts)
