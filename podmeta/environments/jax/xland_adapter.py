"""Adapter to XLand-MiniGrid: grids on which the goal and the rules are the task.

After Nikulin et al., "XLand-MiniGrid: Scalable Meta-Reinforcement Learning Environments in JAX" (2023, arXiv
2312.12044).
"""

import math
from typing import Any

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, PRNGKeyArray
from xminigrid.core.constants import NUM_COLORS, NUM_TILES
from xminigrid.registration import make
from xminigrid.types import RuleSet, State, TimeStep

from podmeta.config.schema import XLandConfig
from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax.dtypes import cast, leaf_types
from podmeta.environments.jax.xland_rulesets import generate_ruleset, load_rulesets
from podmeta.errors import InputError
from podmeta.keys import make_key

XLandState = State[Any]
"""A state of XLand's. What it could carry for a variant of the environment is not used."""


class XLandEnvironment(Environment[RuleSet, XLandState]):
    """One of the XLand-MiniGrid grids; a rule set drawn for every lifetime is the task.

    At the start of an episode the objects of the rule set, the agent and the doors stand at random. Reaching the goal
    terminates the episode and pays 1 - 0.9 steps / episode_length; the time limit truncates it; where both come at
    once, it terminated. The observation is XLand's own, the cells ahead of the agent, but one-hot: for every cell of
    the view its kind of tile, then its colour. What the agent carries is not seen.

    Args:
      config: its config.

    Raises:
      InputError: the view is of even size, or the benchmark cannot be read.
    """

    def __init__(self, config: XLandConfig):
        if config.view_size % 2 == 0:
            raise InputError(f"environment.view_size={config.view_size} is even: take {config.view_size + 1}")
        self._num_generated = (config.num_rules, config.num_distractors)
        self._rulesets = None
        if config.benchmark:
            self._rulesets = load_rulesets(config.benchmark, config.first_ruleset, config.num_rulesets)
        self._xland, parameters = make(config.id, view_size=config.view_size)
        self._parameters = parameters.replace(max_steps=config.episode_length or parameters.max_steps)
        self._state_types = leaf_types(jax.eval_shape(self._first_step, make_key(0)))

    @property
    def num_tasks(self) -> float:
        """The rule sets of the benchmark; too many to count where they are made up."""
        return math.inf if self._rulesets is None else len(self._rulesets.goal)

    def observation_spec(self) -> specs.BoundedArray:
        """[view_size, view_size, kinds of tiles + colours], zeros and ones."""
        view_size = self._parameters.view_size
        shape = (view_size, view_size, NUM_TILES + NUM_COLORS)
        return specs.BoundedArray(shape, np.float32, minimum=0.0, maximum=1.0, name="observation")

    def action_spec(self) -> specs.DiscreteArray:
        """Forward, turn right, turn left, pick up, put down, open or close."""
        return specs.DiscreteArray(self._xland.num_actions(self._parameters), np.int32, name="action")

    def sample_task(self, key: PRNGKeyArray) -> RuleSet:
        """Draws a rule set."""
        if self._rulesets is None:
            return generate_ruleset(key, *self._num_generated)
        index = jax.random.randint(key, (), 0, len(self._rulesets.goal))
        return jax.tree.map(lambda part: jnp.asarray(part)[index], self._rulesets)

    def reset(self, key: PRNGKeyArray, task: RuleSet) -> tuple[XLandState, dm_env.TimeStep]:
        """Starts an episode: doors, objects and agent anew."""
        timestep = self._xland.reset(self._parameters.replace(ruleset=task), key)
        return self._kept(timestep.state), restart(self._one_hot(timestep))

    def step(
        self, key: PRNGKeyArray, task: RuleSet, state: XLandState, action: Action
    ) -> tuple[XLandState, dm_env.TimeStep]:
        """Moves the agent, and makes what the rules make of it."""
        del key, task  # the state holds the rules, and nothing is random between resets
        after = self._xland.step(self._parameters, _at(state), action)
        truncated = after.state.step_num == self._parameters.max_steps
        observation = self._one_hot(after)
        return self._kept(after.state), transition(after.reward, observation, after.discount == 0, truncated)

    def _kept(self, state: XLandState) -> XLandState:
        """The state without its key, which XLand only uses to start the next episode, and no checkpoint could hold."""
        return cast(state.replace(key=()), self._state_types)

    def _first_step(self, key: PRNGKeyArray) -> Any:
        task_key, reset_key = jax.random.split(key)
        timestep = self._xland.reset(self._parameters.replace(ruleset=self.sample_task(task_key)), reset_key)
        return self._xland.step(self._parameters, timestep, 0).state.replace(key=())

    def _one_hot(self, timestep: TimeStep[Any]) -> Float[Array, "height width channels"]:
        tiles = timestep.observation  # [height, width, 2]
        assert isinstance(tiles, jax.Array)  # only XLand's wrappers make dictionaries of it
        kinds, colours = jax.nn.one_hot(tiles[..., 0], NUM_TILES), jax.nn.one_hot(tiles[..., 1], NUM_COLORS)
        return jnp.concatenate([kinds, colours], axis=-1)


def _at(state: XLandState) -> TimeStep[Any]:
    """A time step as XLand's step wants it, which looks at nothing but the state."""
    nothing: Any = None
    return TimeStep(state=state, step_type=nothing, reward=nothing, discount=nothing, observation=nothing)
