"""Text files and pipes: UTF-8 by name, so that no locale changes what is read or written."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ALWAYS_TEXT = {"read_text", "write_text", "TextIOWrapper"}
TEXT_BY_DEFAULT = {"open": "r", "fdopen": "r"}
TEXT_BY_MODE = {"TemporaryFile": "w+b", "NamedTemporaryFile": "w+b", "SpooledTemporaryFile": "w+b"}
DEFAULT_MODES = TEXT_BY_DEFAULT | TEXT_BY_MODE


def unnamed_encodings(program: str) -> Iterator[ast.Call]:
    """The calls that read or write text in the encoding of the locale."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            if "encoding" not in keywords and is_text(node, keywords):
                yield node


def is_text(call: ast.Call, keywords: dict[str | None, ast.expr]) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ALWAYS_TEXT or "text" in keywords or "universal_newlines" in keywords:
        return True
    others = ("os.open", "Image.open", "tensorstore.open", "tensorstore.KvStore.open")
    if name not in DEFAULT_MODES or ast.unparse(function) in others:
        return False
    modes = [*call.args, *keywords.values()]
    known = [str(mode.value) for mode in modes if isinstance(mode, ast.Constant)]
    chosen = [mode for mode in known if mode and set(mode) <= set("rwaxbt+")]
    return "b" not in (chosen[0] if chosen else DEFAULT_MODES[name])


@pytest.mark.parametrize("folder", ["podmeta", "launch", "tests"])
def test_every_text_file_and_pipe_names_its_encoding(folder):
    paths = sorted((REPOSITORY / folder).rglob("*.py"))
    assert paths
    found = [
        f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        for path in paths
        for call in unnamed_encodings(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("program", "is_found"),
    [
        ("path.read_text()", True),
        ("path.write_text(text)", True),
        ("open(name)", True),
        ("path.open('a')", True),
        ("tempfile.TemporaryFile('w+')", True),
        ("subprocess.run(command, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.open('wb')", False),
        ("open(name, mode='rb')", False),
        ("tempfile.TemporaryFile()", False),
        ("os.open(name, flags)", False),
        ("Image.open(file)", False),
        ("subprocess.run(command, encoding='utf-8')", False),
    ],
)
def test_what_has_no_encoding_is_found(program, is_found):
    assert bool(list(unnamed_encodings(program))) == is_found
