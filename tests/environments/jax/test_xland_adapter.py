"""XLand-MiniGrid: against its own steps, at episode ends, and its rule sets as tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.schema import XLandConfig
from podmeta.environments.base import is_last, step_or_reset
from podmeta.errors import InputError

xminigrid = pytest.importorskip("xminigrid")

from xminigrid.benchmarks import save_bz2_pickle  # noqa: E402
from xminigrid.core.constants import TILES_REGISTRY, Colors, Tiles  # noqa: E402
from xminigrid.core.goals import AgentHoldGoal  # noqa: E402

from podmeta.environments.jax.xland_adapter import XLandEnvironment  # noqa: E402

CONFIG = XLandConfig(view_size=3, episode_length=8)
BALL = TILES_REGISTRY[Tiles.BALL, Colors.RED]
FORWARD, PICK_UP = 0, 3


@pytest.fixture(scope="module")
def environment():
    return XLandEnvironment(CONFIG)


@pytest.fixture(scope="module")
def step(environment):
    return jax.jit(environment.step)


@pytest.fixture(scope="module")
def reset(environment):
    return jax.jit(environment.reset)


@pytest.fixture(scope="module")
def tasks(environment):
    """[20] tasks."""
    return jax.jit(jax.vmap(environment.sample_task))(jax.random.split(jax.random.key(0), 20))


@pytest.fixture(scope="module")
def start(reset, tasks):
    """A task and the start of an episode on it."""
    task = jax.tree.map(lambda leaf: leaf[0], tasks)
    return task, *reset(jax.random.key(1), task)


@pytest.fixture(scope="module")
def in_front_of_a_ball(start):
    """A state in which the agent stands before the ball that it is to pick up, and is about to run out of time."""

    def in_front_of_a_ball(steps):
        _, state, _ = start
        grid = state.grid.at[1:-1, 1:-1].set(TILES_REGISTRY[Tiles.FLOOR, Colors.BLACK]).at[3, 4].set(BALL)
        agent = state.agent.replace(position=jnp.array([4, 4]), direction=jnp.array(0))
        goal = AgentHoldGoal(tile=BALL).encode()
        return state.replace(grid=grid, agent=agent, goal_encoding=goal, step_num=jnp.array(steps))

    return in_front_of_a_ball


def test_the_schema_knows_every_grid():
    registered = {id for id in xminigrid.registered_environments() if id.startswith("XLand")}
    assert set(XLandConfig.__dataclass_fields__["id"].metadata["choices"]) == registered


@pytest.mark.long
def test_it_steps_like_xland(environment, step, start):
    task, state, timestep = start
    own, parameters = xminigrid.make(CONFIG.id, view_size=3, max_steps=8)
    parameters = parameters.replace(ruleset=task)
    own_step = jax.jit(own.step)
    expected = jax.jit(own.reset)(parameters, jax.random.key(1))
    for action in np.random.default_rng(0).integers(0, 6, 8):
        tiles, colours = timestep.observation[..., :13], timestep.observation[..., 13:]
        np.testing.assert_array_equal(jnp.stack([tiles.argmax(-1), colours.argmax(-1)], -1), expected.observation)
        np.testing.assert_array_equal([tiles.sum(-1), colours.sum(-1)], np.ones((2, 3, 3)))
        assert (timestep.reward, timestep.discount) == (expected.reward, expected.discount)
        assert timestep.step_type == expected.step_type
        state, timestep = step(jax.random.key(0), task, state, action)
        expected = own_step(parameters, expected, action)
    assert is_last(timestep)


@pytest.mark.parametrize(
    ("steps_before", "action", "last", "discount", "reward"),
    [
        (3, FORWARD, False, 1.0, 0.0),
        (3, PICK_UP, True, 0.0, 1.0 - 0.9 * 4 / 8),
        (7, FORWARD, True, 1.0, 0.0),
        (7, PICK_UP, True, 0.0, 1.0 - 0.9),
    ],
    ids=["under way", "terminated", "truncated", "both at once is a termination"],
)
def test_episode_ends(step, start, in_front_of_a_ball, steps_before, action, last, discount, reward):
    task, _, _ = start
    _, timestep = step(jax.random.key(0), task, in_front_of_a_ball(steps_before), action)
    assert (is_last(timestep), timestep.discount) == (last, discount)
    np.testing.assert_allclose(timestep.reward, reward, rtol=1e-6)


def test_without_a_time_limit_of_its_own_an_episode_has_xlands():
    assert XLandEnvironment(XLandConfig(view_size=3))._parameters.max_steps == 3 * 9 * 9


def test_a_lifetime_has_one_ruleset_and_the_next_another(reset, tasks):
    assert len(np.unique(np.concatenate([tasks.goal, tasks.rules[:, 0]], axis=1), axis=0)) > 15
    one, another = (jax.tree.map(lambda leaf, i=i: leaf[i], tasks) for i in range(2))
    objects = [_objects(reset(jax.random.key(seed), task)[0].grid) for task in (one, another) for seed in (0, 1)]
    assert objects[0] == objects[1] and objects[2] == objects[3] and objects[0] != objects[2]


def test_a_benchmark_file_takes_the_place_of_made_up_rulesets(tasks, tmp_path):
    written = jax.tree.map(lambda leaf: leaf[:3], tasks)
    parts = {"goals": written.goal, "rules": written.rules, "init_tiles": written.init_tiles}
    save_bz2_pickle({**parts, "num_rules": np.ones(3, np.uint8)}, str(tmp_path / "benchmark"))
    environment = XLandEnvironment(XLandConfig(view_size=3, benchmark=str(tmp_path / "benchmark"), first_ruleset=1))
    drawn = jax.jit(jax.vmap(environment.sample_task))(jax.random.split(jax.random.key(0), 20))
    expected = {bytes(np.asarray(goal)) for goal in written.goal[1:]}
    assert {bytes(np.asarray(goal)) for goal in drawn.goal} == expected


@pytest.mark.long
@pytest.mark.parametrize("id", ["XLand-MiniGrid-R1-9x9", "XLand-MiniGrid-R4-9x9", "XLand-MiniGrid-R9-16x16"])
def test_rooms_of_all_sorts_can_be_scanned_and_their_state_saved(id):
    # The most objects that the config allows: they have room even on the smallest grid.
    environment = XLandEnvironment(XLandConfig(id=id, view_size=3, num_rules=20, num_distractors=10))

    def advance(key):
        task = environment.sample_task(key)
        start = environment.reset(key, task)
        return start, step_or_reset(environment, key, task, *start, jnp.array(0))

    before, after = jax.eval_shape(advance, jax.random.key(0))
    types = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)  # noqa: E731
    assert types(before) == types(after)
    assert all(isinstance(leaf.dtype, np.dtype) for leaf in jax.tree.leaves(after))


def test_a_view_without_a_middle_is_told():
    with pytest.raises(InputError, match=r"environment\.view_size=4 is even: take 5"):
        XLandEnvironment(XLandConfig(view_size=4))


def _objects(grid):
    """The kinds of objects on a grid, walls and floor left out."""
    return {tuple(tile) for tile in np.asarray(grid).reshape(-1, 2).tolist() if tile[0] > Tiles.WALL}
