"""Rule sets that are made up can be carried out, and benchmark files are read as XLand-MiniGrid writes them."""

import functools
import os
import pickle

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.errors import InputError

xminigrid_benchmarks = pytest.importorskip("xminigrid.benchmarks")

from podmeta.environments.jax.xland_rulesets import OBJECTS, generate_ruleset, load_rulesets  # noqa: E402

EMPTY = (0, 0)
NUM_PAIRED = {1: 1, 2: 1, 3: 2}  # by the number of a rule: the objects it needs
GOAL_NUM_PAIRED = {1: 1, 3: 1, 4: 2}  # by the number of a goal


@functools.cache
def generator(num_rules, num_distractors):
    return jax.jit(jax.vmap(lambda key: generate_ruleset(key, num_rules, num_distractors)))


def pairs(encoding):
    """The objects that an encoding speaks of."""
    return [tuple(pair) for pair in np.asarray(encoding[1:]).reshape(-1, 2).tolist()]


@given(seed=st.integers(0, 2**31), size=st.sampled_from([(0, 3), (1, 0), (4, 2)]))
def test_the_goal_can_be_reached_by_the_rules_and_needs_all_of_them(seed, size):
    num_rules, num_distractors = size
    rulesets = jax.tree.map(np.asarray, generator(*size)(jax.random.split(jax.random.key(seed), 16)))
    for goal, rules, tiles in zip(rulesets.goal, rulesets.rules, rulesets.init_tiles, strict=True):
        on_grid = [tuple(tile) for tile in tiles.tolist() if tuple(tile) != EMPTY]
        assert len(set(on_grid)) == len(on_grid)
        assert set(on_grid) <= set(map(tuple, OBJECTS.tolist()))
        wanted = pairs(goal)[: GOAL_NUM_PAIRED[goal[0]]]
        assert len(rules) == num_rules

        at_hand, used = set(on_grid), 0
        for rule in rules[::-1]:
            needed, made = pairs(rule)[: NUM_PAIRED[rule[0]]], pairs(rule)[NUM_PAIRED[rule[0]]]
            assert not set(wanted) <= at_hand
            assert set(needed) <= at_hand and made not in at_hand
            at_hand = (at_hand - set(needed)) | {made}
            used += len(needed)
        assert set(wanted) <= at_hand
        assert len(at_hand - set(wanted)) == num_distractors


def test_all_kinds_of_goals_and_rules_come_up():
    rulesets = generator(4, 2)(jax.random.split(jax.random.key(0), 64))
    assert set(np.unique(rulesets.goal[:, 0])) == set(GOAL_NUM_PAIRED)
    assert set(np.unique(rulesets.rules[..., 0])) == set(NUM_PAIRED)


@pytest.fixture(scope="module")
def rulesets():
    return generator(1, 0)(jax.random.split(jax.random.key(0), 5))


@pytest.fixture
def benchmark_path(rulesets, tmp_path):
    """A file as XLand-MiniGrid's own tool writes it."""
    parts = {"goals": rulesets.goal, "rules": rulesets.rules, "init_tiles": rulesets.init_tiles}
    path = str(tmp_path / "benchmark")
    xminigrid_benchmarks.save_bz2_pickle({**parts, "num_rules": np.ones(5, np.uint8)}, path)
    return path


@pytest.mark.parametrize(
    ("first", "number", "expected"), [(0, 0, slice(0, 5)), (3, 0, slice(3, 5)), (1, 2, slice(1, 3))]
)
def test_a_part_of_a_benchmark_is_loaded(rulesets, benchmark_path, first, number, expected):
    loaded = load_rulesets(benchmark_path, first, number)
    jax.tree.map(lambda part, whole: np.testing.assert_array_equal(part, whole[expected]), loaded, rulesets)


@pytest.mark.parametrize(("first", "number"), [(5, 0), (0, 6), (4, 2)])
def test_a_part_that_is_not_there_is_told(benchmark_path, first, number):
    with pytest.raises(InputError, match=rf"has 5 rule sets: environment\.first_ruleset={first} .*={number}"):
        load_rulesets(benchmark_path, first, number)


def test_a_file_that_is_no_benchmark_is_told(tmp_path):
    with pytest.raises(InputError, match=r"environment\.benchmark=nowhere does not exist"):
        load_rulesets("nowhere", 0, 0)
    (tmp_path / "text").write_text("goals: none", encoding="utf-8")
    (tmp_path / "cut short").write_bytes(b"BZh9")
    xminigrid_benchmarks.save_bz2_pickle({"goals": np.zeros((1, 5))}, str(tmp_path / "other"))
    with (tmp_path / "pickle").open("wb") as file:
        pickle.dump({}, file)
    for path in tmp_path.iterdir():
        with pytest.raises(InputError, match=r"environment\.benchmark=.* is no benchmark file"):
            load_rulesets(str(path), 0, 0)


class Mark:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("place", ["goals", "rules", "further"])
def test_a_benchmark_runs_no_code(rulesets, tmp_path, place):
    parts = {"goals": rulesets.goal, "rules": rulesets.rules, "init_tiles": rulesets.init_tiles, "num_rules": None}
    xminigrid_benchmarks.save_bz2_pickle(parts | {place: Mark(tmp_path / "mark")}, str(tmp_path / "benchmark"))
    with pytest.raises(InputError, match=r"no benchmark file .*names posix\.mkdir, and may hold"):
        load_rulesets(str(tmp_path / "benchmark"), 0, 0)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("convert", [np.asarray, jax.numpy.asarray])
def test_arrays_are_read_however_they_were_pickled(rulesets, tmp_path, protocol, convert):
    parts = {"goals": rulesets.goal, "rules": rulesets.rules, "init_tiles": rulesets.init_tiles}
    written = jax.tree.map(convert, parts)
    xminigrid_benchmarks.save_bz2_pickle(written, str(tmp_path / "benchmark"), protocol)
    loaded = load_rulesets(str(tmp_path / "benchmark"), 0, 0)
    jax.tree.map(np.testing.assert_array_equal, loaded, rulesets)
