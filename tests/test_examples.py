"""The examples run as they stand, in a folder of the user's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def code_of(notebook: Path) -> str:
    """The code of all cells of a notebook, in their order."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return "\n".join("".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code")


def run(folder: Path, *arguments: str) -> str:
    """Runs Python in a folder; returns what it printed."""
    variables = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, encoding="utf-8", timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_of_examples_names_them_all():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) == 4
    for path in (*NOTEBOOKS, *EXAMPLES.glob("*.py")):
        assert f"]({path.name})" in page


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook):
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    identifiers = [cell["id"] for cell in content["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, tmp_path):
    if "gymnasium" in notebook.stem:
        pytest.importorskip("gymnasium")
    printed = run(tmp_path, "-c", code_of(notebook))
    assert printed.strip()


@pytest.mark.long
def test_the_scripts_train_on_two_devices_and_read_the_run(tmp_path):
    pytest.importorskip("pandas")
    assert "2 devices" in (printed := run(tmp_path, str(EXAMPLES / "many_devices.py"), "2")), printed
    trained = tmp_path / "runs" / "on_2_devices"
    evaluate = ["-m", "podmeta", "evaluate", str(trained), "evaluation.num_tasks=4", "evaluation.settings=[{}]"]
    run(tmp_path, *evaluate)
    printed = run(tmp_path, str(EXAMPLES / "read_run.py"), str(trained))
    assert "fitness_mean" in printed and "thompson" in printed
