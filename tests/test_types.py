"""No public signature says Any, nor does a field of a public class: a type's name says what its values are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import podmeta

PACKAGE = Path(podmeta.__file__).parent

ALLOWED = {
    "cli/console.py: PlainConsole.__init__": "passes on what rich's Console takes",
    "cli/console.py: PlainConsole.render_str": "passes on what rich's Console takes",
    "config/schema/option.py: lifetime_length_option": "as option",
    "config/schema/option.py: option": "as dataclasses.field, it stands for a value of the key's own type",
    "config/validate.py: check_elements": "takes a key's type as dataclasses gives it",
    "config/wrong_values.py: in_words": "takes a key's type as dataclasses gives it",
    "config/wrong_values.py: shown": "takes whatever value a user gave",
    "distributed/children.py: Lifeline.start": "passes on what subprocess.Popen takes, and returns one of either kind",
    "environments/jax/gymnax_adapter.py: AdaptedGymnax.__init__": "takes environments of any package like gymnax",
    "factories.py: Factory.call": "returns what the user's function makes, which the caller looks at",
    "factories.py: Factory.make": "returns what the user's function makes, which the caller looks at",
    "streams.py: SurvivingOutput.write": "takes what io.FileIO.write takes, which has no name before Python 3.12",
}


def test_no_public_signature_says_any():
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name, annotations in signatures(ast.parse(path.read_text(encoding="utf-8")))
        if any(says_any(annotation) for annotation in annotations if annotation is not None)
    }
    assert found == ALLOWED.keys()


def signatures(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, list[ast.expr | None]]]:
    """The annotations of public functions, and of the fields of public classes, by their names."""
    for node in scope.body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield from signatures(node, f"{prefix}{name}.")
            case ast.FunctionDef(name=name, args=arguments) if not name.startswith("_") or name.endswith("__"):
                every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
                yield prefix + name, [node.returns, *(argument.annotation for argument in every)]
            case ast.AnnAssign(target=ast.Name(id=name)) if prefix and not name.startswith("_"):
                yield prefix + name, [node.annotation]


def says_any(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


def test_the_public_api_is_what_its_list_says():
    for_type_checkers = {
        alias.name
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("podmeta.")
        for alias in node.names
    }
    assert dir(podmeta) == podmeta.__all__
    assert for_type_checkers | {"__version__"} == set(podmeta.__all__)
    assert all(getattr(podmeta, name).__doc__ for name in podmeta.__all__)
