"""The rooms of the package: imports run one way, and one file names the mapping over devices."""

import ast
from pathlib import Path

import podmeta

PACKAGE = Path(podmeta.__file__).parent
ROOMS = (
    ("__main__", "cli"),
    ("runs",),
    ("benchmarks", "evaluation", "planning", "sweep"),
    ("agent",),
    ("training",),
    ("architectures",),
    ("distributed",),
    ("storage",),
    ("outer",),
    ("inner_loop",),
    ("environments", "learners"),
    ("config",),
    ("factories",),
    ("arithmetic", "data_files", "keys", "seeds", "streams", "utf8", "value_types"),
    ("errors",),
)
"""From the top down: a room may import from rooms below it, and from its own. Rooms of one line stand side by side."""

LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
SIDE_BY_SIDE = {("__main__", "cli"), ("benchmarks", "planning"), ("sweep", "evaluation")}
"""Imports between rooms of one line that are allowed."""


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree):
    """The rooms that a module imports from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "podmeta":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("podmeta."))


def test_every_module_has_a_room():
    rooms = {room_of(path) for path, _ in modules()}
    assert rooms - {"__init__"} == LEVELS.keys()


def test_imports_never_point_upward():
    upward = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path, tree in modules()
        if (room := room_of(path)) != "__init__"
        for other in imported_rooms(tree)
        if other in LEVELS and other != room and (room, other) not in SIDE_BY_SIDE and LEVELS[other] <= LEVELS[room]
    ]
    assert not upward


def test_one_module_maps_over_devices():
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("pmap", "Mesh", "shard_map", "make_mesh")
    }
    assert named == {"distributed/devices.py"}
