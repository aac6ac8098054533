"""The config of a run is data: nothing in it is looked up, copied or made."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from podmeta.config.compose import compose_job, job_from_yaml, job_to_yaml
from podmeta.config.resolve import evaluation_settings
from podmeta.config.run_config import literal, parse_run_config
from podmeta.errors import InputError

SECRET = "${oc.env:PODMETA_SECRET}"

texts = st.text(st.sampled_from("a$\\\\{}:.'\" 1e-~\n") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, plain, max_size=4))
def test_what_is_written_is_read_again_and_every_text_stands_for_itself(config):
    written = OmegaConf.to_yaml(OmegaConf.create(literal(config)))
    assert parse_run_config(written, "config") == config


@given(st.dictionaries(texts, plain, max_size=4))
def test_omegaconf_reads_the_same_of_a_config_without_interpolations(config):
    written = OmegaConf.to_yaml(OmegaConf.create(literal(config)))
    assert OmegaConf.to_container(OmegaConf.create(written), resolve=True) == parse_run_config(written, "config")


def test_interpolations_in_the_config_of_a_run_are_text(tmp_path, monkeypatch):
    monkeypatch.setenv("PODMETA_SECRET", "hunter2")
    path = tmp_path / "config.yaml"
    written = job_to_yaml(compose_job([]))
    written = written.replace("experiment_name: unnamed", f"experiment_name: {SECRET}")
    written = written.replace("wandb_project: podmeta", "wandb_project: ${seed}")
    path.write_text(written, encoding="utf-8")
    job = job_from_yaml(path, [])
    assert "${" in job.experiment_name + job.logging.wandb_project
    assert "hunter2" not in repr(job) + job_to_yaml(job)


def test_interpolations_in_the_description_of_a_setting_are_text(tmp_path, monkeypatch):
    monkeypatch.setenv("PODMETA_SECRET", "hunter2")
    job = compose_job([])
    described = {"environment": "factory", "factory": SECRET, "lifetime_length": 5}
    job = dataclasses.replace(job, evaluation=dataclasses.replace(job.evaluation, settings=[described]))
    path = tmp_path / "config.yaml"
    path.write_text(job_to_yaml(job).replace("\\${", "${"), encoding="utf-8")
    [setting] = evaluation_settings(job_from_yaml(path, []))
    assert setting.environment.factory == SECRET


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (BOMB, "it has an alias"),
        ("a: &a [*a]", "it has an alias"),
        ("a: " + "[" * 60 + "]" * 60, "nested too deeply"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: !!binary aaaa", "bytes"),
        ("a: !!set {b}", "set"),
        ("a: 1\na: 2", "twice"),
        ("1: a", "not text"),
        ("~: a", "not text"),
        ("a: 99999999999999999999", "too large"),
        ("a: " + "9" * 5000, "not the config"),
        ("a: !!int x", "not the config"),
        (b"\xff", "not the config"),
        ("", "not a mapping"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_at_once_in_one_line(content, part):
    began = time.process_time()  # other processes may take the processor meanwhile
    with pytest.raises(InputError, match=part) as raised:
        parse_run_config(content, "runs/a/config.yaml")
    assert time.process_time() - began < 10
    assert str(raised.value).startswith("runs/a/config.yaml") and "\n" not in str(raised.value)


@pytest.mark.parametrize("odd", ["[{x: null}]", "[[1]]", "{}", "x", "null"])
def test_a_list_of_numbers_holds_numbers(tmp_path, odd):
    written = job_to_yaml(compose_job([]))
    changed = written.replace("instance_noise_stds: []", f"instance_noise_stds: {odd}")
    assert changed != written
    (tmp_path / "config.yaml").write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match=r"architecture\.instance_noise_stds"):
        job_from_yaml(tmp_path / "config.yaml", [])


def test_a_config_of_megabytes_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: " + "x" * 2**20, encoding="utf-8")
    with pytest.raises(InputError, match="bytes, more than"):
        job_from_yaml(tmp_path / "config.yaml", [])
