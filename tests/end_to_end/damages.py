"""What can happen to the files of a run directory: bytes that changed, other values, and other things in their place.

A damage is a function of a path and a source of random numbers. It may find nothing to do.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from podmeta.storage.checkpoint_files import CHECKSUMS

Damage = Callable[[Path, random.Random], None]

ODD_TEXTS = (
    "",
    "x",
    "[red]",
    "[/b]",
    "$x^$",
    "_",
    "${oc.env:HOME}",
    "${",
    "???",
    "nan",
    "\u2028",
    "a" * 10_000,
    "../..",
)
ODD_VALUES = (
    *ODD_TEXTS,
    *(None, True, False, 0, -1, 1, 3, 1.5, -1e300, 1e99, 2**31, 2**62, 10**30, float("nan"), float("inf")),
    *([], {}, [[]], [1], ["x"], {"name": []}, {"x": None}, [None], [{}]),
)


def truncate(path: Path, chance: random.Random) -> None:
    _rewrite(path, lambda content: content[: chance.randrange(len(content) + 1)])


def flip_bits(path: Path, chance: random.Random) -> None:
    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 20)) if content else 0):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)

    _rewrite(path, flip)


def insert_bytes(path: Path, chance: random.Random) -> None:
    """Puts in what is not UTF-8, not JSON, or opens more than it closes."""
    added = chance.choice(
        (b"\xff\xfe", b"\0\0\0", b"[" * 100_000, b'{"a":' * 2_000, b"\xed\xa0\x80", b"NaN", b"\n\n", b"\r")
    )

    def insert(content: bytes) -> bytes:
        place = chance.randrange(len(content) + 1)
        return content[:place] + added + content[place:]

    _rewrite(path, insert)


def empty(path: Path, chance: random.Random) -> None:
    _rewrite(path, lambda content: b"")


def repeat_a_line(path: Path, chance: random.Random) -> None:
    """Gives a line twice, and with it a key, where a file has one on a line."""

    def repeat(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True) or [b""]
        line = chance.randrange(len(lines))
        return b"".join(lines[: line + 1] + lines[line:])

    _rewrite(path, repeat)


def repeat_a_key(path: Path, chance: random.Random) -> None:
    """Gives the first key of a JSON object a second value."""
    _rewrite(path, lambda content: content.replace(b"{", b'{"update": 3, "step": 1, "update": 4, "step": 2, ', 1))


def change_a_value(path: Path, chance: random.Random, values: Sequence[object] = ODD_VALUES) -> None:
    """Replaces, deletes or adds a value somewhere in JSON, JSON lines or YAML, whose text is otherwise sound."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".yaml":
            value = yaml.safe_load(text)
            _change_within(value, chance, values)
            path.write_text(yaml.safe_dump(value), encoding="utf-8")
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in text.splitlines()]
            _change_within(chance.choice(lines), chance, values)
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        else:
            value = json.loads(text)
            _change_within(value, chance, values)
            path.write_text(json.dumps(value), encoding="utf-8")
    except (ValueError, IndexError, RecursionError, yaml.YAMLError):  # an earlier damage has left no such text
        return


def write_another_document(path: Path, chance: random.Random) -> None:
    documents = (
        "null",
        "[]",
        "{}",
        "3",
        '"x"',
        "[{}]",
        "a: &x [1]\nb: *x",
        "a: !!python/name:os.system",
        "- 1",
        "? [a]\n: 1",
    )
    _rewrite(path, lambda content: chance.choice(documents).encode())


def delete(path: Path, chance: random.Random) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put_a_folder_there(path: Path, chance: random.Random) -> None:
    delete(path, chance)
    path.mkdir(parents=True)
    if chance.random() < 0.5:
        (path / "file").write_text("", encoding="utf-8")


def put_a_file_there(path: Path, chance: random.Random) -> None:
    delete(path, chance)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n", encoding="utf-8")


def put_a_link_there(path: Path, chance: random.Random) -> None:
    """A link to the same content elsewhere, to nothing, or to itself."""
    target = chance.choice((path.with_name(f"{path.name}.moved"), path.parent / "nothing", path))
    if path.exists() and target.name.endswith(".moved"):
        delete(target, chance)
        path.rename(target)
    delete(path, chance)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def put_a_pipe_there(path: Path, chance: random.Random) -> None:
    """A file that never ends for whoever waits for its end."""
    delete(path, chance)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


DAMAGES: tuple[Damage, ...] = (
    truncate,
    flip_bits,
    insert_bytes,
    empty,
    repeat_a_line,
    repeat_a_key,
    change_a_value,
    change_a_value,
    change_a_value,
    change_a_value,
    write_another_document,
    delete,
    put_a_folder_there,
    put_a_file_there,
    put_a_link_there,
    put_a_pipe_there,
)


def newest_checkpoint(run: Path) -> Path:
    """The folder of the newest checkpoint, or where one would be."""
    return max((run / "checkpoints").glob("step_*"), default=run / "checkpoints" / "step_00000001")


def file_of_arrays(run: Path, chance: random.Random) -> Path:
    """A file that Orbax has written."""
    files = sorted(path for path in (newest_checkpoint(run) / "arrays").rglob("*") if path.is_file())
    return chance.choice(files) if files else newest_checkpoint(run) / "arrays"


TARGETS: tuple[Callable[[Path, random.Random], Path], ...] = (
    *(
        lambda run, chance, name=name: run / name
        for name in (
            *("config.yaml", "config.yaml", "metrics.jsonl", "evaluation.jsonl", "learning_curves.jsonl"),
            *("summary.json", "environment.json", "learning_curves.png", "checkpoints", "tensorboard", "lock"),
        )
    ),
    lambda run, chance: newest_checkpoint(run),
    lambda run, chance: newest_checkpoint(run) / "manifest.json",
    lambda run, chance: newest_checkpoint(run) / "manifest.json",
    lambda run, chance: newest_checkpoint(run) / CHECKSUMS,
    lambda run, chance: newest_checkpoint(run) / "arrays",
    lambda run, chance: newest_checkpoint(run) / "arrays" / "d",
    file_of_arrays,
)
"""The files and folders of a run that can be damaged."""


def damage_run(run: Path, chance: random.Random) -> str:
    """Damages one file of a run. Half of the damaged checkpoints get checksums that fit; returns what was done."""
    path, damage = chance.choice(TARGETS)(run, chance), chance.choice(DAMAGES)
    with contextlib.suppress(NotADirectoryError):  # an earlier damage has put a file in the place of its folder
        damage(path, chance)
    checkpoint, description = newest_checkpoint(run), f"{damage.__name__} {path.relative_to(run)}"
    if checkpoint in path.parents and path.name != CHECKSUMS and chance.random() < 0.5:
        return description + fit_checksums(checkpoint)
    return description


def fit_checksums(checkpoint: Path) -> str:
    """Writes checksums of the files in a checkpoint, as somebody could who hides what he did; returns what was done."""
    folders = (checkpoint, checkpoint.parent)
    if any(folder.is_symlink() for folder in folders) or not checkpoint.is_dir() or (checkpoint / CHECKSUMS).is_dir():
        return ""
    (checkpoint / CHECKSUMS).unlink(missing_ok=True)
    files = [Path(parent, name) for parent, _, names in os.walk(checkpoint) for name in names]
    (checkpoint / CHECKSUMS).write_text(
        "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(checkpoint).as_posix()}\n"
            for path in sorted(files)
            if path.is_file() and not path.is_symlink()
        ),
        encoding="utf-8",
    )
    return ", with checksums that fit"


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    if path.is_file():
        path.write_bytes(change(path.read_bytes()))


def _change_within(value: Any, chance: random.Random, values: Sequence[object]) -> None:
    """Changes one entry of a nested value."""
    parents = list(_parents(value))
    parent = chance.choice(parents)
    keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    odd = chance.choice(values)
    what = chance.random()
    if not keys or what < 0.1:
        if isinstance(parent, dict):
            parent[chance.choice(ODD_TEXTS)] = odd
        else:
            parent.append(odd)
    elif what < 0.25:
        del parent[chance.choice(keys)]
    else:
        parent[chance.choice(keys)] = odd


def _parents(value: Any) -> Iterator[Any]:
    """All dictionaries and lists of a nested value."""
    if isinstance(value, dict | list):
        yield value
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _parents(entry)
