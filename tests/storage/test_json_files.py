"""Damaged JSON becomes one line with file and line number; what is written is read again as it was."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.errors import InputError
from podmeta.storage.json_files import decode, decode_lines, encode, parse_object, read_lines, read_object

CURE = "Delete it"


@dataclasses.dataclass(frozen=True)
class Inner:
    word: str


@dataclasses.dataclass(frozen=True)
class Outer:
    count: int
    share: float
    either: float | list[float]
    inner: Inner | None
    names: dict[str, str]
    anything: Any = None
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)


WHOLE = {"count": 1, "share": 0.5, "either": [1.0], "inner": {"word": "a"}, "names": {"b": "c"}}

finite = st.floats(-1e90, 1e90)
values = st.builds(
    Outer,
    count=st.integers(-(2**63) + 1, 2**63 - 1),
    share=finite,
    either=finite | st.lists(finite),
    inner=st.none() | st.builds(Inner, st.text()),
    names=st.dictionaries(st.text(), st.text()),
    anything=st.none() | st.lists(st.booleans()),
    others=st.dictionaries(st.sampled_from(["later", "still later"]), st.integers(0, 9)),
)


@given(values)
def test_what_is_encoded_is_decoded_again(value):
    assert decode(Outer, parse_object(json.dumps(encode(value)).encode())) == value


def test_a_number_that_is_not_finite_is_null_in_the_file():
    content = encode(decode(Outer, WHOLE | {"share": None, "either": [None, 2]}))
    assert content["share"] is None and content["either"] == [None, 2.0]
    assert math.isnan(decode(Outer, content).share)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"count": True}, "count is true or false"),
        ({"count": 1.5}, "count is a number"),
        ({"share": "0.5"}, "share is a text"),
        ({"share": False}, "share is true or false"),
        ({"either": ["x"]}, r"either\[0\] is a text"),
        ({"inner": {}}, "word is missing"),
        ({"inner": 3}, "inner is a number"),
        ({"names": {"b": 1}}, r"names\.b is a number"),
        ({"names": []}, "names is a list"),
    ],
)
def test_wrong_types_are_named(change, part):
    with pytest.raises(ValueError, match=part):
        decode(Outer, WHOLE | change)


DAMAGED = {
    b"": "Expecting value",
    b'{"a": 1': "Expecting",
    b"[1]": "it holds a list, not an object",
    b"null": "it holds null",
    b'{"a": NaN}': "NaN is not JSON",
    b'{"a": -Infinity}': "Infinity is not JSON",
    b'{"a": 1, "a": 2}': "the key 'a' occurs twice",
    b'{"a": 1e999}': "too large",
    b'{"a": ' + b"9" * 5000 + b"}": "too large",
    b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}": "nested too deeply",
    b'{"a": ' + b"[" * 100_000: "nested too deeply",
    b'{"a": "\xff"}': "not UTF-8",
    b'{"a": "\\ud800"}': "half a character",
    b"\0\0\0": "Expecting value",
}


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_is_named_with_its_number(damage, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 0}\n' + damage + b'\n{"a": 2}\n')
    with pytest.raises(InputError, match=DAMAGED[damage]) as raised:
        read_lines(path, CURE, pytest.fail)
    assert str(raised.value).startswith(f"{path}:2 is damaged: ") and str(raised.value).endswith(CURE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_object_is_named(damage, tmp_path):
    path = tmp_path / "object.json"
    path.write_bytes(damage)
    with pytest.raises(InputError, match=DAMAGED[damage]):
        read_object(path, Inner, CURE)


@given(cut=st.integers(0, 40))
def test_a_line_that_was_cut_off_is_left_out_with_a_warning(cut, tmp_path_factory):
    """Wherever a file is cut off, even within a character, its whole lines are read."""
    path = tmp_path_factory.mktemp("cut") / "rows.jsonl"
    whole = '{"word": "ü"}\n{"word": "日本"}\n'.encode()
    path.write_bytes(whole[:cut])
    warnings: list[str] = []
    words = [row.word for row in decode_lines(path, read_lines(path, CURE, warnings.append), Inner, CURE)]
    assert words == ["ü", "日本"][: whole[:cut].count(b"}")]
    is_half = not whole[:cut].endswith((b"\n", b"}")) and cut > 0
    assert len(warnings) == is_half and all(f"{path}:{len(words) + 1} " in line for line in warnings)


def test_a_line_of_another_type_is_named_with_its_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"word": "a"}\n{"word": 1}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl:2 is damaged: word is a number\. Delete it"):
        decode_lines(path, read_lines(path, CURE, pytest.fail), Inner, CURE)


def test_no_file_has_no_lines_and_a_folder_is_refused(tmp_path):
    assert read_lines(tmp_path / "missing", CURE, pytest.fail) == []
    for read in (lambda: read_lines(tmp_path, CURE, pytest.fail), lambda: read_object(tmp_path, Inner, CURE)):
        with pytest.raises(InputError, match="cannot be read: Is a directory"):
            read()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_object(tmp_path / "missing", Inner, CURE)


def test_a_file_of_a_terabyte_is_not_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.touch()
    os.truncate(path, 2**40)
    for read in (lambda: read_lines(path, CURE, pytest.fail), lambda: read_object(path, Inner, CURE)):
        with pytest.raises(InputError, match="cannot be read: It holds 1,099,511,627,776 bytes"):
            read()
