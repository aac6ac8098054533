"""Somebody else's text on a terminal."""

import pytest

from podmeta.streams import printable


@pytest.mark.parametrize("text", ["", "θ of naïve [red]", "two\nlines\tand a tab", "数"])
def test_a_text_that_can_be_printed_is_kept(text):
    assert printable(text) == text


@pytest.mark.parametrize("character", ["\x1b", "\r", "\x07", "\x7f", "\x9b", "\u202e", "\u2028", "\udc80"])
def test_what_moves_the_cursor_or_turns_the_direction_is_replaced(character):
    assert printable(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
