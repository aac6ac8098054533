"""The sdist and the wheel made of it have all that the package needs, and work without the repository.

Recommended extras exist.
"""

import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import podmeta
from tests.end_to_end.job import REPOSITORY, TINY, Command


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from a copy, for building leaves its traces."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("podmeta", "configs"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    build = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as package indexes and their users do."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(sdist)], check=True)
    (built,) = folder.iterdir()
    return built


@pytest.mark.long
def test_the_wheel_has_every_module_preset_and_learned_algorithm_the_licence_and_the_types(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "podmeta").rglob("*.py")}
    presets = {
        f"podmeta/{path.relative_to(REPOSITORY).as_posix()}" for path in (REPOSITORY / "configs").rglob("*.yaml")
    }
    pretrained = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "podmeta/pretrained").glob("*")}
    others = {"podmeta/py.typed", "podmeta/checks/reference.json"}
    assert modules | presets | pretrained | others <= inside
    assert any(name.endswith("/LICENSE") for name in inside)


def test_the_wheel_describes_itself_by_the_version_of_the_package_and_links_that_lead_somewhere(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        description = archive.read(metadata).decode()
    assert f"\nVersion: {podmeta.__version__}\n" in description
    assert "\nDescription-Content-Type: text/markdown\n" in description
    assert "podmeta meta-trains *learning algorithms*" in description
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert targets
    assert all(target.startswith("https://") for target in targets)


def test_links_of_the_readme_lead_to_where_the_repository_is_published():
    text = "![A picture](docs/a.png)\n\nSee [this](docs/a.md#b), [that](https://example.org/) and [those](#below).\n"
    shown = runpy.run_path(str(REPOSITORY / "setup.py"))["readme_for_index"]
    assert shown(text, "") == "See this, [that](https://example.org/) and [those](#below).\n"
    assert shown(text, "https://example.org/files/") == (
        "![A picture](https://example.org/files/docs/a.png)\n\nSee [this](https://example.org/files/docs/a.md#b), "
        "[that](https://example.org/) and [those](#below).\n"
    )


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == podmeta.__version__


@pytest.mark.long
def test_an_installed_podmeta_trains_without_the_repository(wheel, variables, tmp_path):
    """In a virtual environment that has podmeta from the wheel, and what it needs from this one; XLA is as it comes."""
    fresh = tmp_path / "fresh"
    venv.create(fresh)
    bin_folder = fresh / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(bin_folder / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    (site_packages,) = fresh.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    without_repository = {name: value for name, value in variables.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
    installed = Command(without_repository, tmp_path, [str(bin_folder / "podmeta")])
    assert re.search(r"^  bandit ", installed.succeeds("train", "--help"), re.MULTILINE)
    installed.succeeds("train", *TINY, "num_updates=4", "evaluation.enabled=false", "run_dir=run")
    assert (tmp_path / "run" / "summary.json").exists()
    imported = [str(bin_folder / "python"), "-c", "import podmeta; print(podmeta.__file__)"]
    where = subprocess.run(
        imported, cwd=tmp_path, env=without_repository, capture_output=True, encoding="utf-8", check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(fresh)


def test_every_extra_that_podmeta_or_its_documents_name_exists_under_a_name_that_every_pip_finds():
    """pip 23, which comes with Python 3.11, finds no extra whose name has an underscore."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in extras)
    named: set[str] = set()
    for folder in ("podmeta", "configs", "docs", "launch", "README.md", "pyproject.toml", "Makefile"):
        for path in (REPOSITORY / folder, *(REPOSITORY / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".sh", ".yaml", ".toml", "") and path.is_file():
                text = path.read_text(encoding="utf-8")
                for together in re.findall(r"(?:podmeta|'\.)\[([\w,-]+)\]|\(extra: ([\w-]+)\)", text):
                    named |= {name for names in together for name in names.split(",") if name}
    assert {"tpu", "plan-cuda", "xland", "dm-control", "wandb"} <= named
    assert named <= set(extras)
