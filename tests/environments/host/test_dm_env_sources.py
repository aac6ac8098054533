"""Sources of dm_env environments: factories of a user's own, bsuite and dm_control."""

import sys

import numpy as np
import pytest
from dm_env import StepType, specs

from podmeta.config.schema import BsuiteConfig, DmControlConfig, FactoryConfig
from podmeta.errors import InputError

FACTORIES = "tests.environments.host.factories"


def test_a_factory_that_takes_a_seed_draws_a_task_per_lifetime(make_script, live):
    environment = make_script(2)
    assert environment.observation_spec().shape == (3,)
    np.testing.assert_array_equal(environment.observation_spec().maximum, [np.inf, np.inf, 4.0])
    timesteps, _ = live(environment, 9, lambda _: np.array([1, 4], np.int32), seed=6)
    np.testing.assert_array_equal(timesteps.observation[..., 0], [[6, 7]] * 10)
    # Episodes of three steps, whose ends depend on the seed; a reset ignores its action.
    first, mid, last = StepType.FIRST, StepType.MID, StepType.LAST
    np.testing.assert_array_equal(timesteps.step_type.T, [([first, mid, mid, last] * 3)[:10]] * 2)
    np.testing.assert_array_equal(timesteps.discount[3], [0, 1])
    np.testing.assert_array_equal(timesteps.reward[:5, 0], [0, 1, 2, 3, 0])
    np.testing.assert_array_equal(timesteps.observation[:5, 1, 1:], [[0, 0], [1, 4], [2, 4], [3, 4], [0, 0]])

    timestep = environment.reset(np.array([False, True]), np.array([1, 9], np.uint32))
    np.testing.assert_array_equal(timestep.observation[:, 0], [6, 9])


def test_a_factory_without_a_seed_is_called_once(make, begin):
    environment = make(FactoryConfig(factory=f"{FACTORIES}:seedless"), 2)
    np.testing.assert_array_equal(begin(environment).observation[:, 0], [12, 12])


def test_boxes_are_taken_flat_and_bytes_are_shown_as_they_are(make, begin):
    environment = make(FactoryConfig(factory=f"{FACTORIES}:Box"), 2)
    assert environment.action_spec() == specs.BoundedArray((4,), np.float32, -np.ones(4), np.ones(4))
    assert begin(environment).observation.dtype == np.uint8
    timestep = environment.step(np.array([[0.25, 0.5, -1.0, 0.125], [1, 1, 1, 1]], np.float32))
    np.testing.assert_array_equal(timestep.reward, [-0.125, 4.0])
    np.testing.assert_array_equal(timestep.observation, [np.arange(6).reshape(2, 3)] * 2)


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        ("", {}, r"environment\.factory='' names no function: write it as my_module:make"),
        ("my_module.make_env", {}, "names no function"),
        ("no_such_module:make_env", {}, "no_such_module cannot be imported .*PYTHONPATH"),
        (f"{FACTORIES}.no_such_module:make_env", {}, "no_such_module cannot be imported .*PYTHONPATH"),
        (f"{FACTORIES}:no_such_name", {}, "factories has no no_such_name"),
        (f"{FACTORIES}:NOT_CALLABLE", {}, "is of type int, which cannot be called"),
        (f"{FACTORIES}:not_an_environment", {}, r"returned a str, but must return a dm_env\.Environment"),
        (
            f"{FACTORIES}:Unspecified",
            {},
            r"Unspecified failed: NotImplementedError: no spec \(.*factories\.py, line",
        ),
        (f"{FACTORIES}:Script", {"speed": 1}, r"environment\.options: .*Script cannot be called with .*speed"),
    ],
)
def test_factories_that_cannot_be_used_are_told(factory, options, message, make):
    with pytest.raises(InputError, match=message):
        make(FactoryConfig(factory=factory, options=options), 2)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n1 / 0", r"failed when it was imported: ZeroDivisionError: .*my_broken.py, line 2\)"),
        ("x = 1\nx +", r"failed when it was imported: SyntaxError: .*my_broken.py, line 2\)"),
        ("\nimport no_such_library", r"failed when it was imported: ModuleNotFoundError: .*my_broken.py, line 2\)"),
        ("import json\ndef make(seed):\n    json.loads('{')", r"failed: JSONDecodeError.*line 3\)"),
    ],
)
def test_what_a_users_module_or_function_raises_is_told_with_its_line(source, message, make, tmp_path, monkeypatch):
    (tmp_path / "my_broken.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_broken", raising=False)
    with pytest.raises(InputError, match=r"environment\.factory=my_broken:make.*" + message):
        make(FactoryConfig(factory="my_broken:make"), 2)


@pytest.mark.parametrize("id", ["catch/0", "cartpole/0", "deep_sea/3", "memory_len/2", "cartpole_swingup/1"])
def test_bsuite_plays(id, make, live):
    pytest.importorskip("bsuite")
    environment = make(BsuiteConfig(id=id), 2)
    num_actions = environment.action_spec().num_values
    choose = np.random.default_rng(0)
    timesteps, _ = live(environment, 100, lambda _: choose.integers(0, num_actions, 2).astype(np.int32))
    first, last = timesteps.step_type == StepType.FIRST, timesteps.step_type == StepType.LAST
    np.testing.assert_array_equal(first[1:], last[:-1])
    assert timesteps.observation.shape[2:] == environment.observation_spec().shape


def test_bsuite_starts_as_its_seed_says(make, begin):
    pytest.importorskip("bsuite")
    environment = make(BsuiteConfig(id="catch/0"), 8)
    np.testing.assert_array_equal(begin(environment, 3).observation, begin(environment, 3).observation)
    assert len(np.unique(begin(environment, 3).observation, axis=0)) > 1


def test_dm_control_is_truncated_and_its_parts_are_strung_together(make, live):
    pytest.importorskip("dm_control")
    environment = make(DmControlConfig(id="cartpole/swingup"), 2)
    assert environment.observation_spec().shape == (5,)  # position [3] and velocity [2]
    assert environment.action_spec() == specs.BoundedArray((1,), np.float32, [-1.0], [1.0])
    timesteps, _ = live(environment, 1002, lambda _: np.zeros((2, 1), np.float32), seed=4)
    np.testing.assert_array_equal(np.flatnonzero(timesteps.step_type[:, 0] != StepType.MID), [0, 1000, 1001])
    assert (timesteps.step_type[1000] == StepType.LAST).all() and (timesteps.discount == 1).all()
    # position is [x, cos, sin], in that order, then velocity
    np.testing.assert_allclose(timesteps.observation[..., 1] ** 2 + timesteps.observation[..., 2] ** 2, 1, rtol=1e-5)

    again, _ = live(environment, 1, lambda _: np.zeros((2, 1), np.float32), seed=4)
    np.testing.assert_array_equal(again.observation, timesteps.observation[:2])
    assert (again.observation[0, 0] != again.observation[0, 1]).any()


@pytest.mark.parametrize(
    ("package", "config", "message"),
    [
        ("bsuite", BsuiteConfig(id="cach/0"), r"environment\.id: bsuite has no 'cach/0'\. Did you mean catch/0"),
        ("dm_control", DmControlConfig(id="cartpole/swing"), r"dm_control has no .*\. Did you mean cartpole/swingup"),
    ],
)
def test_unknown_ids_are_told(package, config, message, make):
    pytest.importorskip(package)
    with pytest.raises(InputError, match=message):
        make(config, 2)
