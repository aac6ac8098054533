"""The documentation's code runs as it stands, its commands name what exists, and its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from podmeta.config.compose import compose_job
from podmeta.config.sweeps import expand_sweep

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
GENERATED = {"config_keys.md"}  # by docs/hooks.py


def anchor(heading: str) -> str:
    """What a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "README.md", REPOSITORY / "launch" / "README.md"], ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, fragment = target.partition("#")
        linked = page if path == "" else page.parent / path
        assert linked.exists() or path in GENERATED, f"{page.name} links to {target}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), flags=re.MULTILINE)
            assert fragment in map(anchor, headings), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_navigation(page):
    assert f": {page.name}\n" in (REPOSITORY / "mkdocs.yml").read_text()


def test_train_commands_compose():
    commands = [
        command
        for page in PAGES
        for command in re.findall(r"^    podmeta train (.+=.+)$", page.read_text(), flags=re.MULTILINE)
    ]
    assert len(commands) >= 8
    for command in commands:
        overrides = [override for override in shlex.split(command) if override != "--multirun"]
        for job in expand_sweep(overrides) if "--multirun" in command else [overrides]:
            compose_job(job)


@pytest.fixture
def run_page(tmp_path):
    """Runs all Python of a page as one program, from a fresh process; returns what it printed."""

    def run(name):
        text = (REPOSITORY / "docs" / name).read_text()
        script = tmp_path / "page.py"
        script.write_text("\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)))
        finished = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def test_an_environment_a_learner_and_an_outer_loop_of_ones_own_train(run_page):
    printed = run_page("extending.md")
    averages = [float(average) for average in re.findall(r": (\d\.\d+) on average", printed)]
    assert len(averages) == 2
    assert min(averages) > 0.4


def test_the_code_of_getting_started_runs(run_page):
    run_page("getting_started.md")
