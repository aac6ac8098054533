"""No public signature says Any: a type has a name that says what the value is, or is checked."""

import ast
from collections.abc import Iterator
from pathlib import Path

import podmeta

PACKAGE = Path(podmeta.__file__).parent

ALLOWED = {
    "architectures/sebulba/cpu_tuning/packing.py: pack": "any pytree",
    "architectures/sebulba/cpu_tuning/packing.py: unpack": "any pytree",
    "cli/console.py: PlainConsole.__init__": "passes on what rich's Console takes",
    "cli/console.py: PlainConsole.render_str": "passes on what rich's Console takes",
    "config/schema/option.py: option": "as dataclasses.field, it stands for a value of the key's own type",
    "distributed/children.py: Lifeline.start": "passes on what subprocess.Popen takes, and returns one of either kind",
    "streams.py: SurvivingOutput.write": "takes what io.FileIO.write takes, which has no name before Python 3.12",
}


def test_no_public_signature_says_any():
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name, function in public_functions(ast.parse(path.read_text(encoding="utf-8")))
        if says_any(function)
    }
    assert found == ALLOWED.keys()


def public_functions(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.endswith("__")):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node, f"{prefix}{node.name}.")


def says_any(function: ast.FunctionDef) -> bool:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [argument.annotation for argument in every if argument is not None]
    return any(
        isinstance(node, ast.Name) and node.id == "Any"
        for annotation in [*annotations, function.returns]
        if annotation is not None
        for node in ast.walk(annotation)
    )


def test_the_public_api_is_what_its_list_says():
    assert all(hasattr(podmeta, name) for name in podmeta.__all__)
    defined = {
        name
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [])
    }
    assert defined | {"__version__"} == set(podmeta.__all__)
