"""Any path that the file system takes works on a command line, and what is printed can be pasted."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job, job_from_yaml, job_to_yaml
from podmeta.config.paths import PATH_KEYS, check_local, path_override, split_paths, to_paste
from podmeta.config.schema import DevicesConfig, DistributedConfig
from podmeta.config.sweeps import expand_sweep
from podmeta.errors import InputError
from podmeta.sweep import plan_sweep

AWKWARD = [
    "a b",
    "p(1)=x#&'ü\"",
    "[/red]",
    "{a: 1}",
    "a,b",
    "${seed}",
    r"\${oc.env:HOME}",
    "'quoted'",
    '"',
    "$HOME",
    "~",
]

paths = st.sampled_from(AWKWARD) | st.text(st.sampled_from("ab(=)#& '\"ü,[]{}$\\:~%!"), min_size=1, max_size=8)


@given(paths)
def test_every_path_key_takes_any_path(path):
    overrides = [path_override(key, path) for key in PATH_KEYS]
    rest, found = split_paths(["seed=1", *overrides])
    assert rest == ["seed=1"]
    assert {value.removeprefix("./") for value in found.values()} == {path.removeprefix("./")}


@given(path=paths)
def test_a_config_keeps_any_path(path, tmp_path_factory):
    job = dataclasses.replace(compose_job(["devices.cpu=0"]), run_dir=path, init_from=path)
    file = tmp_path_factory.mktemp("run") / "config.yaml"
    file.write_text(job_to_yaml(job), encoding="utf-8")
    assert job_from_yaml(file, []) == job


@given(paths)
def test_what_is_printed_reaches_the_command_through_a_shell(path):
    script = "import sys; sys.stdout.buffer.write(sys.argv[1].encode())"
    line = f'"{sys.executable}" -c "{script}" {to_paste("run_dir", path)}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == path_override("run_dir", path)


@pytest.mark.parametrize("path", AWKWARD)
def test_a_job_is_composed_with_it(path):
    job = compose_job(["experiment=bandit", path_override("run_dir", path), path_override("init_from", path)])
    assert {job.run_dir.removeprefix("./"), job.init_from.removeprefix("./")} == {path}


@pytest.mark.parametrize(
    ("written", "meant"), [("'a b'", "a b"), ('"a,b"', "a,b"), (r"'a\'b'", "a'b"), ("'a'b'", "'a'b'")]
)
def test_quotes_written_for_hydra_are_taken_off(written, meant):
    assert compose_job([f"run_dir={written}"]).run_dir == meant


@pytest.mark.parametrize("address", ["gs://bucket/run", "s3://bucket", "file:///tmp/x"])
@pytest.mark.parametrize("key", [key for key in PATH_KEYS if key != "run_dir"])
def test_an_address_is_refused_with_the_cure(key, address):
    with pytest.raises(InputError, match=f"{key}={address} is a URL.*mount it"):
        compose_job([f"{key}={address}"])


@pytest.mark.parametrize("address", ["gs://bucket/run", "s3://bucket"])
def test_a_run_may_be_in_an_object_store(address):
    assert compose_job([path_override("run_dir", address)]).run_dir == address
    with pytest.raises(InputError, match=f"run_dir={address} is a URL.*mount it"):
        plan_sweep([path_override("run_dir", address), "seed=0,1"])


@pytest.mark.parametrize("address", ["file:///tmp/x", "https://host/run"])
def test_a_run_may_be_at_no_other_address(address):
    with pytest.raises(InputError, match=f"run_dir={address} is a URL.*mount it"):
        compose_job([path_override("run_dir", address)])


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(InputError, match=r"run_dir=a\? is not UTF-8"):
        check_local("run_dir", "a\udcff")


def test_a_sweep_keeps_the_folder_and_may_sweep_over_sources():
    jobs = expand_sweep(["run_dir=a,b(c)", "init_from=x,y", "seed=1"])
    assert jobs == [["run_dir=a,b(c)", f"init_from={source}", "seed=1"] for source in "xy"]
    assert expand_sweep(["init_from=a(b)=c", "seed=1,2"])[0] == ["init_from=a(b)=c", "seed=1"]


def saved(tmp_path, overrides):
    (tmp_path / "config.yaml").write_text(job_to_yaml(compose_job(overrides)), encoding="utf-8")
    return tmp_path / "config.yaml"


def test_a_run_tells_no_other_command_about_its_machine(tmp_path):
    together = [
        "distributed.coordinator_address=127.0.0.1:1",
        "distributed.num_processes=2",
        "distributed.process_id=0",
    ]
    machine = [*together, "devices.cpu=3", "compilation_cache_dir=elsewhere"]
    job = job_from_yaml(saved(tmp_path, ["experiment=bandit", *machine]), [])
    assert (job.distributed, job.devices) == (DistributedConfig(), DevicesConfig())
    assert job.compilation_cache_dir == "auto"


@pytest.mark.parametrize("word", ["off", "on"])
def test_words_are_words_in_every_command(tmp_path, word):
    overrides = [f"compilation_cache_dir={word}", f"distributed.enabled={word}"]
    for job in (compose_job(overrides), job_from_yaml(saved(tmp_path, ["experiment=bandit"]), overrides)):
        assert (job.compilation_cache_dir, job.distributed.enabled) == (word, word)


def test_lists_and_open_keys_can_be_changed_in_a_run_too(tmp_path):
    path = saved(tmp_path, ["experiment=bandit", "outer.optimiser_arguments={b1: 0.8}"])
    changes = ["evaluation.settings=[{num_arms: 7}, {}]", "outer.optimiser_arguments={b2: 0.9}"]
    job = job_from_yaml(path, changes)
    assert job.evaluation.settings == [{"num_arms": 7}, {}]
    assert job.outer.optimiser_arguments == {"b1": 0.8, "b2": 0.9}


@pytest.mark.parametrize(
    ("override", "message"),
    [("evaluation.num_tasks=4,8", "gives several values"), ("~evaluation.num_tasks", "deletes a key")],
)
def test_what_does_not_set_one_value_is_refused(tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        job_from_yaml(saved(tmp_path, ["experiment=bandit"]), [override])
