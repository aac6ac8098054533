"""The strings of a config that name code to run or files to open, which somebody else's run may not set."""

from podmeta.value_types import Json


def texts_in(value: Json, key: str) -> dict[str, str]:
    """The strings within nested mappings and lists, each by the key of its place, without empty ones."""
    if isinstance(value, str):
        return {key: value} if value else {}
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: dict[str, str] = {}
    for name, inner in places:
        found |= texts_in(inner, f"{key}[{name}]" if isinstance(value, list) else f"{key}.{name}")
    return found


def factory_texts(factory: str, options: Json) -> dict[str, str]:
    """Those of a config that names a function: the function, and strings among its arguments."""
    return texts_in(factory, "factory") | texts_in(options, "options")
