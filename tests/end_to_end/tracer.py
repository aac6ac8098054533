"""A tracer of what a command imports, opens, changes and starts, by Python's audit events.

It sees what Python does. TensorStore unpacks arrays in C++, of what Python has read.
"""

import contextlib
import os
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import podmeta

_READABLE = tuple(
    Path(path).resolve()
    for path in (
        *(
            sys.prefix,
            sys.base_prefix,
            *sysconfig.get_paths().values(),
            *site.getsitepackages(),
            *filter(None, sys.path),
        ),
        Path(podmeta.__file__).parents[1],
        Path(os.environ["XDG_STATE_HOME"], "podmeta"),
        *("/proc", "/sys", "/dev"),
    )
)
"""Where a command finds Python, its packages, podmeta with its configs, the user's key, and the machine."""

_CHANGES = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.truncate": 1,
    "os.utime": 1,
    "os.setxattr": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
}
"""Events by which files change, and how many paths each has, which come first."""

_STARTS = frozenset(
    ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
) | {"socket.connect", "socket.bind", "pickle.find_class", "ctypes.dlopen", "os.kill"}
"""Events of which a command that reads data has none."""


_LOOKED_FOR = ("equinox",)
"""What jaxtyping looks for when it makes a message."""


class Tracer:
    """Collects what is against the rules while it is on."""

    def __init__(self) -> None:
        self._own: tuple[Path, ...] | None = None
        self._in_thread = threading.local()
        self.violations: list[str] = []
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def watch(self, *own: Path) -> Iterator[list[str]]:
        """Yields a list that fills with violations.

        Args:
          own: folders in which reading and writing are allowed.
        """
        self.violations = []
        self._own = tuple(path.resolve() for path in own)
        try:
            yield self.violations
        finally:
            self._own = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._own is None or getattr(self._in_thread, "is_judging", False):
            return
        self._in_thread.is_judging = True  # resolving a path has events of its own
        try:
            problem = self._judge(event, arguments, self._own)
        finally:
            self._in_thread.is_judging = False
        if problem is not None:
            self.violations.append(problem)

    def _judge(self, event: str, arguments: tuple[Any, ...], own: tuple[Path, ...]) -> str | None:
        if event in _STARTS:
            return f"{event} {arguments[:2]}"
        if event in _CHANGES:
            outside = [path for path in map(_resolved, arguments[: _CHANGES[event]]) if not _is_within(path, own)]
            return f"{event} {outside}" if outside else None
        if event == "import":
            return _judge_import(arguments[0])
        if event == "open":
            return _judge_open(*arguments, own)
        if event in ("os.listdir", "os.scandir"):
            return _judge_open(arguments[0] or ".", None, os.O_RDONLY, own)
        return None


def _judge_import(module: str) -> str | None:
    top = module.partition(".")[0]
    known = top in sys.stdlib_module_names or top in sys.modules or top in _LOOKED_FOR
    return None if known else f"import {module}"


def _judge_open(path: Any, mode: str | None, flags: int, own: tuple[Path, ...]) -> str | None:
    if isinstance(path, int):  # a descriptor that was opened before
        return None
    link = Path(os.fsdecode(path))
    if flags & os.O_NOFOLLOW and link.is_symlink():  # the system refuses
        return None
    resolved = _resolved(path)
    is_written = bool(flags & (os.O_WRONLY | os.O_RDWR)) or any(letter in (mode or "") for letter in "wax+")
    # A folder is opened for writing only to make a file without a name.
    if _is_within(resolved, own) or resolved in (Path(os.devnull), Path(tempfile.gettempdir()).resolve()):
        return None
    return None if not is_written and _is_within(resolved, _READABLE) else f"open {resolved} {mode} {flags:o}"


def _resolved(path: Any) -> Path:
    return Path("/descriptor") if isinstance(path, int) else Path(os.path.realpath(os.fsdecode(path)))


def _is_within(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)
