"""Python's UTF-8 mode, in which the names of files are UTF-8 whatever the locale says.

Elsewhere they are not: under LC_ALL=C, Python cannot represent `ü` in a path, and C++ libraries, which take UTF-8,
would write checkpoints to a folder of another name.
"""

import os
import sys


def restart_in_utf8_mode() -> None:
    """Restarts this process in UTF-8 mode if the locale has another encoding. Call it before anything else.

    The standard streams keep the encoding that they had, so a terminal shows what it can.
    """
    if sys.getfilesystemencoding() == "utf-8" or "utf8" in sys._xoptions:
        return
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.environ["PYTHONUTF8"] = "1"  # for the processes that this one starts
    command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execv(sys.executable, [word.encode("utf-8", "surrogateescape") for word in command])
