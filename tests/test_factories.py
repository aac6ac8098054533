"""Importing modules of the user's own, which may lie in the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from podmeta.errors import InputError
from podmeta.factories import Factory, import_own_module

PROGRAM = """
import sys
from podmeta.factories import import_own_module
before = list(sys.path)
print(import_own_module("{module}").__file__)
import_own_module("{module}")
assert sys.path == [*before, {folder!r}], sys.path
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules in it; one is called as a package that is installed."""
    for name in ("mine", "dm_env"):
        (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return tmp_path


def imported_from(module: str, folder: Path) -> Path:
    """Where a process in the folder imports a module from, whose import path does not hold the folder at first."""
    program = PROGRAM.format(module=module, folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_a_module_of_the_current_folder_is_found_and_the_folder_comes_last(folder):
    assert imported_from("mine", folder) == folder / "mine.py"


def test_an_installed_package_comes_first(folder):
    assert not imported_from("dm_env", folder).is_relative_to(folder)


def test_a_module_that_is_nowhere_cannot_be_imported(folder):
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_own_module("no_such_module")
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize("section", ["learner", "environment", "outer"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("parts:number", "=parts:number is of type int, which cannot be called"),
        ("parts:os", "=parts:os is of type module, which cannot be called"),
        ("parts:absent", "=parts:absent: parts has no absent"),
        ("parts", "='parts' names no function: write it as my_module:make"),
        (":number", "=':number' names no function: write it as my_module:make"),
    ],
)
def test_what_cannot_be_called_is_refused_in_one_line(folder, section, name, said):
    (folder / "parts.py").write_text("import os\nnumber = 3\n", encoding="utf-8")
    with pytest.raises(InputError) as raised:
        Factory(section, name, {})
    sys.modules.pop("parts", None)
    assert str(raised.value) == f"{section}.factory{said}"
