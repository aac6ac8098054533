"""What a factory of the user's returns says where it lives, and so which architecture runs it."""

import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.config.schema import AnakinConfig, FactoryConfig, JaxFactoryConfig, SebulbaConfig
from podmeta.environments.host.registry import make_host_environment
from podmeta.environments.kinds import with_known_kind, with_known_kinds
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from podmeta.keys import make_key

OWN = "tests.environments.own"
ON_HOST = ["of_gymnasium", "of_dm_env"]
JAX = ["LeftOrRight", "of_gymnax", "of_gymnax_with_parameters"]


def job_of(function, *overrides):
    return compose_job([f"environment.factory={OWN}:{function}", *overrides])


@pytest.mark.long
@pytest.mark.parametrize("experiment", ["experiment=bandit", "experiment=sebulba_cartpole"])
@pytest.mark.parametrize("function", [*ON_HOST, *JAX])
def test_the_architecture_follows_from_what_the_function_returns(experiment, function):
    job = with_known_kinds(job_of(function, experiment))
    on_host = function in ON_HOST
    assert type(job.environment) is (FactoryConfig if on_host else JaxFactoryConfig)
    assert type(job.architecture) is (SebulbaConfig if on_host else AnakinConfig)
    assert with_known_kinds(job) == job


def test_the_architecture_may_be_kept():
    job = with_known_kinds(job_of("LeftOrRight", "architecture=sebulba"), ["architecture=sebulba"])
    assert type(job.architecture) is SebulbaConfig


def test_keys_go_with_it():
    keys = ["environment.options={num_actions: 3}", "environment.lifetime_length=7", "environment.permute_actions=true"]
    config = with_known_kind(job_of("LeftOrRight", *keys).environment)
    assert config == JaxFactoryConfig(
        factory=f"{OWN}:LeftOrRight", options={"num_actions": 3}, lifetime_length=7, permute_actions=True
    )
    assert make_environment(config).action_spec().num_values == 3


def test_mixtures_and_stages_are_looked_through():
    factory = f"{{environment: factory, factory: '{OWN}:LeftOrRight'}}"
    mixed = compose_job(["environment=mixture", f"environment.entries=[{factory}, {{environment: bandit}}]"])
    assert type(with_known_kinds(mixed).environment.entries[0].environment) is JaxFactoryConfig
    staged = f"stages=[{{environment: factory, factory: '{OWN}:LeftOrRight', num_updates: 1}}]"
    assert type(with_known_kinds(compose_job([staged])).stages[0].environment) is JaxFactoryConfig


@pytest.mark.parametrize(("function", "length"), [("of_gymnax", 500), ("of_gymnax_with_parameters", 10)])
def test_gymnax_s_interface_is_adapted_with_its_parameters(function, length):
    environment = make_environment(JaxFactoryConfig(factory=f"{OWN}:{function}"))
    state, timestep = jax.jit(environment.reset)(make_key(0), ())
    assert timestep.observation.shape == (4,) == environment.observation_spec().shape
    step = jax.jit(environment.step)
    for number in range(length):
        state, timestep = step(make_key(number), (), state, number % 2)
        if timestep.last():
            break
    assert timestep.last() and number < length


@pytest.mark.parametrize("function", ON_HOST)
def test_lifetimes_on_the_host_start_as_their_seeds_say(function):
    with make_host_environment(FactoryConfig(factory=f"{OWN}:{function}"), 2) as environment:
        starts = [
            environment.reset(np.ones(2, bool), np.array(seeds, np.uint32)).observation.copy()
            for seeds in ([1, 2], [2, 1], [1, 2])
        ]
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(starts[0], starts[1][::-1])
    assert not np.array_equal(starts[0], starts[1])


@pytest.mark.parametrize("function", ["not_an_environment", "nothing"])
def test_what_is_no_environment_is_refused_when_it_is_first_made(function):
    config = FactoryConfig(factory=f"tests.environments.host.factories:{function}")
    with pytest.raises(InputError, match=r"returned a (str|NoneType), but must return a dm_env.Environment"):
        with_known_kind(config)


def test_what_is_no_environment_is_refused():
    with pytest.raises(InputError, match=r"returned a str, but must return a dm_env.Environment, a gymnasium.Env, or"):
        make_host_environment(FactoryConfig(factory="tests.environments.host.factories:not_an_environment"), 1)
    with pytest.raises(InputError, match="must return an environment of podmeta's or gymnax's interface"):
        make_environment(JaxFactoryConfig(factory="tests.environments.host.factories:not_an_environment"))
