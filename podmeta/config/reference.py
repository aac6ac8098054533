"""The page of all config keys in the documentation, in Markdown, generated from the schema."""

import dataclasses
import html
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from podmeta.config.presets import list_options
from podmeta.config.schema import GROUPS, EnvironmentConfig, JobConfig, MixtureEntryConfig, StageConfig, section_of

_INTRODUCTION = """# Config keys

Set a key on the command line with `key=value`, as in `podmeta train experiment=bandit outer.learning_rate=0.01`. Keys
that are not set there take their values from the experiment, then the preset of their group, then the defaults below.
Unknown keys and invalid values are rejected before the job starts.
"""


def config_reference() -> str:
    """The page: the keys of a job, of the members of every group, and of what lists hold."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield from _section("Job", "", _fields(JobConfig))
    for field in _fields(JobConfig):
        if section_of(field):
            yield from _section(f"Job: {field.name}", _summary(field.type), _fields(field.type), f"{field.name}.")
    for group, members in GROUPS.items():
        yield f"## {group.capitalize()}\n"
        yield f"Presets: {', '.join(f'`{group}={name}`' for name in list_options(group))}.\n"
        shared: list[dataclasses.Field[Any]] = []
        if group == "environment":
            shared = _fields(EnvironmentConfig)
            yield from _section("Every environment", _summary(EnvironmentConfig), shared, "environment.", level=3)
        for name, schema in members.items():
            own = [field for field in _fields(schema) if field.name != "name" and field not in shared]
            summary = f"`{group}.name={name}`. {_summary(schema)}"
            yield from _section(name, summary, own, f"{group}.", level=3)
    yield "## In lists\n"
    yield from _section("An entry of `environment.entries`", _summary(MixtureEntryConfig), _fields(MixtureEntryConfig))
    yield from _section("An entry of `stages`", _summary(StageConfig), _fields(StageConfig))


def _section(
    title: str, summary: str, fields: list[dataclasses.Field[Any]], prefix: str = "", level: int = 2
) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if summary:
        yield f"{summary}\n"
    for field in fields:
        if section_of(field) and not prefix:
            continue  # has a section of its own
        if section_of(field):
            for inner in _fields(field.type):
                yield from _entry(f"{prefix}{field.name}.{inner.name}", inner)
        else:
            yield from _entry(f"{prefix}{field.name}", field)


def _entry(key: str, field: dataclasses.Field[Any]) -> Iterator[str]:
    facts = "; ".join(_facts(field))
    yield f"`{key}`{' — ' if facts else ''}{facts}\n:   {_plain(field.metadata['help'])}\n"


def _facts(field: dataclasses.Field[Any]) -> Iterator[str]:
    """The default and the values allowed."""
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if default != "???":  # chosen by the group
        yield (
            f"default `{default if isinstance(default, str) else json.dumps(default)}`" if default != "" else "not set"
        )
    allowed = field.metadata
    if allowed["choices"]:
        yield "one of " + ", ".join(f"`{choice}`" for choice in allowed["choices"])
    if allowed["minimum"] is not None:
        yield f"at least {allowed['minimum']:g}"
    if allowed["above"] is not None:
        yield f"above {allowed['above']:g}"
    if allowed["maximum"] is not None:
        yield f"at most {allowed['maximum']:.10g}"


def _fields(schema: Any) -> list[dataclasses.Field[Any]]:
    return list(dataclasses.fields(schema))


def _summary(schema: Any) -> str:
    return _plain(inspect.getdoc(schema) or "")


def _plain(text: str) -> str:
    """The text as it stands, of which Markdown shall read nothing but backticks."""
    return re.sub(r"([\\*_{}\[\]])", r"\\\1", html.escape(text, quote=False))
