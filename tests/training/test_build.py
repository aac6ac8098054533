"""From a config to programs: θ of one size, and mixtures on any number of devices."""

import itertools

import jax
import numpy as np
import pytest

from podmeta.architectures.anakin_session import from_devices, to_devices
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.config.compose import compose_job
from podmeta.distributed.devices import map_over_devices
from podmeta.errors import InputError
from podmeta.training.build import build_programs, instance_settings, meta_params_shapes

ENTRIES = (
    "[{environment: bandit, num_arms: 3, lifetime_length: 8, padded_observation_size: 2},"
    " {environment: contextual_bandit, lifetime_length: 12, weight: 2}]"
)
OUTER = {
    "evolution": ["outer.population_size=8", "outer.lifetimes_per_member=1", "outer.noise_std=1"],
    "actor_critic": ["outer=actor_critic", "outer.num_lifetimes=4", "outer.unroll_length=4"],
}


@pytest.mark.long
@pytest.mark.parametrize("outer", OUTER)
def test_a_mixture_is_the_same_on_any_number_of_devices(outer):
    learner = ["learner=recurrent", "learner.cell=gru", "learner.hidden_size=3"]
    mixture = ["environment=mixture", f"environment.entries={ENTRIES}", "num_updates=3"]
    job = compose_job([*learner, *mixture, *OUTER[outer]])

    def trained(num_devices):
        (program,) = build_programs(job, num_devices)
        run = map_over_devices(lambda state: program.run(state, 3), DEVICE_AXIS, num_devices)
        state = to_devices(program.init(instance_settings(job)), num_devices)
        return from_devices(run.lower(state).compile()(state)[0]).outer.meta_params

    for one, two in zip(jax.tree.leaves(trained(1)), jax.tree.leaves(trained(2)), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


BANDIT, CARTPOLE = "environment: bandit, num_arms: 3", "environment: cartpole"
DIFFERENT = {
    "entries[1]": ["environment=mixture", f"environment.entries=[{{{BANDIT}}}, {{{CARTPOLE}}}]"],
    "stages[1]": [f"stages=[{{num_updates: 1, {BANDIT}}}, {{num_updates: 1, {CARTPOLE}}}]"],
}


@pytest.mark.parametrize("place", DIFFERENT)
def test_a_learner_tied_to_sizes_is_told_of_padding_and_fits_with_it(place):
    overrides = ["learner=recurrent", *DIFFERENT[place]]
    with pytest.raises(InputError, match="tied to sizes") as refusal:
        build_programs(compose_job(overrides), 1)
    said = str(refusal.value)
    with pytest.raises(InputError) as refusal_of_shapes:
        meta_params_shapes(compose_job(overrides))
    assert str(refusal_of_shapes.value) == said
    for part in (place, "observation_size=1", "learner=symmetric", "padded_observation_size=4", "padded_num_actions=3"):
        assert part in said
    padding = "padded_observation_size: 4, padded_num_actions: 3"
    padded = [override.replace("}", f", {padding}}}") for override in overrides]
    assert len(build_programs(compose_job(padded), 1)) == (2 if place == "stages[1]" else 1)


def test_any_sizes_fit_the_symmetric_learner():
    for overrides in DIFFERENT.values():
        build_programs(compose_job(overrides), 1)


def test_an_environment_that_cannot_be_made_is_told_with_its_place():
    entries = "[{environment: bandit}, {environment: grid_world, height: 1, width: 2}]"
    job = compose_job(["environment=mixture", f"environment.entries={entries}"])
    with pytest.raises(InputError, match=r"environment\.entries\[1\].*height times width"):
        build_programs(job, 1)


def test_lifetimes_are_those_of_the_entry_or_of_the_outer_loop():
    entries = "[{environment: bandit, lifetime_length: 10}, {environment: bandit, lifetime_length: 20, lifetimes: 3}]"
    overrides = ["environment=mixture", f"environment.entries={entries}"]
    (evolution,) = build_programs(
        compose_job([*overrides, "outer.population_size=4", "outer.lifetimes_per_member=5"]), 1
    )
    assert evolution.env_steps_per_update == 4 * (5 * 10 + 3 * 20)
    actor_critic = ["outer=actor_critic", "outer.num_lifetimes=4", "outer.unroll_length=10"]
    (program,) = build_programs(compose_job([*overrides, *actor_critic]), 1)
    assert program.env_steps_per_update == 4 * 10 * (1 + 3)


def seeds_of(seed, num_instances):
    job = compose_job([f"seed={seed}", f"architecture.num_instances={num_instances}"])
    return instance_settings(job).seed.tolist()


def test_runs_with_neighbouring_seeds_share_no_instance():
    runs = [seeds_of(seed, 50) for seed in (0, 1, 2, 2**32 - 1)]
    assert len(set(itertools.chain(*runs))) == 4 * 50
    assert [seeds[0] for seeds in runs] == [0, 1, 2, 2**32 - 1], "the first instance is the run with one instance"
    assert seeds_of(1, 3) == runs[1][:3], "and another instance changes none of the others"
