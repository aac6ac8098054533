"""What another machine amounts to: a shifted θ, other seeds in the documents, one core. And the messages of errors.

tests/conftest.py reads the environment variables that ask for these, and says which there are.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

# LLVM takes longer to optimise most programs of the tests than they take to run, and XLA's new emitters longer than its
# old ones: so a program compiles in a fifth of the time. `make test-portable` runs the new ones.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if version("jaxlib").startswith("0.10."):  # later ones have the new emitters alone
    QUICK_TO_COMPILE += " --xla_cpu_use_fusion_emitters=false"

SEEDS = re.compile(r"(\bseed=|\bseed: |\brandom\.key\(|\buint32\(|\bdefault_rng\()(\d+)\b")


def python_of(document: Path) -> str:
    """All Python of a Markdown file, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL))


def reseed(program: str, offset: int) -> str:
    """The Python of a document with `offset` added to each of its seeds, of which there must be one."""
    changed, number = SEEDS.subn(lambda match: f"{match[1]}{int(match[2]) + offset}", program)
    assert number > 0, "the program has no seed that tests/portable.py knows"
    return changed


def keep_to_one_core(worker: int) -> None:
    """Keeps this process, and those that it starts, to one core: worker 0 of pytest-xdist to the first, and so on."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[worker % len(cores)]})


def shift_pretrained(folder: Path, shift: float) -> None:
    """Multiplies every parameter of the learned algorithms in a folder by 1 + shift or 1 - shift; the cards follow."""
    from podmeta.storage.checkpoints import meta_params_sha256

    for path in folder.glob("*.npz"):
        with np.load(path) as stored:
            arrays = dict(stored)
        signs = np.random.default_rng(0)
        for name, array in arrays.items():
            factors = 1 + shift * signs.choice([-1, 1], array.shape)
            arrays[name] = (array * factors).astype(array.dtype)
        np.savez(path, **arrays)
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        card["meta_params_sha256"] = meta_params_sha256(arrays)
        card["file_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_suffix(".json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def copy_repository(repository: Path, copy: Path) -> None:
    """Copies what git knows of a checkout, or would."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=repository, check=True, capture_output=True, encoding="utf-8").stdout.split("\0")
    for name in filter(None, names):
        if (repository / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, copy / name)


def run_pytest_in(copy: Path, arguments: Sequence[str]) -> int:
    """Runs the tests of a copy of the checkout, which imports podmeta from the copy in every process."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}).returncode


def keep_messages(path: Path) -> None:
    """Has every error about the user's input that this process raises append its message to a file, as a line."""
    from podmeta.errors import InputError

    def note(error: InputError, *arguments: object) -> None:
        Exception.__init__(error, *arguments)
        with path.open("a", encoding="utf-8") as file:
            file.write(str(error).replace("\n", "\\n") + "\n")

    InputError.__init__ = note
