"""Reads JSON files that may be damaged: strictly, into typed values, with errors that name file and line.

A file may be cut off by a kill or a full disk, edited by hand, or written by another version. Readers get values of the
types that a dataclass declares, or an `InputError` of one line.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from podmeta.config.schema.loose import Dataclass
from podmeta.data_files import read_data
from podmeta.errors import InputError
from podmeta.storage.files import reason
from podmeta.value_types import Json

T = TypeVar("T")
Warn = Callable[[str], None]
"""Shows the user a warning of one line."""


def ignore(warning: str) -> None:
    """A `Warn` where the user has seen the warning, or another reader of the file shows it."""


OTHERS = "others"
"""The field of a dataclass that takes the keys which it does not declare."""

_MAX_BYTES = 2**32
_MAX_DEPTH = 50
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 1e100
"""Far above any value that podmeta writes. Sums and squares of smaller numbers are finite."""


class Line(NamedTuple):
    """One line of a file of JSON lines.

    Attributes:
      number: counted from 1.
      text: the line, with its newline.
      content: what it says.
    """

    number: int
    text: str
    content: dict[str, Json]


def read_object(path: Path, kind: type[T], cure: str) -> T:
    """Reads a file that holds one JSON object.

    Args:
      path: the file.
      kind: a dataclass; see `decode`.
      cure: what the user can do about a damaged file.

    Raises:
      InputError: the file cannot be read, or is damaged.
    """
    return decode_object(path, _read(path, cure), kind, cure)


def decode_object(path: Path, content: bytes, kind: type[T], cure: str) -> T:
    """The value of a file of one JSON object whose content has been read. See `read_object`.

    Raises:
      InputError: it is damaged.
    """
    try:
        return decode(kind, parse_object(content))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno} is damaged: {error.msg}. {cure}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}. {cure}") from error


def read_lines(path: Path, cure: str, warn: Warn) -> list[Line]:
    """Reads a file of JSON lines; there are none where there is no file.

    A last line without its end, which a kill may leave, is dropped with a warning.

    Args:
      path: the file.
      cure: what the user can do about a damaged line.
      warn: shows the user a warning.

    Raises:
      InputError: the file cannot be read, or a line is no JSON object.
    """
    *whole, last = _read(path, cure, missing=b"").split(b"\n")
    lines = []
    for number, text in enumerate(whole, start=1):
        try:
            lines.append(_line(number, text))
        except ValueError as error:
            raise damaged_line(path, number, error, cure) from error
    if last:
        try:
            lines.append(_line(len(whole) + 1, last))
        except ValueError:
            warn(f"{path}:{len(whole) + 1} is incomplete and was skipped")
    return lines


def decode_lines(path: Path, lines: list[Line], kind: type[T], cure: str) -> list[T]:
    """The lines of a file as values of a dataclass; see `decode`.

    Raises:
      InputError: a line has other keys or types.
    """
    values = []
    for line in lines:
        try:
            values.append(decode(kind, line.content))
        except ValueError as error:
            raise damaged_line(path, line.number, error, cure) from error
    return values


def damaged_line(path: Path, number: int, problem: object, cure: str) -> InputError:
    """The error about a damaged line."""
    problem = problem.msg if isinstance(problem, json.JSONDecodeError) else problem
    return InputError(f"{path}:{number} is damaged: {problem}. {cure}")


def parse_object(content: bytes) -> dict[str, Json]:
    """Parses a JSON object more strictly than `json.loads` does.

    NaN and infinities, keys given twice, numbers beyond those of our files, deep nesting and halves of surrogate pairs
    are refused: JSON has none of them, or what works with the value could fail.

    Raises:
      ValueError: it is not such an object; the message says why.
    """
    try:
        value = json.loads(
            content.decode(),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_duplicates,
        )
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"it holds {_name_of(value)}, not an object")
    if content.count(b"[") + content.count(b"{") > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise ValueError("it is nested too deeply")
    if b"\\u" in content:
        _check_surrogates(value)
    return value


def decode(kind: type[T], content: Mapping[str, Json]) -> T:
    """A dataclass from a JSON object.

    Fields may be of the types int, float, str, bool, Any, dict[str, X], list[X], another dataclass, and unions of them.
    A float may be written as an integer, and as null where it is not finite: then it is NaN. Fields with a default
    may be absent. Keys that are not fields are kept in a field called `others`, if there is one.

    Raises:
      ValueError: a key is missing or has another type, or the dataclass refuses its values.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name == OTHERS:
            continue
        if field.name in content:
            values[field.name] = _decoded(hints[field.name], content[field.name], field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{field.name} is missing")
    if OTHERS in hints:
        values[OTHERS] = {name: value for name, value in content.items() if name not in hints}
    return kind(**values)


def encode(value: Dataclass) -> dict[str, Json]:
    """The JSON object of a dataclass, from which `decode` makes the same again. Defaults are left out."""
    content = {
        field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name != OTHERS and getattr(value, field.name) != field.default
    }
    return content | _plain(getattr(value, OTHERS, {}))


def _line(number: int, text: bytes) -> Line:
    content = parse_object(text)
    return Line(number, text.decode() + "\n", content)


def _read(path: Path, cure: str, missing: bytes | None = None) -> bytes:
    """The content of a file; `missing`, if that is given, where there is none."""
    try:
        return read_data(path, _MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if missing is not None and isinstance(error, FileNotFoundError):
            return missing
        raise InputError(f"{path} cannot be read: {reason(error)}. {cure}") from error


def _decoded(hint: Any, value: Any, where: str) -> Any:
    """A value of the type that an annotation asks for."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint) or hint:
        case types.UnionType | typing.Union:
            return _decoded_as_one_of(arguments, value, where)
        case builtin if builtin is list and isinstance(value, list):
            return [_decoded(arguments[0], entry, f"{where}[{index}]") for index, entry in enumerate(value)]
        case builtin if builtin is dict and isinstance(value, dict):
            return {name: _decoded(arguments[1], entry, f"{where}.{name}") for name, entry in value.items()}
        case type() as nested if dataclasses.is_dataclass(nested) and isinstance(value, dict):
            return decode(nested, value)
        case number if number is float and value is None:
            return math.nan
        case number if number is float and type(value) in (int, float):
            return float(value)
        case plain if plain is Any or (plain in (int, str, bool, types.NoneType) and type(value) is plain):
            return value
    raise ValueError(f"{where} is {_name_of(value)}")


def _decoded_as_one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    """A value of the first of several types that it has. None comes first: null is None if that is allowed."""
    in_order = sorted(hints, key=lambda hint: hint is not types.NoneType)
    for hint in in_order[:-1]:
        try:
            return _decoded(hint, value, where)
        except ValueError:
            continue
    return _decoded(in_order[-1], value, where)


def _plain(value: Any) -> Any:
    """What JSON can hold of a value: null stands for a number that is not finite."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > _LARGEST_INTEGER:
        raise ValueError(f"the number {digits[:20]}… is too large")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if abs(value) > _LARGEST_FLOAT:
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!a} occurs twice")
    return content


def _is_deeper(value: Any, depth: int) -> bool:
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_is_deeper(entry, depth - 1) for entry in entries)


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character") from error


def _name_of(value: Any) -> str:
    """The type of a JSON value, in JSON's words."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        types.NoneType: "null",
    }
    return names[type(value)]
