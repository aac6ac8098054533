"""The documentation's code runs as it stands, its commands name what exists, and its links lead somewhere."""

import inspect
import pkgutil
import re
import shlex
import tomllib
from pathlib import Path
from types import FunctionType

import pytest

import podmeta
from podmeta.config.compose import compose_job
from podmeta.config.schema import SymmetricConfig
from podmeta.config.sweeps import expand_sweep, search_space

REPOSITORY = Path(__file__).parents[1]
GENERATED = {"config_keys.md"}  # by `make docs`
PAGES = sorted(page for page in (REPOSITORY / "docs").glob("*.md") if page.name not in GENERATED)


def anchor(heading: str) -> str:
    """What a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "README.md", REPOSITORY / "launch" / "README.md"], ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, fragment = target.partition("#")
        linked = page if path == "" else page.parent / path
        assert linked.exists() or path in GENERATED, f"{page.name} links to {target}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert fragment in map(anchor, headings), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_navigation(page):
    site = tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))
    assert page.name in {target for entry in site["project"]["nav"] for target in entry.values()}


API = re.findall(r"^::: (\S+)$", (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_api_page_has_every_public_name():
    assert {f"podmeta.{name}" for name in podmeta.__all__} - {"podmeta.__version__"} <= set(API)


@pytest.mark.parametrize("name", API)
def test_what_the_api_page_has_is_documented_and_typed(name):
    """Every field and argument has a type, and is named in the docstring of its function or class."""
    found = pkgutil.resolve_name(name)
    about = inspect.getdoc(found) or ""
    assert about
    functions = {name: found}
    if inspect.isclass(found):
        assert [field for field in inspect.get_annotations(found) if field[0] != "_" and field not in about] == []
        functions = {
            attribute: getattr(value, "__func__", getattr(value, "fget", value))
            for attribute, value in vars(found).items()
            if not attribute.startswith("_") and isinstance(value, FunctionType | classmethod | staticmethod | property)
        }
    for own_name, function in functions.items():
        text = inspect.getdoc(function) or ""
        assert text, own_name
        arguments = inspect.signature(function).parameters.keys() - {"self", "cls"}
        assert function.__annotations__.keys() >= {*arguments, "return"}, own_name
        assert [argument for argument in arguments if argument not in text + about] == [], own_name
        raises = re.search(r"^ +raise \w", inspect.getsource(function), flags=re.MULTILINE)
        assert raises is None or "Raises:" in text, own_name


@pytest.mark.long
def test_train_commands_compose():
    commands = [
        command
        for page in PAGES
        for command in re.findall(r"^    podmeta train (.+=.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert len(commands) >= 8
    for command in commands:
        overrides = [word for word in shlex.split(command) if "=" in word]
        if "--trials" in command:
            jobs = search_space(overrides).extremes()
        else:
            jobs = expand_sweep(overrides) if "--multirun" in command else [overrides]
        for job in jobs:
            compose_job(job)


@pytest.mark.long
def test_an_environment_a_learner_and_an_outer_loop_of_ones_own_train(run_document):
    printed = run_document(REPOSITORY / "docs" / "extending.md")
    averages = [float(average) for average in re.findall(r": (\d\.\d+) on average", printed)]
    assert len(averages) == 2
    assert min(averages) > 0.4


@pytest.mark.long
def test_the_code_of_getting_started_runs(run_document):
    run_document(REPOSITORY / "docs" / "getting_started.md")


def test_defaults_that_documents_state_are_those_of_the_schema():
    """The benchmarks say what `learner=symmetric` sets and what the exact function is called."""
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "The preset `learner=symmetric` sets `activation: rational`" in page
    assert compose_job(["experiment=bandit"]).learner.activation == "rational"
    assert SymmetricConfig().activation == "tanh"


def test_only_the_registry_tells_outer_loops_apart():
    """As docs/extending.md says, one registration is all that a new outer loop takes."""
    asks = re.compile(r"isinstance\([^)]*(?:EvolutionConfig|ActorCriticConfig|Evolution\b|ActorCritic\b)")
    for path in sorted((REPOSITORY / "podmeta").rglob("*.py")):
        assert not asks.search(path.read_text(encoding="utf-8")), path
