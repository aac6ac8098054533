"""A family of oscillators whose pushes are weak: to reach the exit, one must push in rhythm for many steps."""

import math
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.config.schema import OscillatorConfig
from podmeta.environments.base import Environment, restart, transition
from podmeta.environments.jax.advantages import advantage_gap, normalise_advantages
from podmeta.environments.jax.draws import Draws, interpolate
from podmeta.environments.jax.views import View, draw_view, show
from podmeta.errors import InputError

REWARDS = ("time", "escape", "failure")
_TIME, _ESCAPE, _FAILURE = range(len(REWARDS))

_SMALLEST_GAP = 0.05  # relative to the typical gap of the task
_START, _TYPICAL = 0.12, 0.7  # how far from rest episodes start, and states are while the teacher is scaled
_MOST_FEATURES = 5


class OscillatorTask(NamedTuple):
    """What stays the same in a lifetime. An env step takes position x and speed v to

        v' = (1 - damping) v - stiffness sin(bend x) / bend + effects[action],    x' = x + v'.

    Attributes:
      stiffness: [] the squared frequency, per env step.
      bend: [] how much weaker the spring gets away from rest, above 0.
      damping: [].
      effects: [num_actions] the push of each action.
      reward: [] the kind of reward, an index of `REWARDS`.
      left_end: [] the position at the left where the mode stops.
      left_exits: [] whether -1 is an exit too, as 1 is.
      horizon: [] steps after which an episode is truncated.
      offset: [] what is added to the position before it is shown.
      typical_gap: [] the gap of energies between actions in a typical state.
      view: how features are shown.
    """

    stiffness: Float[Array, ""]
    bend: Float[Array, ""]
    damping: Float[Array, ""]
    effects: Float[Array, "num_actions"]
    reward: Int[Array, ""]
    left_end: Float[Array, ""]
    left_exits: Bool[Array, ""]
    horizon: Int[Array, ""]
    offset: Float[Array, ""]
    typical_gap: Float[Array, ""]
    view: View


class OscillatorState(NamedTuple):
    """Where an episode stands.

    Attributes:
      position: [] the position; rest is at 0.
      speed: [] the speed, per env step.
      steps: [] steps taken in this episode.
    """

    position: Float[Array, ""]
    speed: Float[Array, ""]
    steps: Int[Array, ""]


class Oscillator(Environment[OscillatorTask, OscillatorState]):
    """An oscillator that a steady push holds only a fraction of the way to the exit at 1.

    The exit terminates the episode. There are three kinds of reward, of which a task has one: -1 a step until the exit
    (time), +1 at the exit (escape), -1 at the exit (failure). In some tasks -1 is an exit too; in others a wall at -1
    or beyond takes all speed.

    The teacher takes the action that adds the most energy, or the least where the exit is a failure.

    Args:
      config: its config.

    Raises:
      InputError: no kind of reward is given.
    """

    def __init__(self, config: OscillatorConfig):
        if not config.rewards:
            raise InputError(f"environment.rewards is empty: give one or more of {', '.join(REWARDS)}")
        self._config = config
        self._rewards = tuple(REWARDS.index(name) for name in config.rewards)
        self._num_features = min(config.num_observations, _MOST_FEATURES)

    @property
    def num_tasks(self) -> float:
        """Unlimited."""
        return math.inf

    def observation_spec(self) -> specs.Array:
        """[num_observations], of about ±1 and unbounded."""
        return specs.Array((self._config.num_observations,), "float32", "observation")

    def action_spec(self) -> specs.DiscreteArray:
        """One of num_actions."""
        return specs.DiscreteArray(self._config.num_actions, name="action")

    def sample_task(self, key: PRNGKeyArray) -> OscillatorTask:
        """Draws a task."""
        draws = Draws(key)
        frequency = 2 * jnp.pi / draws.log_uniform(12, 120)
        reach = draws.log_uniform(interpolate(0.5, 0.08, self._config.difficulty), 0.6)
        levels = jnp.linspace(-1, 1, self._config.num_actions)[draws.permutation(self._config.num_actions)]
        levels += jnp.where(draws.chance(0.5), 0.3 * draws.normal(levels.shape), 0.0)
        # Without damping, every half period adds twice the reach to the amplitude.
        fastest = jnp.pi / frequency / (2 * reach)
        left = draws.integer(0, 3)
        task = OscillatorTask(
            stiffness=frequency**2,
            bend=jnp.where(draws.chance(0.5), draws.uniform(0.2, 2), 0.01),
            # Pumping is in balance with the damping at an amplitude of 4 reach frequency / (π damping), here above 2.
            damping=jnp.where(draws.chance(0.5), draws.uniform(0, 0.6) * reach * frequency, 0.0),
            effects=reach * frequency**2 * levels,
            reward=draws.choice(self._rewards),
            left_end=jnp.where(left == 1, -1.5, -1.0),
            left_exits=left == 0,
            horizon=jnp.clip(fastest * draws.log_uniform(2, 8), 30, 500).astype(jnp.int32),
            offset=jnp.where(draws.chance(0.5), draws.uniform(-1, 1), 0.0),
            typical_gap=jnp.ones(()),
            view=draw_view(draws, self._config.num_observations, self._num_features),
        )
        typical = draws.uniform(-_TYPICAL, _TYPICAL, (32, 2))
        energies = jax.vmap(lambda at: _energies(task, at[0], at[1] * frequency))(typical)
        return task._replace(typical_gap=jnp.mean(advantage_gap(energies)))

    def reset(self, key: PRNGKeyArray, task: OscillatorTask) -> tuple[OscillatorState, dm_env.TimeStep]:
        """Starts an episode near rest."""
        position, speed = _START * jax.random.uniform(key, (2,), minval=-1, maxval=1)
        state = OscillatorState(position, 0.5 * speed * jnp.sqrt(task.stiffness), jnp.zeros((), jnp.int32))
        return state, restart(self._observe(task, state))

    def step(
        self, key: PRNGKeyArray, task: OscillatorTask, state: OscillatorState, action: Int[Array, ""]
    ) -> tuple[OscillatorState, dm_env.TimeStep]:
        """Pushes. Nothing is drawn."""
        del key
        position, speed = _advance(task, state.position, state.speed, task.effects[action])
        exited = (position > 1) | ((position < -1) & task.left_exits)
        at_wall = (position < task.left_end) & ~task.left_exits
        next_state = OscillatorState(
            jnp.where(at_wall, task.left_end, position), jnp.where(at_wall, 0.0, speed), state.steps + 1
        )
        reward = jnp.select(
            [task.reward == _TIME, task.reward == _ESCAPE],
            [jnp.where(exited, 0.0, -1.0), jnp.where(exited, 1.0, 0.0)],
            jnp.where(exited, -1.0, 0.0),
        )
        truncated = (next_state.steps >= task.horizon) & ~exited
        return next_state, transition(reward, self._observe(task, next_state), exited, truncated)

    def expected_advantages(self, task: OscillatorTask, state: OscillatorState) -> Float[Array, "num_actions"]:
        """By the energy after the step."""
        energies = _energies(task, state.position, state.speed)
        values = jnp.where(task.reward == _FAILURE, -energies, energies)
        return normalise_advantages(values, _SMALLEST_GAP * task.typical_gap)

    def _observe(self, task: OscillatorTask, state: OscillatorState) -> Float[Array, "num_observations"]:
        position, speed = state.position, state.speed / jnp.sqrt(task.stiffness)
        angle = jnp.pi * position
        features = jnp.stack([position + task.offset, speed, jnp.cos(angle), jnp.sin(angle), position * speed])
        return show(task.view, features[: self._num_features])


def _advance(
    task: OscillatorTask, position: Float[Array, ""], speed: Float[Array, ""], push: Float[Array, "*actions"]
) -> tuple[Float[Array, "*actions"], Float[Array, "*actions"]]:
    """Position and speed one env step later."""
    spring = task.stiffness * jnp.sin(task.bend * position) / task.bend
    next_speed = (1 - task.damping) * speed - spring + push
    return position + next_speed, next_speed


def _energies(task: OscillatorTask, position: Float[Array, ""], speed: Float[Array, ""]) -> Float[Array, "num_actions"]:
    """The energy after each action. With the half angle, small bends do not cancel in 1 - cos."""
    position, speed = _advance(task, position, speed, task.effects)
    return 0.5 * speed**2 + 2 * task.stiffness * (jnp.sin(task.bend * position / 2) / task.bend) ** 2
