"""The user's functions that a config names, such as `my_module:make_env`: imports and calls them."""

import contextlib
import importlib
import inspect
import itertools
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from podmeta.errors import InputError
from podmeta.exits import ExitsRaise, exit_in_words
from podmeta.value_types import Json

_LONGEST_MESSAGE = 800  # characters


class Factory:
    """A function that a config names. Creating it imports the function; only `call` and `make` call it.

    Args:
      section: the part of the config that names it, such as "environment": its keys are `factory` and `options`.
      name: `my_module:make_env`.
      options: the function's further arguments.

    Raises:
      InputError: it cannot be imported.
    """

    def __init__(self, section: str, name: str, options: Mapping[str, Json]) -> None:
        self.section = section
        self.name = name
        self._options = dict(options)
        self._module, _, function = name.partition(":")
        if not self._module or not function:
            raise InputError(f"{section}.factory={name!r} names no function: write it as my_module:make")
        module = self._import()
        if not hasattr(module, function):
            raise InputError(f"{section}.factory={name}: {self._module} has no {function}")
        self._function: Callable[..., Any] = getattr(module, function)
        if not callable(self._function):
            raise InputError(
                f"{section}.factory={name} is of type {type(self._function).__name__}, which cannot be called"
            )

    def takes(self, parameter: str) -> bool:
        """Whether the function has a parameter of that name."""
        try:
            return parameter in inspect.signature(self._function).parameters
        except ValueError:  # of what is built into Python, not all is known
            return False

    def make(self, *arguments: object, **named: object) -> Any:
        """What the function returns for these arguments and its options, or whatever it raises."""
        return self._function(*arguments, **{**self._options, **named})

    def call(self, *arguments: object, **named: object) -> Any:
        """What the function returns for these arguments and its options.

        Raises:
          InputError: it does not take them, or fails.
        """
        try:
            inspect.signature(self._function).bind(*arguments, **{**self._options, **named})
        except ValueError:
            pass
        except TypeError as error:
            given = f" after {len(arguments)} arguments" if arguments else ""
            raise InputError(
                f"{self.section}.options: {self.name} cannot be called with {self._options}{given}: {error}"
            ) from error
        with self.explained():
            return self.make(*arguments, **named)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Within this block, exceptions of the user's code become InputErrors that say where they were raised."""
        try:
            with ExitsRaise():
                yield
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            what = f"{self.section}.factory={self.name} failed"
            raise InputError(f"{what}: {_in_words(error, self._module)}") from error

    def wrong(self, returned: object, wanted: str) -> InputError:
        """The error for a return value of the wrong type."""
        return InputError(
            f"{self.section}.factory={self.name} returned a {type(returned).__name__}, but must return {wanted}"
        )

    def _import(self) -> ModuleType:
        try:
            with ExitsRaise():
                return import_own_module(self._module)
        except (Exception, SystemExit) as error:  # whatever the user's module may raise
            parents = [*itertools.accumulate(self._module.split("."), lambda parent, child: f"{parent}.{child}")]
            if isinstance(error, ModuleNotFoundError) and error.name in parents:
                raise InputError(
                    f"{self.section}.factory={self.name}: {self._module} cannot be imported ({error}): run podmeta in "
                    "the folder that holds it, or add it to PYTHONPATH"
                ) from error
            raise InputError(
                f"{self.section}.factory={self.name}: {self._module} failed when it was imported: "
                f"{_in_words(error, self._module)}"
            ) from error


def import_own_module(module: str) -> ModuleType:
    """Imports a module of the user's, such as that of a factory. It may be in the current folder.

    The folder is added to the import path only here, after the user has named a module, and at its end. So no file in
    it replaces an installed package, and none runs if no module is named.

    Raises:
      Exception: whatever importing it raises.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(module)


def _in_words(error: BaseException, module: str) -> str:
    """An error of the user's code in one line, with its place in their module."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        what = exit_in_words(error)
    what = " ".join(what.split())[:_LONGEST_MESSAGE]
    if isinstance(error, SyntaxError):  # says where
        return what
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame, line) for frame, line in frames if frame.f_globals.get("__name__") == module]
    frame, line = (own or frames)[-1]
    return f"{what} ({frame.f_code.co_filename}, line {line})"
