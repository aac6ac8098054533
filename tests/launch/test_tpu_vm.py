"""The script for TPU VMs: what shellcheck says, and what it asks of gcloud, which a stand-in writes down."""

import os
import shutil
import subprocess

import pytest

from tests.end_to_end.job import REPOSITORY

SCRIPT = REPOSITORY / "launch" / "tpu_vm.sh"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    subprocess.run(["shellcheck", SCRIPT], check=True)


@pytest.fixture
def tpu_vm(tmp_path):
    """Runs the script; returns how it ended, and the calls of gcloud, each a list of arguments."""
    said = tmp_path / "said"
    stand_in = tmp_path / "gcloud"
    stand_in.write_text(
        f"#!/bin/sh\nfor each; do printf '%s\\n' \"$each\"; done >>{said}; echo --- >>{said}\n", encoding="utf-8"
    )
    stand_in.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TPU_NAME": "mine", "TPU_ZONE": "here-1"}

    def run(*arguments, **more):
        done = subprocess.run([SCRIPT, *arguments], env=variables | more, capture_output=True, encoding="utf-8")
        calls = said.read_text(encoding="utf-8").split("---\n")[:-1] if said.exists() else []
        return done, [call.splitlines() for call in calls]

    return run


def test_create_and_delete_name_the_vm(tpu_vm):
    assert tpu_vm("create", TPU_TYPE="v5litepod-16")[0].returncode == 0
    done, (create, delete) = tpu_vm("delete")
    assert done.returncode == 0
    assert create[:5] == ["compute", "tpus", "tpu-vm", "create", "mine"]
    assert {"--accelerator-type=v5litepod-16", "--zone=here-1"} <= set(create)
    assert delete[3:] == ["delete", "mine", "--quiet", "--zone=here-1"]


@pytest.mark.parametrize("override", ["evaluation.settings=[{num_arms: 2}]", 'run_dir=it\'s a "b" & $HOME (c) ü'])
def test_run_reaches_all_workers_with_every_override_as_it_was_written(tpu_vm, override):
    done, (call,) = tpu_vm("run", "experiment=bandit", override)
    assert done.returncode == 0 and "--worker=all" in call
    (command,) = [each.removeprefix("--command=") for each in call if each.startswith("--command=")]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command.partition(' ')[2]}"], capture_output=True, encoding="utf-8"
    ).stdout.splitlines()
    assert words == ["train", "experiment=bandit", override, "distributed.enabled=on"]


def test_what_is_missing_is_named(tpu_vm):
    assert "TPU_TYPE" in tpu_vm("create")[0].stderr
    done, calls = tpu_vm("destroy")
    assert done.returncode == 2 and "TPU_NAME=" in done.stderr and not calls
