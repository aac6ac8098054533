"""From configs to environments."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.config.schema import GROUPS, BanditConfig, EnvironmentConfig, GymnaxConfig
from podmeta.environments import registry
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.jax.bandit import Bandit
from podmeta.environments.jax.gymnax_adapter import GymnaxEnvironment
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError


def test_bandit_config_reaches_the_bandit():
    environment = make_environment(BanditConfig(num_arms=2, distribution="dependent_easy"))
    task = environment.sample_task(jax.random.key(0))
    np.testing.assert_allclose(np.sort(task), [0.1, 0.9], rtol=1e-6)


def test_gymnax_config_reaches_gymnax():
    environment = make_environment(GymnaxConfig(id="Acrobot-v1", parameters={"max_steps_in_episode": 1}))
    state, _ = environment.reset(jax.random.key(0), ())
    assert environment.step(jax.random.key(0), (), state, jnp.array(0))[1].last()
    assert environment.observation_spec().shape == (6,)


EXTRAS = {"xland": "xminigrid", "brax": "brax"}
NAMES = [name for name in GROUPS["environment"] if name not in ("mixture", "jax_factory")]  # without defaults


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if not lives_on_host(GROUPS["environment"][name]())])
def test_every_name_has_an_environment(name):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    environment = make_environment(GROUPS["environment"][name]())
    task = jax.jit(environment.sample_task)(jax.random.key(0))
    _, timestep = jax.jit(environment.reset)(jax.random.key(0), task)
    environment.observation_spec().validate(np.asarray(timestep.observation))


@pytest.mark.parametrize("name", [name for name in NAMES if lives_on_host(GROUPS["environment"][name]())])
def test_what_lives_on_the_host_is_told_apart(name):
    with pytest.raises(InputError, match=rf"environment\.name={name} lives on the host.*architecture=sebulba"):
        make_environment(GROUPS["environment"][name]())


def test_transforms_go_on_from_the_inside_out():
    config = GymnaxConfig(
        permute_observations=True,
        permute_actions=True,
        flip_observation_signs=True,
        observation_scale=[1.0, 10.0, 100.0, 1000.0],
        failure_reward=True,
        parameters={"x_threshold": 0.0},
    )
    environment = make_environment(config)
    task = environment.sample_task(jax.random.key(0))
    action_order, (observation_order, (signs, (no_scale, (no_reward, inner_task)))) = _drawn_inwards(task)
    assert no_scale == no_reward == inner_task == ()

    inside = GymnaxEnvironment(config.id, config.parameters)
    state, timestep = inside.reset(jax.random.key(1), ())
    _, inner = inside.step(jax.random.key(1), (), state, action_order[0])
    state, timestep = environment.reset(jax.random.key(1), task)
    _, outer = environment.step(jax.random.key(1), task, state, jnp.array(0))
    assert timestep.first()
    expected = (inner.observation * np.array(config.observation_scale) * signs)[observation_order]
    np.testing.assert_allclose(outer.observation, expected, rtol=1e-6)
    assert outer.last()
    assert outer.reward == -1.0
    assert inner.reward != -1.0


def test_nothing_is_wrapped_unasked():
    assert type(make_environment(GymnaxConfig())) is GymnaxEnvironment


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_that_is_not_installed_is_told(name, monkeypatch):
    monkeypatch.setitem(sys.modules, EXTRAS[name], None)
    with pytest.raises(InputError, match=rf"environment\.name={name} needs.*pip install 'podmeta\[{name}\]'"):
        make_environment(GROUPS["environment"][name]())


@dataclasses.dataclass
class CoinConfig(EnvironmentConfig):
    """A bandit of two arms, by another name."""

    name: str = "coin"
    distribution: str = "dependent_hard"


def test_one_registration_adds_an_environment(monkeypatch):
    monkeypatch.setitem(GROUPS["environment"], "coin", None)
    monkeypatch.setattr(registry, "_MAKERS", dict(registry._MAKERS))
    registry.register_environment("coin", CoinConfig, lambda config: Bandit(2, config.distribution))
    others = ["learner=symmetric", "outer=evolution", "architecture=anakin"]
    config = compose_job(["environment=coin", "environment.permute_observations=true", *others]).environment
    assert make_environment(config).num_tasks == 2


def test_a_config_of_no_environment_is_told():
    with pytest.raises(InputError, match=r"environment\.name"):
        make_environment(EnvironmentConfig(name="cart"))


def test_a_bandit_does_not_wait_for_gymnax():
    program = (
        "import sys; from podmeta.config.schema import BanditConfig; "
        "from podmeta.environments.registry import make_environment; "
        "make_environment(BanditConfig()); print('gymnax' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True).stdout
    assert output.strip() == "False"


def _drawn_inwards(task):
    return (task.drawn, _drawn_inwards(task.inner)) if hasattr(task, "drawn") else task
