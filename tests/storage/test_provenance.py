import json
import platform
import subprocess

import numpy as np

from podmeta.storage.json_files import encode
from podmeta.storage.provenance import GitState, describe_provenance, git_state


def test_it_names_versions_devices_and_the_flags_of_xla(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    provenance = json.loads(json.dumps(encode(describe_provenance(["cpu:0", "cpu:1"]))))
    assert provenance["python"] == platform.python_version()
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["devices"] == ["cpu:0", "cpu:1"]
    assert provenance["variables"]["XLA_FLAGS"] == "--xla_force_host_platform_device_count=3"
    assert {"jax", "optax", "orbax-checkpoint", "dm-haiku"} <= provenance["packages"].keys()


def test_git_state_follows_the_checkout(tmp_path):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, encoding="utf-8"
        ).stdout.strip()

    assert git_state(tmp_path) is None
    git("init")
    assert git_state(tmp_path) is None  # no commit yet
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("1", encoding="utf-8")
    git("add", ".")
    git("commit", "-m", "first")
    assert git_state(package) == GitState(git("rev-parse", "HEAD"), dirty=False)
    (tmp_path / "outside").write_text("another folder's change", encoding="utf-8")
    assert git_state(package).dirty is False
    (package / "new.py").write_text("2", encoding="utf-8")
    assert git_state(package).dirty is True
