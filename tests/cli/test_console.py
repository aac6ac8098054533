"""What names look like on the terminal."""

import io

import pytest
from rich.console import Group
from rich.table import Table

from podmeta.cli.console import PlainConsole


@pytest.mark.parametrize("name", ["[red]", "[/b]", "[link=http://a]b", ":smile:", "_", "$x^$", "a]"])
def test_names_are_shown_as_they_are_in_lines_and_tables(name):
    output = io.StringIO()
    console = PlainConsole(file=output, width=80)
    table = Table(title=f"title {name}", caption=f"caption {name}")
    table.add_column(f"heading {name}")
    table.add_row(f"cell {name}")
    console.print(f"line {name}")
    console.print(Group(f"part {name}", table))
    shown = output.getvalue()
    for place in ("line", "part", "title", "caption", "heading", "cell"):
        assert f"{place} {name}" in shown


@pytest.mark.parametrize("name", ["\x1b[2Jgone", "a\rb", "\x9b2Jgone", "\x07"])
def test_a_name_does_not_control_the_terminal(name):
    output = io.StringIO()
    table = Table("heading")
    table.add_row(name)
    PlainConsole(file=output, width=80).print(table, name)
    assert not set(output.getvalue()) & set("\x1b\r\x9b\x07")


def test_a_pipe_does_not_break_or_cut_a_wide_table(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    output = io.StringIO()
    table = Table(*(f"column_{number}" for number in range(14)))
    PlainConsole(file=output).print(table)
    assert all(f"column_{number} " in output.getvalue() for number in range(14))
