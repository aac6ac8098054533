"""launch/Dockerfile without Docker: what it copies, as whom it ends, and what it asks pip for."""

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "launch" / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", TEXT)).splitlines()
    if line.strip()
]


def arguments_of(name):
    return [words for instruction, words in INSTRUCTIONS if instruction == name]


def test_it_builds_on_a_version_and_ends_as_a_user():
    assert {name for name, _ in INSTRUCTIONS} <= {
        "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "ENTRYPOINT"
    }  # fmt: skip
    (base,) = [words for words in arguments_of("ARG") if words.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+", base)
    names = [name for name, _ in INSTRUCTIONS]
    assert arguments_of("USER") == ["podmeta"]
    assert "RUN" not in names[names.index("USER") :]
    assert arguments_of("VOLUME") == ["/cache"] and "JAX_COMPILATION_CACHE_DIR=/cache" in arguments_of("ENV")


def test_what_it_copies_is_there():
    sources = [source for words in arguments_of("COPY") for source in words.split()[:-1]]
    assert [source for source in sources if not list(REPOSITORY.glob(source))] == []


@pytest.mark.parametrize(
    ("accelerator", "extras", "installed"),
    [
        ("cuda", "", ".[cuda]"),
        ("tpu", ",envpool", ".[tpu,envpool]"),
        ("cpu", "", "."),
        ("cpu", ",envpool", ".[envpool]"),
        ("rocm", "", None),
    ],
)
def test_it_installs_what_the_accelerator_needs(tmp_path, accelerator, extras, installed):
    (command,) = [words for words in arguments_of("RUN") if "pip install" in words]
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n', encoding="utf-8")
    pip.chmod(0o755)
    variables = {"ACCELERATOR": accelerator, "EXTRAS": extras, "CONSTRAINTS": "constraints.txt"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", command], env=variables | {"PATH": path}, capture_output=True, encoding="utf-8")
    if installed is None:
        assert done.returncode == 2 and "ACCELERATOR=rocm is not one of cuda, tpu and cpu" in done.stderr
    else:
        assert done.stdout.split() == ["install", "--no-cache-dir", "--constraint", "constraints.txt", installed]
