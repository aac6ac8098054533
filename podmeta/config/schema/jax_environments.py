"""The keys of environments in JAX."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts, texts_in
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.option import lifetime_length_option, option
from podmeta.value_types import Json


@dataclasses.dataclass
class BanditConfig(EnvironmentConfig):
    """Bandits: what each arm pays in the mean is the task."""

    name: str = option("bandit", "bandit")
    num_arms: int = option(5, "number of arms", minimum=2)
    rewards: str = option(
        "bernoulli",
        "bernoulli: arms pay 1 with their probability, else 0; gaussian: arms pay their mean plus standard normal "
        "noise, and the means are standard normal",
        choices=("bernoulli", "gaussian"),
    )
    distribution: str = option(
        "independent",
        "distribution of the arm probabilities: independent draws each from U[0, 1]; the others are for two arms with "
        "p2 = 1 - p1, and draw p1 from U[0, 1] (uniform), {.1, .9} (easy), {.25, .75} (medium) or {.4, .6} (hard)",
        choices=("independent", "dependent_uniform", "dependent_easy", "dependent_medium", "dependent_hard"),
    )


@dataclasses.dataclass
class ContextualBanditConfig(EnvironmentConfig):
    """Contextual bandits: the reward of each action in each context is the task."""

    name: str = option("contextual_bandit", "contextual_bandit")
    num_contexts: int = option(2, "number of contexts, shown one-hot", minimum=2)
    num_actions: int = option(3, "number of actions", minimum=2)


@dataclasses.dataclass
class GridWorldConfig(EnvironmentConfig):
    """A grid-world of hearts and traps: their rewards are the task."""

    name: str = option("grid_world", "grid_world")
    height: int = option(4, "rows", minimum=1)
    width: int = option(4, "columns", minimum=1)
    num_hearts: int = option(3, "number of hearts", minimum=0)
    num_traps: int = option(3, "number of traps", minimum=0)
    border: str = option(
        "torus", "torus: opposite edges are joined; wall: edges stop the agent", choices=("torus", "wall")
    )
    num_inner_walls: int = option(0, "wall cells inside the grid, drawn per lifetime", minimum=0)
    view: str = option(
        "neighbours_4",
        "the cells that the agent sees: its 4 or 8 neighbours, a window around it (egocentric), or all (full)",
        choices=("neighbours_4", "neighbours_8", "egocentric", "full"),
    )
    view_radius: int = option(1, "radius of the egocentric window, which is 2 view_radius + 1 cells wide", minimum=0)
    rewards: str = option(
        "fixed",
        "heart +1 and trap -1 (fixed), heart -1 and trap +1 (swapped), one of these two drawn per lifetime "
        "(random_sign), or U[-1, 1] for each kind, drawn per lifetime (random)",
        choices=("fixed", "swapped", "random_sign", "random"),
    )
    respawn_probability: float = option(
        1.0, "probability per step that a taken object reappears at a random empty cell", minimum=0, maximum=1
    )
    episode_length: int = option(0, "steps after which an episode is truncated; 0: never", minimum=0)


@dataclasses.dataclass
class ObjectGridWorldConfig(EnvironmentConfig):
    """The object grid-worlds of LPG: the positions of the objects are the task."""

    name: str = option("object_grid_world", "object_grid_world")
    mode: str = option("dense", "which of the grid-worlds", choices=("dense", "sparse", "long", "longer", "long_dense"))
    positions: str = option(
        "task",
        "when positions of agent and objects are drawn: once per task, or per episode and when an object reappears",
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
    num_states: int = option(10, "number of states, shown one-hot", minimum=1)
    num_actions: int = option(5, "number of actions", minimum=1)
    horizon: int = option(10, "steps in an episode", minimum=1)


@dataclasses.dataclass
class LinearControlConfig(EnvironmentConfig):
    """Random control tasks: dynamics, observations and the kind of reward are the task."""

    name: str = option("linear_control", "linear_control")
    lifetime_length: int = lifetime_length_option(1000)
    num_observations: int = option(4, "components of an observation, at least two per mode", minimum=2)
    num_actions: int = option(2, "number of actions, at least 2; or components of a box of actions", minimum=1)
    continuous: bool = option(False, "use a box of actions, with each component between -1 and 1")
    num_modes: int = option(
        2, "unstable, oscillating or integrating modes, each with a position and a speed", minimum=1
    )
    num_distractors: int = option(
        0, "components of noise at the end of an observation, of a kind that is drawn per lifetime", minimum=0
    )
    rewards: list[str] = option(
        ["failure", "survival", "dense", "paid_stabilising", "escape", "time", "paid_escaping", "side"],
        "kinds of reward, one of which is drawn per lifetime: -1 when a mode leaves (failure), +1 per step until then "
        "(survival), minus the distance from the middle (dense), +1 when a mode leaves (escape), -1 per step until "
        "then (time), +1 for leaving on the right and -1 on the left (side), or a teacher's advantage, paid every few "
        "steps, for stabilising or for escaping (paid_...)",
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
    num_states: int = option(8, "number of states", minimum=2)
    num_actions: int = option(3, "number of actions", minimum=2)
    num_observations: int = option(
        0, "components of a random code of the state, drawn per lifetime; 0: the one-hot state", minimum=0
    )
    num_distractors: int = option(
        0, "components of noise at the end of an observation, of a kind that is drawn per lifetime", minimum=0
    )
    rewards: list[str] = option(
        ["contexts", "actions", "states", "time", "goal"],
        "kinds of reward, one of which is drawn per lifetime: a contextual bandit (contexts), by state and action "
        "(actions), ±1 in few states (states), -1 per step until the goal (time), or +1 at the goal, with holes that "
        "end the episode (goal)",
        choices=("contexts", "actions", "states", "time", "goal"),
    )
    transitions: list[str] = option(
        ["random", "ring", "map"],
        "kinds of transition, one of which is drawn per lifetime: to any states (random), along a ring (ring), or to "
        "nearby states in the action's direction on a random map (map)",
        choices=("random", "ring", "map"),
    )
    longest_delay: int = option(
        1, "rewards accumulate and are paid every 1 to this many steps, and at the end of an episode", minimum=1
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
    num_actions: int = option(3, "number of actions", minimum=2)
    num_distractors: int = option(
        0, "components of noise at the end of an observation, of a kind that is drawn per lifetime", minimum=0
    )
    rewards: list[str] = option(
        ["time", "escape", "failure"],
        "kinds of reward, one of which is drawn per lifetime: -1 per step until the exit (time), or +1 (escape) or -1 "
        "(failure) at the exit",
        choices=("time", "escape", "failure"),
    )
    difficulty: float = option(
        0.5,
        "from strong pushes, which alone hold the oscillator half-way to the exit (0), to weak ones, which hold it at "
        "a twelfth (1)",
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
        False, "draw the goal of MetaMaze-misc, PointRobot-misc or Reacher-misc per lifetime instead of per episode"
    )

    def code_texts(self) -> dict[str, str]:
        """Strings among the options."""
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
    view_size: int = option(5, "width and depth of the agent's view, in cells; odd", minimum=3)
    episode_length: int = option(
        0, "steps after which an episode is truncated; 0: three times the cells of the grid", minimum=0
    )
    num_rules: int = option(1, "length of the chain of production rules that leads to the goal", minimum=0, maximum=20)
    num_distractors: int = option(3, "objects on the grid that are of no use", minimum=0, maximum=10)
    benchmark: str = option(
        "",
        "an XLand-MiniGrid benchmark file to draw rule sets from, instead of generating them. "
        "It is a pickle, from which only arrays are read",
    )
    first_ruleset: int = option(0, "index of the first rule set of the benchmark to draw from", minimum=0)
    num_rulesets: int = option(0, "number of rule sets of the benchmark to draw from; 0: all from the first", minimum=0)

    def code_texts(self) -> dict[str, str]:
        """The file."""
        return texts_in(self.benchmark, "benchmark")


@dataclasses.dataclass
class BraxConfig(EnvironmentConfig):
    """A brax environment (extra: brax): a body with continuous actions."""

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
    tasks: str = option(
        "one",
        "what is drawn per lifetime: nothing (one); whether to run forwards or backwards (direction), at which speed "
        "(velocity), or to which place (goal, of the ant); or masses, inertias and dampings of the body (parameters)",
        choices=("one", "direction", "velocity", "goal", "parameters"),
    )


@dataclasses.dataclass
class JaxFactoryConfig(EnvironmentConfig):
    """The user's own JAX environment, with podmeta's or gymnax's interface, made by a function."""

    name: str = option("jax_factory", "jax_factory")
    factory: str = option("", "my_module:make_env, a function that returns the environment")
    options: dict[str, Json] = option({}, "arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and strings among its arguments."""
        return factory_texts(self.factory, self.options)
