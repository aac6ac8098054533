"""What stands for another machine does change what it says it changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from podmeta.storage.pretrained import list_pretrained, load_pretrained, pretrained_directory
from tests.portable import python_of, reseed, shift_pretrained

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("name", list_pretrained())
def test_a_shifted_theta_is_a_whole_one_and_differs_everywhere_by_the_shift(name, tmp_path):
    for suffix in (".npz", ".json"):
        shutil.copy(pretrained_directory() / f"{name}{suffix}", tmp_path)
    shift_pretrained(tmp_path, 1e-3)
    before, after = load_pretrained(name), load_pretrained(str(tmp_path / f"{name}.npz"))
    assert before.card.meta_params_sha256 != after.card.meta_params_sha256
    for path, array in before.arrays.items():
        np.testing.assert_allclose(np.abs(after.arrays[path] - array), 1e-3 * np.abs(array), rtol=1e-2)


def test_every_seed_of_a_document_changes():
    program = "a(seed=0)\nb = {seed: 3}\nInstanceSettings(jnp.uint32(0))\njax.random.key(12)\nrows = range(5)"
    assert reseed(program, 2) == (
        "a(seed=2)\nb = {seed: 5}\nInstanceSettings(jnp.uint32(2))\njax.random.key(14)\nrows = range(5)"
    )
    with pytest.raises(AssertionError):
        reseed("rows = range(5)", 2)


@pytest.mark.parametrize("document", ["README.md", "docs/extending.md", "docs/getting_started.md"])
def test_every_executed_document_has_seeds_to_change(document):
    program = python_of(REPOSITORY / document)
    assert reseed(program, 1) != program


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's sched_setaffinity")
def test_one_core_is_kept_to_by_what_is_started_too():
    program = (
        "import subprocess, sys; from tests.portable import keep_to_one_core; keep_to_one_core(3); "
        "subprocess.run([sys.executable, '-c', 'import os; print(len(os.sched_getaffinity(0)))'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "1\n"
