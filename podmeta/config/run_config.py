"""Reads the `config.yaml` of a run as plain values. It may be damaged, or somebody else's, so nothing is interpolated.

OmegaConf would look up `${oc.env:HOME}`, and YAML would copy what an alias names. Here the first is text, and the
second is refused.
"""

import dataclasses
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from podmeta.data_files import read_data
from podmeta.errors import InputError
from podmeta.value_types import Json

_MAX_BYTES = 2**20
_MAX_DEPTH = 50
_LARGEST_INTEGER = 2**63 - 1


def read_run_config(path: Path) -> dict[str, Json]:
    """The config that a run directory's `config.yaml` holds: dictionaries, lists, texts, numbers, booleans and None.

    Raises:
      InputError: the file cannot be read, or is not a YAML mapping of such values.
    """
    return parse_run_config(read_config_file(path), str(path))


def read_config_file(path: Path) -> bytes:
    """The content of a run directory's `config.yaml`.

    Raises:
      InputError: the file cannot be read.
    """
    try:
        return read_data(path, _MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: {problem}. Name the directory of a run, which holds that file") from error


def parse_run_config(content: bytes | str, source: str) -> dict[str, Json]:
    """The same of text.

    Args:
      content: the text.
      source: where it comes from, for messages.

    Raises:
      InputError: it is not a YAML mapping of plain values.
    """
    try:
        value = _plain(yaml.load(content, _Loader), _MAX_DEPTH)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{source}{line} is not the config of a run: {error.problem or error.context}") from error
    except RecursionError as error:
        raise InputError(f"{source} is not the config of a run: it is nested too deeply") from error
    except Exception as error:  # YAML raises a different one for every way in which a value is none
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{source} is not the config of a run: {lines[0]}") from error
    if not isinstance(value, dict):
        raise InputError(f"{source} is not the config of a run: it is not a mapping of keys to values")
    return value


def literal(value: Json) -> Json:
    """A config in which every text stands for itself: OmegaConf reads more into a dollar before a brace."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: literal(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, dict):
        return {key: literal(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [literal(entry) for entry in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


class _Loader(yaml.SafeLoader):
    """Reads YAML as OmegaConf writes it: without dates, with floats such as 1e-3, each key once, and no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: yaml.Node | int | None) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "it has an alias (*)", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)  # type: ignore[arg-type]  # the stubs know the items of lists only

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for (key, _), number in zip(node.value, range(len(names)), strict=False):
            if key.value in names[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!a} occurs twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789.")
)


def _plain(value: Any, depth: int) -> Any:
    """A value of YAML, if a config can hold it, with the texts that `literal` makes as they were before.

    Raises:
      ValueError: it cannot.
    """
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), None)
        if odd is not None or None in value:
            raise ValueError(f"the key {odd!a} is not text")
        return {key: _plain(entry, depth - 1) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry, depth - 1) for entry in value]
    if isinstance(value, str):
        value.encode()  # halves of surrogate pairs are no text
        return re.sub(r"(?<!\\)((?:\\\\)*)\\\$\{", lambda match: match[1][::2] + "${", value)
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise ValueError("a number is too large")
    if value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"it holds a value of the type {type(value).__name__}")
    return value
