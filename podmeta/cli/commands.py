"""The commands together: one parser for the command line, and one place that turns errors into exit codes."""

import shlex
import traceback

from podmeta import __version__
from podmeta.cli import bench, check, compare, evaluate, export, list_, plan, play, report, status, train, watch
from podmeta.cli.arguments import Call, CommandParser, config_dirs_in_use
from podmeta.cli.completion import SCRIPTS, PrintScript, candidates
from podmeta.cli.console import PlainConsole
from podmeta.distributed.libtpu import quieten_libtpu
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError, PodmetaError

COMMANDS = (train, status, watch, evaluate, compare, report, export, play, list_, bench, check, plan)
"""Modules with one command each, in the order of the help."""


def make_parser() -> CommandParser:
    """The parser of the whole command line. It leaves words that are not flags to the commands."""
    parser = CommandParser(
        prog="podmeta",
        usage="podmeta COMMAND [KEY=VALUE ...]",
        description="podmeta meta-trains reinforcement learning algorithms.",
        more=lambda: "\n`podmeta COMMAND --help` shows more about a command.\n",
    )
    parser.add_argument("--version", action="version", version=f"podmeta {__version__}")
    parser.add_argument(
        "--completion", action=PrintScript, choices=tuple(SCRIPTS), help="print the completion script of a shell"
    )
    commands = parser.add_subparsers(prog="podmeta", title="commands", metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def run(arguments: list[str], interruption: Interruption, began: float) -> int:
    """Runs one command.

    Args:
      arguments: its name, and the words after it.
      interruption: says what is safe at Ctrl-C. Commands update it.
      began: when the command began, in Unix time.

    Returns:
      The exit code.
    """
    quieten_libtpu()
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    try:
        _run(arguments if arguments[:1] not in ([], ["help"]) else ["--help"], interruption, console, began)
        code = 0
    except InputError as error:
        console.print(f"error: {error}", markup=False)
        code = 2
    except PodmetaError as error:
        console.print(f"failed: {error}", markup=False)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except Exception:
        console.print(traceback.format_exc().rstrip(), markup=False)
        code = 1
    return code


def _run(arguments: list[str], interruption: Interruption, console: PlainConsole, began: float) -> None:
    if arguments[0] == "--complete":  # for the scripts of --completion
        for word in candidates(make_parser(), arguments[1:]):
            print(word)
        return
    try:
        parser = make_parser()
        flags, words = parser.parse_known_args(arguments)
    except SystemExit:  # argparse has printed the help or the version
        return
    stray = next((word for word in words if word.startswith("-")), None)
    if stray is not None:
        raise InputError(
            f"{stray!r} is not a flag of podmeta {flags.command}: `podmeta {flags.command} --help` lists them. Write "
            "KEY=VALUE without dashes"
        )
    with config_dirs_in_use(flags):
        keys, again = parser.commands()[flags.command].keys, shlex.join(["podmeta", *arguments])
        flags.run(Call(flags, words, keys, again, interruption, console, began))
