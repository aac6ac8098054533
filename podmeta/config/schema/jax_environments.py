"""The keys of environments in JAX."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts, texts_in
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.option import lifetime_length_option, option
from podmeta.value_types import Json


@dataclasses.dataclass
class BanditConfig(EnvironmentConfig):
    """Bernoulli bandits: arm probabilities are the task."""

    name: str = option("bandit", "bandit")
    num_arms: int = option(5, "arms", minimum=2)
    distribution: str = option(
        "independent",
        "how arm probabilities are drawn: independent is U[0, 1] each; the others are for two arms with p2 = 1 - p1, "
        "p1 from U[0, 1] (uniform), {.1, .9} (easy), {.25, .75} (medium) or {.4, .6} (hard)",
        choices=("independent", "dependent_uniform", "dependent_easy", "dependent_medium", "dependent_hard"),
    )


@dataclasses.dataclass
class ContextualBanditConfig(EnvironmentConfig):
    """Contextual bandits: the reward of each action in each context is the task."""

    name: str = option("contextual_bandit", "contextual_bandit")
    num_contexts: int = option(2, "contexts, seen one-hot", minimum=2)
    num_actions: int = option(3, "actions", minimum=2)


@dataclasses.dataclass
class GridWorldConfig(EnvironmentConfig):
    """A grid of hearts and traps: what they are worth is the task."""

    name: str = option("grid_world", "grid_world")
    height: int = option(4, "rows", minimum=1)
    width: int = option(4, "columns", minimum=1)
    num_hearts: int = option(3, "hearts", minimum=0)
    num_traps: int = option(3, "traps", minimum=0)
    border: str = option(
        "torus", "torus: the grid's edges are joined; wall: they stop the agent", choices=("torus", "wall")
    )
    num_inner_walls: int = option(0, "wall cells inside the grid, drawn per lifetime", minimum=0)
    view: str = option(
        "neighbours_4",
        "the cells in which the agent sees each kind: those next to it, a window around it (egocentric), or all",
        choices=("neighbours_4", "neighbours_8", "egocentric", "full"),
    )
    view_radius: int = option(1, "the egocentric window is 2 view_radius + 1 cells wide", minimum=0)
    rewards: str = option(
        "fixed",
        "heart +1 and trap -1 (fixed), heart -1 and trap +1 (swapped), one of the two per lifetime (random_sign), or "
        "U[-1, 1] for each kind per lifetime (random)",
        choices=("fixed", "swapped", "random_sign", "random"),
    )
    respawn_probability: float = option(
        1.0, "per step: a taken object reappears at a random empty cell; 1: at once", minimum=0, maximum=1
    )
    episode_length: int = option(0, "steps after which an episode is truncated; 0: it never ends", minimum=0)


@dataclasses.dataclass
class ObjectGridWorldConfig(EnvironmentConfig):
    """The object grid-worlds of LPG: where the objects are is the task."""

    name: str = option("object_grid_world", "object_grid_world")
    mode: str = option("dense", "which of them", choices=("dense", "sparse", "long", "longer", "long_dense"))
    positions: str = option(
        "task",
        "where agent and objects are is drawn per task (tabular), or per episode and whenever an object reappears",
        choices=("task", "episode"),
    )


@dataclasses.dataclass
class DarkRoomConfig(EnvironmentConfig):
    """A dark room, as in Algorithm Distillation: the cell of the goal is the task."""

    name: str = option("dark_room", "dark_room")
    lifetime_length: int = option(
        210, "T: env steps in a lifetime; episode_length + 1 per episode, because the reset is a step too", minimum=1
    )
    height: int = option(9, "rows", minimum=1)
    width: int = option(9, "columns", minimum=1)
    episode_length: int = option(20, "steps after which an episode is truncated", minimum=1)


@dataclasses.dataclass
class KeyToDoorConfig(EnvironmentConfig):
    """A dark room with a key and a door, as in Algorithm Distillation: their cells are the task."""

    name: str = option("key_to_door", "key_to_door")
    lifetime_length: int = option(
        510, "T: env steps in a lifetime; episode_length + 1 per episode, because the reset is a step too", minimum=1
    )
    height: int = option(9, "rows", minimum=1)
    width: int = option(9, "columns", minimum=1)
    episode_length: int = option(50, "steps after which an episode is truncated", minimum=1)


@dataclasses.dataclass
class TabularMDPConfig(EnvironmentConfig):
    """Random tabular MDPs, as in RL²: transitions and rewards are the task."""

    name: str = option("tabular_mdp", "tabular_mdp")
    lifetime_length: int = option(
        110, "T: env steps in a lifetime; horizon + 1 per episode, because the reset is a step too", minimum=1
    )
    num_states: int = option(10, "states, seen one-hot", minimum=1)
    num_actions: int = option(5, "actions", minimum=1)
    horizon: int = option(10, "steps in an episode", minimum=1)


@dataclasses.dataclass
class LinearControlConfig(EnvironmentConfig):
    """Random control tasks: dynamics, observations and the meaning of the reward are the task."""

    name: str = option("linear_control", "linear_control")
    lifetime_length: int = lifetime_length_option(1000)
    num_observations: int = option(4, "components of an observation, at least two per mode", minimum=2)
    num_actions: int = option(2, "actions, at least 2; or components of a box of actions", minimum=1)
    continuous: bool = option(False, "actions are a box, each component between -1 and 1")
    num_modes: int = option(
        2, "unstable, oscillating or integrating modes, each with a position and a speed", minimum=1
    )
    rewards: list[str] = option(
        ["failure", "survival", "dense", "paid_stabilising", "escape", "time", "paid_escaping", "side"],
        "kinds of reward, of which a lifetime has one: -1 when a mode leaves (failure), +1 a step until then "
        "(survival), minus the distance from the middle (dense), +1 when a mode leaves (escape), -1 a step until then "
        "(time), +1 on the right and -1 on the left (side), or a teacher's advantage, paid every few steps, for "
        "stabilising or for escaping (paid_...)",
        choices=("failure", "survival", "dense", "paid_stabilising", "escape", "time", "paid_escaping", "side"),
    )
    difficulty: float = option(
        0.5,
        "from slow modes and strong pushes (0) to fast modes and weak pushes, with noise, cubic springs and long "
        "delays (1)",
        minimum=0,
        maximum=1,
    )


@dataclasses.dataclass
class RandomMDPConfig(EnvironmentConfig):
    """Random MDPs with dense, sparse and delayed rewards: transitions, rewards and the goal are the task."""

    name: str = option("random_mdp", "random_mdp")
    lifetime_length: int = lifetime_length_option(500)
    num_states: int = option(8, "states", minimum=2)
    num_actions: int = option(3, "actions", minimum=2)
    num_observations: int = option(
        0, "components of a random code of the state, drawn per lifetime; 0: the state, one-hot", minimum=0
    )
    rewards: list[str] = option(
        ["contexts", "actions", "states", "time", "goal"],
        "kinds of reward, of which a lifetime has one: a contextual bandit (contexts), of state and action (actions), "
        "±1 in few states (states), -1 a step until the goal (time), or +1 at the goal, with holes that end the "
        "episode (goal)",
        choices=("contexts", "actions", "states", "time", "goal"),
    )
    transitions: list[str] = option(
        ["random", "ring", "map"],
        "kinds of transition, of which a lifetime has one: to any states (random), along a ring (ring), or to states "
        "nearby in the action's direction on a random map (map)",
        choices=("random", "ring", "map"),
    )
    longest_delay: int = option(
        1, "rewards add up and are paid every 1 to this many steps, and when the episode ends", minimum=1
    )
    difficulty: float = option(
        0.5, "from near goals without noise (0) to far goals, holes, slips and noise (1)", minimum=0, maximum=1
    )


@dataclasses.dataclass
class OscillatorConfig(EnvironmentConfig):
    """Random oscillators with a weak push, which must be pumped: dynamics and observations are the task."""

    name: str = option("oscillator", "oscillator")
    lifetime_length: int = lifetime_length_option(1000)
    num_observations: int = option(4, "components of an observation", minimum=2)
    num_actions: int = option(3, "actions", minimum=2)
    rewards: list[str] = option(
        ["time", "escape", "failure"],
        "kinds of reward, of which a lifetime has one: -1 a step until the exit (time), or +1 (escape) or -1 "
        "(failure) at the exit",
        choices=("time", "escape", "failure"),
    )
    difficulty: float = option(
        0.5,
        "from a steady push that holds half-way to the exit (0) to one that holds a twelfth (1)",
        minimum=0,
        maximum=1,
    )


@dataclasses.dataclass
class GymnaxConfig(EnvironmentConfig):
    """Any gymnax environment with a discrete or box action space."""

    name: str = option("gymnax", "gymnax")
    id: str = option("CartPole-v1", "the environment's gymnax id")
    parameters: dict[str, Json] = option({}, "gymnax environment parameters to change, such as max_steps_in_episode")
    options: dict[str, Json] = option({}, "arguments of gymnax.make, such as size or is_slippery")
    fixed_task: bool = option(
        False, "the goal that MetaMaze-misc, PointRobot-misc or Reacher-misc draws per episode is drawn per lifetime"
    )

    def code_texts(self) -> dict[str, str]:
        """Texts among the options."""
        return texts_in(self.options, "options")


@dataclasses.dataclass
class XLandConfig(EnvironmentConfig):
    """XLand-MiniGrid (extra: xland): a goal, production rules and the objects on the grid are the task."""

    name: str = option("xland", "xland")
    lifetime_length: int = lifetime_length_option(500)
    id: str = option(
        "XLand-MiniGrid-R1-9x9",
        "rooms and size of the grid",
        choices=tuple(
            f"XLand-MiniGrid-R{num_rooms}-{size}x{size}"
            for num_rooms, sizes in (
                (1, (9, 11, 13, 15, 17)),
                (2, (9, 11, 13, 15, 17)),
                (4, (9, 11, 13, 15, 17)),
                (6, (13, 17, 19)),
                (9, (16, 19, 25)),
            )
            for size in sizes
        ),
    )
    view_size: int = option(5, "the agent sees this many cells, odd, ahead and across", minimum=3)
    episode_length: int = option(
        0, "steps after which an episode is truncated; 0: three times the cells of the grid", minimum=0
    )
    num_rules: int = option(1, "production rules, one after the other, that lead to the goal", minimum=0, maximum=20)
    num_distractors: int = option(3, "objects on the grid that lead nowhere", minimum=0, maximum=10)
    benchmark: str = option(
        "",
        "a benchmark file of XLand-MiniGrid's, to draw rule sets from instead of making them up. "
        "It is a pickle, of which arrays alone are read",
    )
    first_ruleset: int = option(0, "where in the benchmark to begin", minimum=0)
    num_rulesets: int = option(0, "rule sets of the benchmark to draw from; 0: all that follow", minimum=0)

    def code_texts(self) -> dict[str, str]:
        """The file."""
        return texts_in(self.benchmark, "benchmark")


@dataclasses.dataclass
class BraxConfig(EnvironmentConfig):
    """A brax environment (extra: brax): a body to be moved by continuous actions."""

    name: str = option("brax", "brax")
    lifetime_length: int = lifetime_length_option(1000)
    # brax has a swimmer too, which calls jnp.clip in a way that JAX has given up, and only one of its physics.
    id: str = option(
        "inverted_pendulum",
        "the body",
        choices=(
            "ant",
            "halfcheetah",
            "hopper",
            "humanoid",
            "humanoidstandup",
            "inverted_double_pendulum",
            "inverted_pendulum",
            "pusher",
            "reacher",
            "walker2d",
        ),
    )
    backend: str = option(
        "spring",
        "the physics: spring is fast, mjx is MuJoCo's",
        choices=("generalized", "spring", "positional", "mjx"),
    )
    episode_length: int = option(1000, "steps after which an episode is truncated; 0: never", minimum=0)


@dataclasses.dataclass
class JaxFactoryConfig(EnvironmentConfig):
    """A JAX environment of the user's own, made by a function: of podmeta's or gymnax's interface."""

    name: str = option("jax_factory", "jax_factory")
    factory: str = option("", "my_module:make_env, a function that returns the environment")
    options: dict[str, Json] = option({}, "arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and texts among its arguments."""
        return factory_texts(self.factory, self.options)
