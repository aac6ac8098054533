"""The short form of an environment with an id: `gymnasium/CartPole-v1`, `dm_control/cartpole/swingup`."""

import dataclasses

from podmeta.config.schema import GROUPS
from podmeta.config.schema.code_texts import texts_in
from podmeta.value_types import Json

_WITH_IDS = tuple(
    name
    for name, schema in GROUPS["environment"].items()
    if any(field.name == "id" for field in dataclasses.fields(schema))
)


_WITH_FACTORIES = ("learner", "environment", "outer")


def split_reference(reference: str) -> tuple[str, str]:
    """The preset and the id of an environment written in one word; any other word, and no id."""
    preset, _, id = reference.partition("/")
    return (preset, id) if id and preset in _WITH_IDS else (reference, "")


def texts_of(value: Json) -> frozenset[str]:
    """All texts in a value, and the ids within those that name an environment in one word."""
    texts = set(texts_in(value, "").values())
    return frozenset(texts | {split_reference(text)[1] for text in texts})


def expand_overrides(overrides: list[str]) -> list[str]:
    """The overrides as Hydra knows them.

    `environment=gymnasium/CartPole-v1` becomes a preset and its id; `environment.factory=…` alone implies
    `environment=factory`, and so do those of learners and outer loops.
    """
    expanded: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        preset, id = split_reference(value) if key == "environment" else ("", "")
        expanded += [f"environment={preset}", f"environment.id={_quoted(id)}"] if id else [override]
    keys = [override.partition("=")[0] for override in expanded]
    implied = [f"{group}=factory" for group in _WITH_FACTORIES if f"{group}.factory" in keys and group not in keys]
    return [*implied, *expanded]


def _quoted(word: str) -> str:
    """A word with the quotes that keep Hydra from reading more into it."""
    escaped = word.replace("'", "\\'")
    return f"'{escaped}'"
