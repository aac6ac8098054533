"""libtpu says nothing where there is no TPU, and is left alone where there may be one."""

import importlib.util
import os
import subprocess
import sys

import pytest

from podmeta.distributed.libtpu import WITHOUT_A_TPU, quieten_libtpu


@pytest.fixture
def nothing_set(monkeypatch):
    for name in (*WITHOUT_A_TPU, "JAX_FORCE_TPU_INIT"):
        monkeypatch.setenv(name, "")  # so that what the test sets is taken back
        monkeypatch.delenv(name)


def test_without_a_tpu_what_libtpu_would_ask_for_is_set_but_never_over_the_users_choice(
    nothing_set, monkeypatch, tmp_path
):
    (tmp_path / "vfio").mkdir()
    (tmp_path / "vfio" / "vfio").touch()  # there on any machine that could hand a device to a guest
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "mine")
    quieten_libtpu(tmp_path)
    assert os.environ["TPU_WORKER_HOSTNAMES"] == "mine"
    assert os.environ["TPU_ACCELERATOR_TYPE"] == WITHOUT_A_TPU["TPU_ACCELERATOR_TYPE"]


@pytest.mark.parametrize("device", ["accel0", "vfio/0", None])
def test_where_there_may_be_a_tpu_nothing_is_set(nothing_set, monkeypatch, tmp_path, device):
    if device is None:
        monkeypatch.setenv("JAX_FORCE_TPU_INIT", "1")
    else:
        (tmp_path / device).parent.mkdir(exist_ok=True)
        (tmp_path / device).touch()
    quieten_libtpu(tmp_path)
    assert not any(name in os.environ for name in WITHOUT_A_TPU)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: podmeta[tpu]")
def test_a_command_on_a_machine_without_a_tpu_says_nothing_about_one():
    program = (
        "from podmeta.cli import main; import jax; main(['list']); print(jax.devices()); "
        "assert '/libtpu.so' in open('/proc/self/maps').read()"
    )
    variables = {name: value for name, value in os.environ.items() if name not in ("JAX_PLATFORMS", *WITHOUT_A_TPU)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
