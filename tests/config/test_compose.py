"""Composition over the presets, and the `config.yaml` from which a job comes back the same."""

import copy
import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job, job_from_yaml, job_to_yaml
from podmeta.config.presets import list_options
from podmeta.config.schema import GROUPS, DevicesConfig, SymmetricConfig
from podmeta.errors import InputError

EXPERIMENTS = list(list_options("experiment"))
ENVIRONMENTS, LEARNERS, OUTER_LOOPS = (
    [f"{group}={name}" for name in list_options(group)] for group in ("environment", "learner", "outer")
)
# Composing takes long, so most jobs have a preset of several groups.
PRESETS = [
    *zip(ENVIRONMENTS, itertools.cycle(LEARNERS), itertools.cycle(OUTER_LOOPS), strict=False),
    *((f"architecture={name}",) for name in list_options("architecture")),
]


def read_back(job, directory):
    path = directory / "config.yaml"
    path.write_text(job_to_yaml(job), encoding="utf-8")
    return job_from_yaml(path, [])


@pytest.mark.long
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_a_valid_job_that_comes_back_from_its_yaml(experiment, tmp_path):
    job = compose_job([f"experiment={experiment}"])
    assert job.experiment_name == experiment
    # What describes the machine stays behind.
    assert read_back(job, tmp_path) == dataclasses.replace(job, devices=DevicesConfig())


@pytest.mark.long
@pytest.mark.parametrize("presets", PRESETS, ids=" ".join)
def test_every_preset_is_valid_and_comes_back_from_its_yaml(presets, tmp_path):
    entries = ["environment.entries=[{environment: bandit}, {environment: cartpole}]"]
    job = compose_job([*presets, *(entries if "environment=mixture" in presets else [])])
    assert read_back(job, tmp_path) == job


def test_the_presets_tried_are_all():
    tried = {preset for presets in PRESETS for preset in presets}
    assert tried == {f"{group}={name}" for group in GROUPS for name in list_options(group)}


def test_every_member_of_a_group_has_a_preset_of_its_name_which_says_what_it_is():
    for group, members in GROUPS.items():
        assert members.keys() <= list_options(group).keys()
    for group in [*GROUPS, "experiment"]:
        assert all(list_options(group).values())


def test_overrides_win_over_the_experiment_and_the_experiment_over_presets():
    plain, experiment = compose_job([]), compose_job(["experiment=cartpole"])
    changed = compose_job(["experiment=cartpole", "learner.state_noise=0.25", "seed=9"])
    assert (plain.learner.state_noise, experiment.learner.state_noise) == (0.0, 0.1)
    assert (changed.learner.state_noise, changed.seed) == (0.25, 9)
    expected_learner = dataclasses.replace(experiment.learner, state_noise=0.25)
    assert changed == dataclasses.replace(experiment, learner=expected_learner, seed=9)


def test_a_group_can_be_chosen_over_the_experiments():
    job = compose_job(["experiment=bandit", "learner=recurrent"])
    assert (job.learner.name, job.experiment_name) == ("recurrent", "bandit")


def test_composing_leaves_nothing_behind():
    compose_job(["experiment=cartpole", "learner.hidden_size=3"])
    assert compose_job(["experiment=bandit"]).learner.hidden_size == SymmetricConfig().hidden_size


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["null", "true", "1e3", "0x1f", "~", "- a", "a: b", "# no comment", "'", '"', "%", "{}", "[]"]
)
finite = st.floats(min_value=1e-30, max_value=1e30)


@pytest.fixture(scope="module")
def plain_job():
    return compose_job([])


@given(words.filter(lambda word: "${" not in word), finite, finite, st.integers(0, 2**32 - 1), st.booleans())
def test_any_value_comes_back_from_the_yaml(plain_job, tmp_path_factory, word, rate, other_rate, seed, flag):
    job = copy.deepcopy(plain_job)
    job.experiment_name, job.seed, job.outer.learning_rate, job.logging.wandb = word, seed, rate, flag
    job.architecture.instance_learning_rates = [other_rate]
    job.outer.optimiser_arguments = {"b1": rate, "nesterov": flag}
    assert read_back(job, tmp_path_factory.mktemp("any")) == job


def test_a_saved_job_can_be_changed(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(job_to_yaml(compose_job([])), encoding="utf-8")
    job = job_from_yaml(path, ["evaluation.num_tasks=7", "outer.learning_rate=0.5"])
    assert (job.evaluation.num_tasks, job.outer.learning_rate) == (7, 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not the config of a run"),
        ("just words", "config"),
        ("a: [1", "is not the config of a run"),
        ("learner: {name: symmetric}", "is not the config of a run"),
        (b"\xff\xfe\x00bad", "is not the config of a run"),
    ],
)
def test_what_is_no_saved_job_is_an_input_error(content, message, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        job_from_yaml(path, [])
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("line", "replacement", "message"),
    [
        ("name: symmetric", "name: symetric", "learner=symetric does not exist"),
        ("hidden_size: 16", "hidden_size: big", r"learner\.hidden_size.*big"),
        ("hidden_size: 16", "hidden_sise: 16", "hidden_sise"),
        ("hidden_size: 16", "hidden_size: 0", r"learner\.hidden_size=0 is too small"),
        ("seed: 0", "sead: 0", "sead"),
    ],
)
def test_a_damaged_saved_job_is_an_input_error(line, replacement, message, tmp_path):
    path, text = tmp_path / "config.yaml", job_to_yaml(compose_job([]))
    assert line in text
    path.write_text(text.replace(line, replacement, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        job_from_yaml(path, [])


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/config\.yaml"):
        job_from_yaml(tmp_path / "nowhere" / "config.yaml", [])
