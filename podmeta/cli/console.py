"""The terminal. Names are shown as plain text, because those of a run may be somebody else's."""

import os
from typing import Any

from rich.console import Console
from rich.text import Text

from podmeta.streams import printable

_WIDTH_OF_A_PIPE = 200


class PlainConsole(Console):
    """Shows every text as it is, also in tables: without markup, emoji codes or control characters.

    Args:
      options: as Rich's console takes them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)
        if not self.is_terminal and "width" not in options and "COLUMNS" not in os.environ:
            self.width = _WIDTH_OF_A_PIPE  # Rich would take 80, and break lines that nothing limits

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as Rich shows it. Its colours and cursor are Rich's own."""
        return super().render_str(printable(text), **options)
