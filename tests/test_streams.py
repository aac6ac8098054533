"""Texts on streams that cannot show all of them, and somebody else's text on a terminal."""

import os
import subprocess
import sys

import pytest

from podmeta.streams import printable
from tests.end_to_end.job import REPOSITORY

TEXT = "θ of Läufe: 数 — 95%"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "cp1252", "utf-8"])
def test_what_a_stream_cannot_show_is_replaced_and_no_error(encoding):
    program = f"import sys; from podmeta.streams import protect_streams; protect_streams(); print({TEXT!a}); "
    program += f"print({TEXT!a}, file=sys.stderr)"
    variables = os.environ | {"PYTHONIOENCODING": encoding}
    shown = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=variables, capture_output=True)
    expected = f"{TEXT}\n".encode(encoding, "replace")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, expected, expected)


@pytest.mark.parametrize("text", ["", "θ of naïve [red]", "two\nlines\tand a tab", "数"])
def test_a_text_that_can_be_printed_is_kept(text):
    assert printable(text) == text


@pytest.mark.parametrize("character", ["\x1b", "\r", "\x07", "\x7f", "\x9b", "\u202e", "\u2028", "\udc80"])
def test_what_moves_the_cursor_or_turns_the_direction_is_replaced(character):
    assert printable(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
