"""The common part of the parsers of all commands. argparse parses flags; commands parse all other words.

Nothing here imports JAX or Hydra, so that help and messages about wrong flags are instant.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias

from rich.console import Console

from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError


class CommandParser(argparse.ArgumentParser):
    """A parser that raises InputError where argparse would print its usage and exit.

    Args:
      prog: the words that begin the command, such as "podmeta train".
      usage: the whole form of the command.
      description: the beginning of the help.
      more: makes the end of the help. It is called only where help is asked for.
      keys: what the command takes as KEY=VALUE besides keys of the config.
      takes_config: whether it takes keys of the config.
    """

    def __init__(
        self,
        prog: str,
        usage: str,
        description: str,
        more: Callable[[], str] = str,
        keys: Sequence[str] = (),
        takes_config: bool = False,
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._more = more
        self.keys = tuple(keys)
        self.takes_config = takes_config

    def format_help(self) -> str:
        """The help, its end included."""
        return super().format_help() + self._more()

    def flags(self) -> list[str]:
        """All its flags."""
        return list(self._option_string_actions)

    def commands(self) -> "dict[str, CommandParser]":
        """The parsers of its commands, by name."""
        actions = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return {name: parser for action in actions for name, parser in action.choices.items()}

    def error(self, message: str) -> NoReturn:
        """Raises the error that argparse has found.

        Raises:
          InputError: always.
        """
        raise InputError(f"{message}. `{self.prog} --help` shows what it takes")


Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"
"""What a command adds its parser to."""


class Call(NamedTuple):
    """A command as the user has called it.

    Attributes:
      flags: its flags, by name.
      words: its other words in their order, such as KEY=VALUE.
      keys: the keys of its parser.
      again: the whole command, to paste into a shell.
      interruption: says what is safe at Ctrl-C. A command updates it.
      console: where warnings go, and whatever else is no result.
      began: when the command began, in Unix time.
    """

    flags: argparse.Namespace
    words: list[str]
    keys: tuple[str, ...]
    again: str
    interruption: Interruption
    console: Console
    began: float

    def split_words(self) -> tuple[dict[str, list[str]], list[str]]:
        """The values of the command's own keys, and all other words: see `split_words`."""
        return split_words(self.words, self.keys)

    def tell(self, line: str) -> None:
        """Shows a line."""
        self.console.print(line, markup=False)

    def warn(self, line: str) -> None:
        """Shows a warning of one line."""
        self.tell(f"warning: {line}")


def add_trust(parser: CommandParser, what_it_allows: str) -> None:
    """Adds the flag by which a user trusts what somebody else's files say, so that code that they name may run."""
    parser.add_argument("--trust", action="store_true", help=what_it_allows)


def add_config_dir(parser: CommandParser) -> None:
    """Adds the flag that names further folders of presets and experiments."""
    parser.add_argument(
        "--config-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder with presets and experiments of your own, such as DIR/experiment/my_job.yaml",
    )


def config_dirs_in_use(flags: argparse.Namespace) -> AbstractContextManager[None]:
    """Takes presets from the folders of `add_config_dir` too, within the block.

    Raises:
      InputError: one is not a folder.
    """
    folders = getattr(flags, "config_dir", [])
    if not folders:
        return nullcontext()
    from podmeta.config.presets import config_folders_added

    return config_folders_added([local_path("--config-dir", folder) for folder in folders])


def config_dir_flags(flags: argparse.Namespace) -> list[str]:
    """The same folders as flags of another command."""
    return [word for folder in flags.config_dir for word in ("--config-dir", folder)]


def split_words(words: Sequence[str], keys: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Sorts out the words KEY=VALUE of a command's own keys.

    Args:
      words: all words.
      keys: the keys.

    Returns:
      The values by key, each key's in their order, and all other words.
    """
    values: dict[str, list[str]] = {key: [] for key in keys}
    others = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in values and equals:
            values[key].append(value)
        else:
            others.append(word)
    return values, others


def split_directories(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tells run directories from overrides.

    Args:
      words: both, such as runs/first and seed=1.

    Returns:
      The words in which a slash or the end comes before any equals sign, and the overrides. Hydra's +KEY and ~KEY are
      overrides too.
    """
    directories: list[str] = []
    overrides: list[str] = []
    for word in words:
        is_override = "=" in word.partition("/")[0] or word.startswith(("+", "~"))
        (overrides if is_override else directories).append(word)
    return directories, overrides


def at_most_one(key: str, values: Sequence[str]) -> str | None:
    """The value of a key that may be left out.

    Raises:
      InputError: it is given twice.
    """
    if len(values) > 1:
        raise InputError(f"{key}= is given twice: {key}={values[0]} and {key}={values[1]}. Give it once")
    return values[0] if values else None


def listing(title: str, described: Mapping[str, str]) -> str:
    """Names with their descriptions in two columns below a title, for the end of a help."""
    width = max(map(len, described))
    return f"\n{title}\n" + "".join(f"  {name.ljust(width)}  {text}\n" for name, text in described.items())


def local_path(key: str, path: str) -> Path:
    """The path of a KEY=PATH word.

    Raises:
      InputError: it cannot be one of this machine's file system.
    """
    from podmeta.config.paths import check_local

    return Path(check_local(key, path))


def run_to_read(key: str, path: str) -> Path:
    """The run directory of a KEY=PATH word; of a run in an object store, its local copy, brought up to date.

    Raises:
      InputError: it cannot be a path of this machine's file system, or the store holds no run there.
    """
    from podmeta.config.paths import is_store_address

    if not is_store_address(path):
        return local_path(key, path)
    from podmeta.storage.local_copy import fetch_run

    return fetch_run(path)
