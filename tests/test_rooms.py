"""The rooms of the package: imports run one way, and one file names the mapping over devices."""

import ast
from pathlib import Path

import podmeta

PACKAGE = Path(podmeta.__file__).parent
ROOMS = (
    ("__main__", "cli"),
    ("runs",),
    ("benchmarks", "checks", "evaluation", "planning", "sweep", "trials"),
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
    ("arithmetic", "data_files", "exits", "keys", "seeds", "streams", "utf8", "value_types"),
    ("errors", "operating_system"),
)
"""From the top down: a room may import from rooms below it, and from its own. Rooms of one line stand side by side."""

LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
SIDE_BY_SIDE = {("__main__", "cli"), ("benchmarks", "planning"), ("checks", "benchmarks"), ("sweep", "evaluation")} | {
    ("trials", "evaluation"),
    ("trials", "sweep"),
}
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


MOST_LINES, MOST_FUNCTION_FIELDS = 60, 8


def functions(node, around=()):
    """Every function of a module, with the names of the functions that it stands in."""
    for child in ast.iter_child_nodes(node):
        inside = around
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = (*around, child.name)
            yield child, inside
        yield from functions(child, inside)


def lines_of(function):
    """Lines of a function without its docstring."""
    documented = ast.get_docstring(function) is not None
    docstring = function.body[0].end_lineno - function.body[0].lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_functions_are_short():
    long = [
        f"{path.relative_to(PACKAGE)}: {function.name} has {lines_of(function)} lines"
        for path, tree in modules()
        for function, _ in functions(tree)
        if lines_of(function) > MOST_LINES
    ]
    assert not long


NESTED_DEEPER = {
    # What is scanned takes the carry alone, and reads the rest from the function that scans.
    "benchmarks/core.py: rolled, rollout, one",
    "benchmarks/scaling_worker.py: _collective_seconds, repeat, once",
    "evaluation/baselines/from_scratch.py: make_lifetime, rollout, update",
    # It is made in the thread that it is timed in.
    "benchmarks/sebulba.py: _inference_rate, actor, unroll",
}


def test_functions_are_nested_at_most_two_deep():
    deeper = {
        f"{path.relative_to(PACKAGE).as_posix()}: {', '.join(inside)}"
        for path, tree in modules()
        for _, inside in functions(tree)
        if len(inside) > 2
    }
    assert deeper == NESTED_DEEPER


def test_no_record_holds_many_functions():
    """Counts the fields whose annotation is a Callable, or an alias of one in the package."""
    aliases = {"Callable"} | {
        target.id
        for _, tree in modules()
        for node in tree.body
        if isinstance(node, ast.Assign) and "Callable[" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "MakeLearnerInput" in aliases

    def holds_a_function(field):
        names = {node.id for node in ast.walk(field.annotation) if isinstance(node, ast.Name)}
        return bool(names & aliases)

    counts = {
        f"{path.relative_to(PACKAGE)}: {node.name}": sum(
            isinstance(field, ast.AnnAssign) and holds_a_function(field) for field in node.body
        )
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in counts.items() if count > MOST_FUNCTION_FIELDS} == {}
    assert max(counts.values()) > 4  # InnerLoop and Policy hold several, so it does count
