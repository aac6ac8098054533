"""What is wrong with the value of a key, in podmeta's words: the key, the value, what is allowed, and the cure."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigIndexError,
    GrammarParseError,
    InterpolationResolutionError,
    KeyValidationError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from podmeta.config.schema import section_of
from podmeta.value_types import Json

Field = dataclasses.Field[Any]

_INTERPOLATION = (InterpolationResolutionError, UnsupportedInterpolationType, GrammarParseError)
_LONGEST = 80
"""Characters of a value that a message shows."""

_KINDS: dict[Any, tuple[str, str, str]] = {
    int: ("a whole number", "whole numbers", "1"),
    float: ("a number", "numbers", "0.5"),
    bool: ("true or false", "true or false", "true"),
    str: ("text", "words", "a_word"),
}
"""By type: one in words, several in words, and an example."""


def explain_value(
    error: OmegaConfBaseException, fields: Mapping[str, Field], prefix: str, written: tuple[str, str] | None
) -> str:
    """Why a key does not take a value, in a sentence or two.

    Args:
      error: what OmegaConf raised about it.
      fields: the keys there are.
      prefix: what the user writes before a key.
      written: the key and the value that the user wrote, if they are known.
    """
    key = str(error.full_key)
    field = fields.get(_without_index(key))
    name, value = prefix + key, "…" if error.value is None else shown(error.value)
    if written is not None:
        if written[0].startswith(f"{key}.") and not isinstance(error, ConfigIndexError):
            return f"unknown config key {written[0]!r}: {key} holds {_allowed(field, key)} and has no keys of its own"
        name, value = (name, written[1]) if written[0] == key else (name, value)
    if isinstance(error, ConfigIndexError):
        whole = _without_index(name)
        return f"{whole} has no such element, and a list is set as a whole. {_cure(field, whole, '=')}"
    if isinstance(error, KeyValidationError):
        return f"{name}: {shown(error.key)} is not text, as keys must be: put quotes around it"
    cure = _cure(field, key.rpartition(".")[2], ": ") if prefix else _cure(field, name, "=")
    if isinstance(error, _INTERPOLATION):
        value = shown(written[1]) if written is not None else _unresolved(error)
        return f"{name}={value} refers to a value that does not exist or does not fit. {cure}"
    if isinstance(error, MissingMandatoryValue):
        return f"{name}=??? leaves the value open. {cure}, or leave the key out to get its default"
    if "is not Optional" in str(error) or "NoneType" in str(error):  # OmegaConf's words for null
        return f"{name}=null is no value: {key} needs {_allowed(field, key)}. {cure}, or leave the key out"
    return f"{name}={value} is not {_allowed(field, key)}. {cure}"


def shown(value: Any) -> str:
    """A value as a user writes it, cut where it is long."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if not isinstance(value, str):
        try:
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        except yaml.YAMLError:  # Hydra has types of its own for what it has read
            text = str(value)
        value = text.strip().removesuffix("...").strip()
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def in_words(kind: Any) -> str:
    """What a key of a type holds."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return in_words(next(each for each in arguments if each is not type(None)))
    if origin is list:
        return f"a list of {_KINDS[arguments[0]][1]}" if arguments[0] in _KINDS else "a list"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "a mapping of keys to values"
    return _KINDS[kind][0] if kind in _KINDS else "such a value"


def _allowed(field: Field | None, key: str) -> str:
    """What a key may hold; an element of it, where the key names one."""
    if field is None:
        return "a value that fits"
    if field.metadata.get("choices"):
        return f"one of {', '.join(field.metadata['choices'])}"
    if key.endswith("]"):
        return in_words(typing.get_args(field.type)[0])
    return in_words(field.type)


def _cure(field: Field | None, name: str, sign: str) -> str:
    """How to write a value of a key; of the list, where the name is that of an element."""
    if field is None:
        return "Write the value itself"
    section = section_of(field)
    if section is not None:
        inner = dataclasses.fields(section)[0]
        return f"Set its keys one by one, as in {name}.{inner.name}={shown(_default(inner))}"
    return f"Write it as in {_without_index(name)}{sign}{shown(_fitting(field))}"


def _fitting(field: Field) -> Json:
    """A value that a key can have: its default, unless that is empty or stands for something else."""
    default = _default(field)
    minimum = field.metadata.get("minimum")
    if isinstance(default, int) and not isinstance(default, bool) and default < 1 and minimum != 0:
        return max(1, minimum or 1)
    if default not in ("", [], None, {}):
        return default
    arguments, origin = typing.get_args(field.type), typing.get_origin(field.type)
    element = next((words[2] for kind, words in _KINDS.items() if kind in (field.type, *arguments)), "…")
    if origin is dict:
        return "{name: value}"
    return f"[{element}]" if origin is list else element


def _without_index(key: str) -> str:
    return re.sub(r"\[\d+\]$", "", key)


def _default(field: Field) -> Json:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if callable(field.default_factory) else None


def _unresolved(error: OmegaConfBaseException) -> str:
    """The text of the interpolation that an error is about."""
    try:
        return shown(OmegaConf.to_container(error.parent_node, resolve=False)[error.key])  # type: ignore[index]
    except Exception:  # it is only for show
        return "${…}"
