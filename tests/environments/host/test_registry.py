"""From configs to batches on the host."""

import subprocess
import sys

import numpy as np
import pytest

from podmeta.config.schema import (
    BanditConfig,
    DmControlConfig,
    EnvpoolConfig,
    FactoryConfig,
    GymnasiumConfig,
    HostEnvironmentConfig,
)
from podmeta.environments.host.registry import lives_on_host, make_host_environment
from podmeta.errors import InputError
from tests.environments.host import factories

SCRIPT = "tests.environments.host.factories:Script"


def test_what_lives_on_the_host():
    assert lives_on_host(GymnasiumConfig()) and lives_on_host(FactoryConfig())
    assert not lives_on_host(BanditConfig())


def test_names_say_the_source_and_the_id(make):
    assert make(GymnasiumConfig(), 1).name == "gymnasium CartPole-v1"
    assert make(FactoryConfig(factory=SCRIPT, failure_reward=True), 1).name == f"factory {SCRIPT}"


def test_transforms_go_on_from_the_inside_out(make, begin):
    config = FactoryConfig(
        factory=SCRIPT,
        options={"length": 1},
        failure_reward=True,
        observation_scale=[1.0, 10.0, 100.0],
        flip_observation_signs=True,
        permute_observations=True,
        permute_actions=True,
        padded_observation_size=4,
        padded_num_actions=7,
    )
    padded = make(config, 2)
    actions = padded._environment
    observations = actions._environment
    signs = observations._environment
    begin(padded, seed=2)
    timestep = padded.step(np.array([6, 3], np.int32))
    # Action 6 of 7 is action 1 of 5, which is shuffled; the script shows [seed, step, action].
    shown = np.array([[2, 1, actions.drawn[0, 1]], [3, 1, actions.drawn[1, 3]]]) * [1, 10, 100] * signs.drawn
    expected = np.take_along_axis(shown, observations.drawn, axis=1)
    np.testing.assert_array_equal(timestep.observation, np.pad(expected, ((0, 0), (0, 1))))
    np.testing.assert_array_equal(timestep.reward, [-1, 0])  # the odd seed's episode is truncated


def test_a_batch_that_cannot_be_wrapped_leaves_no_worker(make):
    import multiprocessing

    config = FactoryConfig(factory=SCRIPT, vectorisation="processes", padded_num_actions=2)
    with pytest.raises(InputError, match=r"environment\.padded_num_actions is 2"):
        make(config, 2)
    assert not multiprocessing.active_children()


def test_a_config_of_no_environment_is_told():
    with pytest.raises(InputError, match=r"environment\.name: there is no environment 'cart' on the host"):
        make_host_environment(HostEnvironmentConfig(name="cart"), 2)


@pytest.mark.parametrize(
    ("config", "module"),
    [
        (EnvpoolConfig(), "envpool"),
        (GymnasiumConfig(), "gymnasium"),
        (GymnasiumConfig(id="ALE/Pong-v5"), "ale_py"),
        (DmControlConfig(), "dm_control.suite"),
    ],
)
def test_the_message_about_a_missing_extra_says_how_to_install_it(config, module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    extra = config.name.replace("_", "-")
    with pytest.raises(InputError, match=rf"needs {module}, .*pip install 'podmeta\[{extra}\]'"):
        make(config, 2)


def test_no_extra_is_imported_unasked():
    program = (
        "import sys; from podmeta.config.schema import FactoryConfig; "
        "from podmeta.environments.host.registry import make_host_environment; "
        f"make_host_environment(FactoryConfig(factory={SCRIPT!r}), 1); "
        "print([name for name in ('jax', 'envpool', 'gymnasium', 'bsuite', 'dm_control') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize(("third", "closed"), [("fails", [0, 1]), ("has no spec", [0, 1, 2])])
def test_environments_are_closed_if_a_later_one_cannot_be_made(third, closed):
    """They may hold processes, which would outlive the job."""
    factories.CLOSED.clear()
    factories.Counted.made = 0
    config = FactoryConfig(factory="tests.environments.host.factories:Counted", options={"third": third})
    with pytest.raises(InputError, match=r"no third|no spec"):
        make_host_environment(config, 3)
    assert sorted(factories.CLOSED) == closed
