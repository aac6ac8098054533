"""A family of control tasks: unstable, oscillating and integrating modes, which some tasks reward to stabilise.

Dynamics, observations and the meaning of the reward are drawn anew for every lifetime. Some tasks pay for keeping all
modes near the middle, others for driving one out, so only the reward tells which is wanted.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from podmeta.config.schema import LinearControlConfig
from podmeta.environments.base import Action, Environment, restart, transition
from podmeta.environments.jax.advantages import advantage_gap, normalise_advantages
from podmeta.environments.jax.draws import Draws, interpolate
from podmeta.environments.jax.linear_quadratic import solve_riccati, sum_linear, sum_quadratic
from podmeta.environments.jax.views import View, draw_view, show
from podmeta.errors import InputError

REWARDS = ("failure", "survival", "dense", "paid_stabilising", "escape", "time", "paid_escaping", "side")
_FAILURE, _SURVIVAL, _DENSE, _PAID_STABILISING, _ESCAPE, _TIME, _PAID_ESCAPING, _SIDE = range(len(REWARDS))
_WITH_WALLS = (_DENSE, _PAID_STABILISING, _PAID_ESCAPING)  # nothing ends an episode before its time
_ESCAPING = (_ESCAPE, _TIME, _PAID_ESCAPING)
_UNSTABLE, _OSCILLATING, _INTEGRATING = range(3)

_DISCOUNT = 0.98  # of the teacher
_CONTROL_COST = 0.1  # of the teacher, relative to the cost of positions
_LOOKAHEAD = 5  # the teacher of escaping looks 2^5 steps ahead
_SMALLEST_GAP = 0.5  # relative to the typical gap of the task
_START, _TYPICAL = 0.25, 0.6  # how far from the middle episodes start, and states are while the teacher is scaled


class Dynamics(NamedTuple):
    """The physics of a task. An env step takes a mode at position x with speed v, both [num_modes], to

        v' = (1 - damping) v + stiffness x + springs x³ + push + noise ε,    x' = x + v'.

    Attributes:
      stiffness: [num_modes, num_modes] positive on the diagonal where a mode is unstable, negative where it oscillates.
      damping: [num_modes].
      springs: [num_modes] the cubic part of the spring.
      noise: [num_modes] standard deviation of the push's noise.
      effects: [num_actions, num_modes] the push of each action; of a box, of each component at 1.
      speeds: [num_modes] a typical speed.
    """

    stiffness: Float[Array, "num_modes num_modes"]
    damping: Float[Array, "num_modes"]
    springs: Float[Array, "num_modes"]
    noise: Float[Array, "num_modes"]
    effects: Float[Array, "num_actions num_modes"]
    speeds: Float[Array, "num_modes"]


class Teacher(NamedTuple):
    """The value of a state z, positions and speeds: z' quadratic z + linear' z. It is scaled to a typical gap of 1.

    Attributes:
      quadratic: [2 num_modes, 2 num_modes].
      linear: [2 num_modes].
    """

    quadratic: Float[Array, "size size"]
    linear: Float[Array, "size"]


class LinearControlTask(NamedTuple):
    """What stays the same in a lifetime.

    Attributes:
      dynamics: the physics.
      teacher: what the teacher values.
      reward: [] the kind of reward, an index of `REWARDS`.
      exits: [num_modes] whether leaving [-1, 1] ends the episode; where it does not, there are walls.
      exit_reward: [] what the exit pays where every step before it cost 1.
      delay: [] steps between payments of an advantage.
      horizon: [] steps after which an episode is truncated.
      offsets: [num_modes] what is added to positions before they are shown.
      further: [num_further] which features are shown besides positions and speeds.
      view: how features are shown.
    """

    dynamics: Dynamics
    teacher: Teacher
    reward: Int[Array, ""]
    exits: Bool[Array, "num_modes"]
    exit_reward: Float[Array, ""]
    delay: Int[Array, ""]
    horizon: Int[Array, ""]
    offsets: Float[Array, "num_modes"]
    further: Int[Array, "num_further"]
    view: View


class LinearControlState(NamedTuple):
    """Where an episode stands.

    Attributes:
      position: [num_modes] the positions.
      speed: [num_modes] the speeds, per env step.
      distraction: [num_further] noise that an observation may show.
      owed: [] advantages that have not been paid yet.
      steps: [] steps taken in this episode.
    """

    position: Float[Array, "num_modes"]
    speed: Float[Array, "num_modes"]
    distraction: Float[Array, "num_further"]
    owed: Float[Array, ""]
    steps: Int[Array, ""]


class LinearControl(Environment[LinearControlTask, LinearControlState]):
    """Second-order modes that a push by the action moves, each within [-1, 1].

    The kinds of reward, of which a task has one:

    - failure: -1 when a mode leaves [-1, 1], which ends the episode. survival: +1 a step until then.
    - dense: minus the largest distance from the middle; modes stop at walls.
    - escape: +1 when a mode leaves. time: -1 a step until then.
    - side: +1 when the first mode leaves on the right, -1 on the left.
    - paid_stabilising, paid_escaping: the teacher's advantage of the actions, paid every few steps.

    The teacher takes the action whose next state is best. Of stabilising it knows the value by a Riccati equation; of
    escaping, the sum of squared positions over the next steps if nothing more were done.

    Args:
      config: its config.

    Raises:
      InputError: an observation does not hold all modes, there is no choice of actions, or no kind of reward is given.
    """

    def __init__(self, config: LinearControlConfig):
        if config.num_observations < 2 * config.num_modes:
            raise InputError(
                f"environment.num_observations is {config.num_observations}, but {config.num_modes} modes have as many "
                f"positions and speeds: make it {2 * config.num_modes} or more, or environment.num_modes smaller"
            )
        if config.num_actions < 2 and not config.continuous:
            raise InputError(f"environment.num_actions is {config.num_actions}: make it 2 or more")
        if not config.rewards:
            raise InputError(f"environment.rewards is empty: give one or more of {', '.join(REWARDS)}")
        self._config = config
        self._rewards = tuple(REWARDS.index(name) for name in config.rewards)
        self._num_further = min(2, config.num_observations - 2 * config.num_modes)

    @property
    def num_tasks(self) -> float:
        """Unlimited."""
        return math.inf

    def observation_spec(self) -> specs.Array:
        """[num_observations], of about ±1 and unbounded."""
        return specs.Array((self._config.num_observations,), "float32", "observation")

    def action_spec(self) -> specs.DiscreteArray | specs.BoundedArray:
        """One of num_actions, or num_actions components between -1 and 1."""
        if self._config.continuous:
            return specs.BoundedArray((self._config.num_actions,), "float32", -1.0, 1.0, "action")
        return specs.DiscreteArray(self._config.num_actions, name="action")

    def sample_task(self, key: PRNGKeyArray) -> LinearControlTask:
        """Draws a task, and works out its teacher."""
        draws = Draws(key)
        num_modes, num_observations = self._config.num_modes, self._config.num_observations
        reward = draws.choice(self._rewards)
        dynamics = self._draw_dynamics(draws, reward)
        longest_delay = interpolate(2, 25, self._config.difficulty)
        delay = jnp.where(draws.chance(0.3), 1.0, draws.log_uniform(1, longest_delay))
        return LinearControlTask(
            dynamics=dynamics,
            teacher=self._make_teacher(draws, dynamics, reward),
            reward=reward,
            exits=jnp.where(reward == _SIDE, jnp.arange(num_modes) == 0, ~jnp.isin(reward, np.array(_WITH_WALLS))),
            exit_reward=jnp.where(draws.chance(0.5), 0.0, -1.0),
            delay=delay.astype(jnp.int32),
            horizon=draws.log_uniform(60, 1000).astype(jnp.int32),
            offsets=jnp.where(draws.chance(0.6), 0.0, draws.uniform(-1, 1, (num_modes,))),
            further=draws.integer(0, 4, (self._num_further,)),
            view=draw_view(draws, num_observations, 2 * num_modes + self._num_further),
        )

    def reset(self, key: PRNGKeyArray, task: LinearControlTask) -> tuple[LinearControlState, dm_env.TimeStep]:
        """Starts an episode near the middle."""
        num_modes = self._config.num_modes
        draws = jax.random.uniform(key, (2 * num_modes + self._num_further,), minval=-1, maxval=1)
        position, speed, distraction = jnp.split(draws, (num_modes, 2 * num_modes))
        state = LinearControlState(
            position=_START * position,
            speed=0.5 * _START * speed * task.dynamics.speeds,
            distraction=distraction,
            owed=jnp.zeros(()),
            steps=jnp.zeros((), jnp.int32),
        )
        return state, restart(_observe(task, state))

    def step(
        self, key: PRNGKeyArray, task: LinearControlTask, state: LinearControlState, action: Action
    ) -> tuple[LinearControlState, dm_env.TimeStep]:
        """Pushes the modes, and pays."""
        draws = jax.random.normal(key, (self._config.num_modes + self._num_further,))
        noise, distraction = jnp.split(draws, (self._config.num_modes,))
        push = self._push(task.dynamics, action) + task.dynamics.noise * noise
        position, speed = _advance(task.dynamics, state.position, state.speed, push)
        beyond = jnp.abs(position) > 1
        exited = jnp.any(beyond & task.exits)
        at_wall = beyond & ~task.exits
        position = jnp.where(at_wall, jnp.clip(position, -1, 1), position)
        speed = jnp.where(at_wall, 0.0, speed)

        owed = state.owed + self._advantage_over_mean(task, state, action)
        pays = (state.steps + 1) % task.delay == 0
        payment = jnp.where(pays, owed / jnp.sqrt(task.delay), 0.0)
        reward = _reward(task, position, exited, payment)
        steps = state.steps + 1
        next_state = LinearControlState(position, speed, distraction, jnp.where(pays, 0.0, owed), steps)
        truncated = (steps >= task.horizon) & ~exited
        return next_state, transition(reward, _observe(task, next_state), exited, truncated)

    def expected_advantages(
        self, task: LinearControlTask, state: LinearControlState
    ) -> Float[Array, "num_actions"] | None:
        """The teacher's; None for a box of actions."""
        if self._config.continuous:
            return None
        return self._advantages(task, state)

    def _advantages(self, task: LinearControlTask, state: LinearControlState) -> Float[Array, "num_actions"]:
        values = _values_of_pushes(task.dynamics, task.teacher, state.position, state.speed, task.dynamics.effects)
        return normalise_advantages(values, _SMALLEST_GAP)

    def _push(self, dynamics: Dynamics, action: Action) -> Float[Array, "num_modes"]:
        if self._config.continuous:
            return jnp.clip(action, -1, 1) @ dynamics.effects
        return dynamics.effects[action]

    def _advantage_over_mean(
        self, task: LinearControlTask, state: LinearControlState, action: Action
    ) -> Float[Array, ""]:
        """The teacher's value of an action less that of the mean over actions, in units of the best one's.

        For a box of actions, the value counts as linear: doing nothing is the mean, and the best action is in a corner.
        """
        effects = task.dynamics.effects
        if not self._config.continuous:
            advantages = self._advantages(task, state)
            return advantages[action] - jnp.mean(advantages)
        pushes = jnp.concatenate([effects, -effects])
        values = _values_of_pushes(task.dynamics, task.teacher, state.position, state.speed, pushes)
        forwards, backwards = jnp.split(values, 2)
        slopes = 0.5 * (forwards - backwards)
        return slopes @ jnp.clip(action, -1, 1) / jnp.maximum(jnp.sum(jnp.abs(slopes)), _SMALLEST_GAP)

    def _draw_dynamics(self, draws: Draws, reward: Int[Array, ""]) -> Dynamics:
        num_modes, difficulty = self._config.num_modes, self._config.difficulty
        shape = (num_modes,)
        kind = self._draw_kinds(draws, reward)
        is_unstable, is_oscillating = kind == _UNSTABLE, kind == _OSCILLATING
        # Unstable modes grow by e in so many steps, oscillating ones have such a period, and integrating ones are
        # pushed from the middle to the edge in so many steps.
        rate = 1 / draws.log_uniform(interpolate(25, 8, difficulty), 45, shape)
        frequency = 2 * jnp.pi / draws.log_uniform(12, 150, shape)
        crossing = draws.log_uniform(8, 40, shape)
        # How far a steady push holds a mode from the middle; an edge is at 1.
        unstable_reach = draws.log_uniform(interpolate(2, 0.6, difficulty), 4, shape)
        oscillating_reach = draws.log_uniform(interpolate(1.2, 0.4, difficulty), 1.5, shape)
        strength = jnp.select(
            [is_unstable, is_oscillating],
            [unstable_reach * rate**2, oscillating_reach * frequency**2],
            2 / crossing**2,
        )
        diagonal = jnp.select([is_unstable, is_oscillating], [rate**2, -(frequency**2)], 0.0)
        coupling = 0.2 * jnp.min(strength) * draws.normal((num_modes, num_modes)) * (1 - jnp.eye(num_modes))
        # Light enough that a push of resonant rhythm still reaches the edge.
        most_damping = jnp.minimum(0.1, jnp.where(is_oscillating, 0.5 * oscillating_reach * frequency, 0.1))
        springs = difficulty * draws.uniform(-0.7, 0.7, shape) * jnp.abs(diagonal)
        noise = 0.3 * difficulty * draws.uniform(0, 1, shape) * strength
        return Dynamics(
            stiffness=jnp.diag(diagonal) + jnp.where(draws.chance(0.5), coupling, 0.0),
            damping=jnp.where(draws.chance(0.5), draws.uniform(0, most_damping, shape), 0.0),
            springs=jnp.where(draws.chance(0.5), springs, 0.0),
            noise=jnp.where(draws.chance(0.5), noise, 0.0),
            effects=self._draw_effects(draws) * strength,
            speeds=jnp.select([is_unstable, is_oscillating], [rate, frequency], 2 / crossing),
        )

    def _draw_kinds(self, draws: Draws, reward: Int[Array, ""]) -> Int[Array, "num_modes"]:
        """The first mode is of any kind. The others are rarely unstable: the actions may not reach them apart."""
        shape = (self._config.num_modes,)
        is_first = jnp.arange(self._config.num_modes) == 0
        is_any = is_first | draws.chance(self._config.difficulty / 2, shape)
        kinds = jnp.where(is_any, draws.integer(0, 3, shape), draws.integer(_OSCILLATING, _INTEGRATING + 1, shape))
        # An oscillating mode swings to either side, whichever is wanted.
        return jnp.where(is_first & (reward == _SIDE) & (kinds == _OSCILLATING), _INTEGRATING, kinds)

    def _draw_effects(self, draws: Draws) -> Float[Array, "num_actions num_modes"]:
        """Effects between about -1 and 1. Several modes are pushed by the same actions, alike or not."""
        num_actions, num_modes = self._config.num_actions, self._config.num_modes
        random = draws.normal((num_actions, num_modes))
        if self._config.continuous:
            return random / jnp.sum(jnp.abs(random), axis=0)  # all components together push by 1 at most
        levels = jnp.linspace(-1, 1, num_actions)[draws.permutation(num_actions, (num_modes,))]
        effects = jnp.where(draws.chance(0.6, (num_modes, 1)), draws.sign((num_modes, 1)) * levels[0], levels).T
        effects = effects + jnp.where(draws.chance(0.5), draws.uniform(0, 0.3), 0.0) * random
        return effects * jnp.where(jnp.arange(num_modes) == 0, 1.0, draws.uniform(0.3, 1))

    def _make_teacher(self, draws: Draws, dynamics: Dynamics, reward: Int[Array, ""]) -> Teacher:
        num_modes = self._config.num_modes
        pushes = dynamics.effects
        if self._config.continuous:
            pushes = jnp.concatenate([pushes, -pushes])
        linearised = _transition_matrix(dynamics)
        discounted = math.sqrt(_DISCOUNT) * linearised
        centred = (pushes - jnp.mean(pushes, axis=0)).T
        control = math.sqrt(_DISCOUNT) * jnp.concatenate([centred, centred]) / math.sqrt(pushes.shape[0])
        positions = jnp.diag(jnp.repeat(jnp.array([1.0, 0.0]), num_modes))
        stabilising = -solve_riccati(discounted, control, positions, _CONTROL_COST)
        escaping = sum_quadratic(discounted, positions, _LOOKAHEAD)
        first = jnp.zeros(2 * num_modes).at[0].set(1.0)
        to_the_right = sum_linear(_DISCOUNT * linearised, first, _LOOKAHEAD)
        is_side, escapes = reward == _SIDE, jnp.isin(reward, np.array(_ESCAPING))
        teacher = Teacher(
            quadratic=jnp.where(is_side, 0.0, jnp.where(escapes, escaping, stabilising)),
            linear=jnp.where(is_side, to_the_right, 0.0),
        )
        typical = draws.uniform(-_TYPICAL, _TYPICAL, (32, 2, num_modes))
        values: Callable[[Array], Array] = jax.vmap(
            lambda at: _values_of_pushes(dynamics, teacher, at[0], at[1] * dynamics.speeds, pushes)
        )
        gap = jnp.mean(advantage_gap(values(typical)))
        return jax.tree.map(lambda part: part / gap, teacher)


def _transition_matrix(dynamics: Dynamics) -> Float[Array, "size size"]:
    """z' = A z without push, noise and cubic springs, for positions and speeds z."""
    identity = jnp.eye(len(dynamics.damping))
    kept = jnp.diag(1 - dynamics.damping)
    return jnp.block([[identity + dynamics.stiffness, kept], [dynamics.stiffness, kept]])


def _advance(
    dynamics: Dynamics,
    position: Float[Array, "num_modes"],
    speed: Float[Array, "num_modes"],
    push: Float[Array, "*actions num_modes"],
) -> tuple[Float[Array, "*actions num_modes"], Float[Array, "*actions num_modes"]]:
    """Position and speed one env step later."""
    force = jnp.sum(dynamics.stiffness * position, axis=-1) + dynamics.springs * position**3
    next_speed = (1 - dynamics.damping) * speed + force + push
    return position + next_speed, next_speed


def _values_of_pushes(
    dynamics: Dynamics,
    teacher: Teacher,
    position: Float[Array, "num_modes"],
    speed: Float[Array, "num_modes"],
    pushes: Float[Array, "num_pushes num_modes"],
) -> Float[Array, "num_pushes"]:
    """What the teacher thinks of the states that the pushes lead to."""
    states = jnp.concatenate(_advance(dynamics, position, speed, pushes), axis=-1)
    # Sums of products are faster here than products of matrices, of which every lifetime has its own.
    slopes = jnp.sum(states[:, None] * teacher.quadratic, axis=-1) + teacher.linear
    return jnp.sum(states * slopes, axis=-1)


def _reward(
    task: LinearControlTask,
    position: Float[Array, "num_modes"],
    exited: Bool[Array, ""],
    payment: Float[Array, ""],
) -> Float[Array, ""]:
    by_kind = {
        _FAILURE: jnp.where(exited, -1.0, 0.0),
        _SURVIVAL: jnp.where(exited, 0.0, 1.0),
        _DENSE: -jnp.max(jnp.abs(position)),
        _ESCAPE: jnp.where(exited, 1.0, 0.0),
        _TIME: jnp.where(exited, task.exit_reward, -1.0),
        _SIDE: jnp.where(exited, jnp.sign(position[0]), 0.0),
    }
    return jnp.select([task.reward == kind for kind in by_kind], list(by_kind.values()), payment)


def _observe(task: LinearControlTask, state: LinearControlState) -> Float[Array, "num_observations"]:
    """Positions and speeds, and further features: a constant, a cosine, a product or noise."""
    position, speed = state.position, state.speed / task.dynamics.speeds
    choices = [jnp.ones(()), jnp.cos(2 * position[0]), position[0] * speed[0]]
    further = jnp.select([task.further == index for index in range(3)], choices, state.distraction)
    return show(task.view, jnp.concatenate([position + task.offsets, speed, further]))
