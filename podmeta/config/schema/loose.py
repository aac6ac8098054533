"""The schema as Hydra composes it, before names and descriptions are resolved to configs."""

import copy
import dataclasses
import functools
import typing
from typing import Any, TypeVar

Schema = TypeVar("Schema")


@typing.runtime_checkable
class Dataclass(typing.Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: typing.ClassVar[dict[str, "dataclasses.Field[Any]"]]


def section_of(field: "dataclasses.Field[object]") -> type | None:
    """The dataclass whose keys a field of a schema holds; None if the field is itself a key."""
    kind = field.type
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) and not field.metadata else None


@functools.cache
def loose(schema: type[Schema]) -> type[Schema]:
    """A subclass in which every key that holds configs may hold anything; `schema` itself if there is no such key.

    OmegaConf rejects unions of dataclasses, and users write names and changes in place of configs. `resolve.py` turns
    its instances into instances of `schema`.
    """
    fields = []
    for field in dataclasses.fields(schema):  # type: ignore[arg-type]  # a dataclass, which no type says
        inner = typing.get_args(field.type)
        if section_of(field) is None and any(dataclasses.is_dataclass(kind) for kind in (field.type, *inner)):
            fields.append((field.name, list[Any] if typing.get_origin(field.type) is list else Any, copy.copy(field)))
    if not fields:
        return schema
    namespace = {"__module__": schema.__module__, "__doc__": schema.__doc__}
    return dataclasses.make_dataclass(schema.__name__, fields, bases=(schema,), namespace=namespace)
