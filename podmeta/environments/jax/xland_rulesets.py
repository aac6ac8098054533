"""Rule sets of XLand-MiniGrid: drawn from a benchmark file, or made up on the spot.

After Nikulin et al., "XLand-MiniGrid: Scalable Meta-Reinforcement Learning Environments in JAX" (2023, arXiv
2312.12044), section 2. A rule set is a goal, such as to hold a red ball; production rules, such as that a blue key next
to a grey star turns into a red ball; and the objects that lie on the grid at the start of an episode. The agent
learns of it only by the reward for reaching the goal.
"""

import bz2
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt8
from xminigrid.core.constants import Colors, Tiles
from xminigrid.core.goals import AgentHoldGoal, AgentNearGoal, TileNearGoal
from xminigrid.core.rules import AgentHoldRule, AgentNearRule, TileNearRule
from xminigrid.types import RuleSet

from podmeta.errors import InputError

_SHAPES = (Tiles.BALL, Tiles.SQUARE, Tiles.PYRAMID, Tiles.KEY, Tiles.HEX, Tiles.STAR)
_COLOURS = (
    Colors.RED,
    Colors.GREEN,
    Colors.BLUE,
    Colors.PURPLE,
    Colors.YELLOW,
    Colors.GREY,
    Colors.ORANGE,
    Colors.WHITE,
    Colors.BROWN,
    Colors.PINK,
)
OBJECTS = np.array(list(itertools.product(_SHAPES, _COLOURS)), np.uint8)
"""[60, 2] shape and colour of every object that an agent can pick up."""

_NUM_KINDS = 3  # of goals, and of rules: on holding an object, on standing next to one, on two next to one another
_NEEDS_TWO_OBJECTS = 2


def generate_ruleset(key: PRNGKeyArray, num_rules: int, num_distractors: int) -> RuleSet:
    """Makes up a rule set whose goal can be reached.

    The goal is to hold an object, to stand next to it, or to put it next to another. The rules are a chain: the first
    makes the goal's object, each of the others what the rule before it needs; a rule works when the agent picks up its
    object, steps next to it, or puts it next to another. What the last rule needs lies on the grid, or with no rule
    what the goal needs; so do the other objects of pairs, and the distractors. No two objects are of the same shape and
    colour, so that nothing is used up that is still needed.

    Args:
      key: randomness.
      num_rules: rules of the chain.
      num_distractors: objects on the grid that no rule and no goal speaks of.

    Returns:
      The rule set, with `num_rules` rules and `2 + num_rules + num_distractors` objects, some of which are of the empty
      kind, which XLand leaves out.
    """
    kinds_key, objects_key = jax.random.split(key)
    num_links = 1 + num_rules  # the goal and the rules
    kinds = jax.random.randint(kinds_key, (num_links,), 0, _NUM_KINDS)
    order = jax.random.permutation(objects_key, len(OBJECTS))
    objects = jnp.asarray(OBJECTS)[order]
    main, partner = objects[:num_links], objects[num_links : 2 * num_links]
    distractors = objects[2 * num_links : 2 * num_links + num_distractors]

    partner_on_grid = jnp.where((kinds == _NEEDS_TWO_OBJECTS)[:, None], partner, jnp.uint8(Tiles.EMPTY))
    return RuleSet(
        goal=_goal(kinds[0], main[0], partner[0]),
        rules=jax.vmap(_rule)(kinds[1:], main[1:], partner[1:], main[:-1]),
        init_tiles=jnp.concatenate([main[-1:], partner_on_grid, distractors]),
    )


def load_rulesets(path: str, first: int, number: int) -> RuleSet:
    """A run of rule sets of a benchmark file, with a leading axis [number or, where it is 0, all that follow].

    Raises:
      InputError: the file cannot be read, is not a benchmark, or ends before that.
    """
    try:
        with bz2.open(path, "rb") as file:
            benchmark = _ArraysAlone(file).load()
        rulesets = RuleSet(*(_as_bytes(benchmark[part]) for part in ("goals", "rules", "init_tiles")))  # type: ignore[arg-type]  # arrays of NumPy do
    except FileNotFoundError as error:
        raise InputError(f"environment.benchmark={path} does not exist: give the path of a benchmark file") from error
    except Exception as error:  # pickle raises a different one for every way in which a file is none
        raise InputError(
            f"environment.benchmark={path} is no benchmark file of XLand-MiniGrid ({type(error).__name__}: {error})"
        ) from error
    end = first + number if number else len(rulesets.goal)
    if not first < end <= len(rulesets.goal):
        raise InputError(
            f"environment.benchmark={path} has {len(rulesets.goal)} rule sets: environment.first_ruleset={first} and "
            f"environment.num_rulesets={number} ask for others"
        )
    return jax.tree.map(lambda part: part[first:end], rulesets)


class _ArraysAlone(pickle.Unpickler):
    """Reads a pickle of dictionaries of arrays, NumPy's or JAX's, and calls nothing else that it names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("jax._src.array", "_reconstruct_array"):
            return _as_numpy
        if (module.replace("numpy.core", "numpy._core"), name) in _OF_ARRAYS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, and may hold nothing but arrays")


_OF_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
}


def _as_numpy(
    make: Callable[..., np.ndarray], arguments: tuple[Any, ...], state: tuple[Any, ...], of_jax: dict[str, Any]
) -> np.ndarray:
    """What a pickled array of JAX holds, by the arguments that JAX pickles it with."""
    del of_jax
    array = make(*arguments)
    array.__setstate__(state)
    return array


def _as_bytes(part: Any) -> np.ndarray:
    if not isinstance(part, np.ndarray) or part.dtype.kind not in "iu":
        raise TypeError(f"a {type(part).__name__} stands where an array of integers belongs")
    return part.astype(np.uint8)


def _goal(kind: Int[Array, ""], main: UInt8[Array, "2"], partner: UInt8[Array, "2"]) -> UInt8[Array, "encoding"]:
    goals = [AgentHoldGoal(tile=main), AgentNearGoal(tile=main), TileNearGoal(tile_a=main, tile_b=partner)]
    return jnp.stack([goal.encode() for goal in goals])[kind]


def _rule(
    kind: Int[Array, ""], main: UInt8[Array, "2"], partner: UInt8[Array, "2"], made: UInt8[Array, "2"]
) -> UInt8[Array, "encoding"]:
    rules = [
        AgentHoldRule(tile=main, prod_tile=made),
        AgentNearRule(tile=main, prod_tile=made),
        TileNearRule(tile_a=main, tile_b=partner, prod_tile=made),
    ]
    return jnp.stack([rule.encode() for rule in rules])[kind]
