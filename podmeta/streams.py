"""Standard streams that survive their readers: output that cannot be written is lost, and the job continues.

Characters that a stream cannot encode, as in a POSIX locale, are shown as question marks. `printable` makes somebody
else's text safe to show.

Any code may print: podmeta, rich, logging, warnings and users' environments. So the streams themselves are replaced.
"""

import errno
import io
import sys
from typing import Any, BinaryIO, TextIO, cast

_NOBODY_READS = (errno.EPIPE, errno.EIO)
"""The reader of a pipe has gone, or the terminal has been closed."""


def protect_streams() -> "SurvivingOutput":
    """Replaces `sys.stdout` and `sys.stderr` by streams that drop output that cannot be written.

    Returns:
      The descriptor of the new `sys.stdout`, which knows what was lost.
    """
    output = SurvivingOutput(1)
    sys.stdout, sys.stderr = _text_stream(output, sys.stdout), _text_stream(SurvivingOutput(2), sys.stderr)
    return output


class SurvivingOutput(io.FileIO):
    """A descriptor whose write errors are recorded and not raised.

    Attributes:
      error: the first error that lost output, unless there was no reader left; None if there was none.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes as much as the descriptor accepts. The rest is lost, also if a non-blocking reader is too slow."""
        try:
            return super().write(data) or len(data)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                self.error = self.error or error
            return len(data)


def printable(text: str) -> str:
    """A text in which nothing moves the cursor, changes colours or reverses the direction of writing.

    Line feeds and tabs stay; other characters that cannot be printed are replaced by the replacement character.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _text_stream(output: SurvivingOutput, before: TextIO | None) -> TextIO:
    """A text stream like the one before, if there was one: Python makes none of a closed descriptor."""
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(output), encoding="utf-8", errors="replace", line_buffering=True)
    before.flush()
    return io.TextIOWrapper(
        cast(BinaryIO, output) if before.write_through else io.BufferedWriter(output),
        encoding=before.encoding,
        errors="replace",
        newline="\n",
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
