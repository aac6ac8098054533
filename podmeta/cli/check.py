"""`podmeta check`: proves a machine."""

import json
import time

from podmeta.checks import CHECKS
from podmeta.cli.arguments import Call, Commands, at_most_one, listing, local_path
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError, PodmetaError

_DESCRIPTION = """\
Checks that podmeta computes correctly on this machine, and measures what the machine reaches and what limits it. Prints
a table, and writes all figures with their tolerances to a JSON file. Exits with 1 if a check fails, and names it.

  minutes=N       how long it may take; what does not fit is left out of the throughput (default 6)
  only=NAME,...   some of the checks
  to=FILE         the JSON file (default podmeta_check.json)
  devices.cpu=N   without an accelerator, the CPU appears as N devices (default 2)
"""
_DEFAULT_MINUTES = 6.0
_DEFAULT_FILE = "podmeta_check.json"
_DEFAULT_CPU_DEVICES = 2


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    commands.add_parser(
        "check",
        usage="podmeta check [minutes=N] [only=NAME,...] [to=FILE] [devices.cpu=N]",
        help="check in a few minutes that this machine computes correctly, and how fast",
        description=_DESCRIPTION,
        more=lambda: listing("NAME", CHECKS),
        keys=("minutes", "only", "to", "devices.cpu"),
    ).set_defaults(run=check)


def check(call: Call) -> None:
    """Runs the checks.

    Raises:
      InputError: a word is wrong, or JAX finds no device.
      PodmetaError: a check failed.
    """
    start = time.perf_counter()
    given, others = call.split_words()
    if others:
        raise InputError(f"podmeta check does not take {others[0]!r}: `podmeta check --help` shows what it takes")
    minutes = _number("minutes", given["minutes"], _DEFAULT_MINUTES)
    names = _names(at_most_one("only", given["only"]))
    path = local_path("to", at_most_one("to", given["to"]) or _DEFAULT_FILE)
    if not path.parent.is_dir():
        raise InputError(f"to={path}: there is no folder {path.parent}")
    num_cpu_devices = _number("devices.cpu", given["devices.cpu"], _DEFAULT_CPU_DEVICES)
    if num_cpu_devices % 1:
        raise InputError(f"devices.cpu={num_cpu_devices:g} is not a whole number")
    from podmeta.checks.report import limit_of, results_as_dict, results_as_table
    from podmeta.checks.run import make_setting, run_checks
    from podmeta.distributed.compilation_cache import use_compilation_cache
    from podmeta.distributed.devices import describe_devices, set_up_devices
    from podmeta.storage.files import write_atomically

    set_up_devices(int(num_cpu_devices))
    for warning in use_compilation_cache("auto"):
        call.warn(warning)
    results = run_checks(names, make_setting(start + 60.0 * minutes), call.tell)
    write_atomically(path, json.dumps(results_as_dict(results, describe_devices()), indent=1) + "\n")
    console, limit = PlainConsole(), limit_of(results)
    console.print(results_as_table(results))
    if limit is not None:
        console.print(limit)
    failed = [f"check {result.name}: {result.problem}" for result in results if not result.passed]
    if failed:
        raise PodmetaError("\nfailed: ".join(failed))


def _names(only: str | None) -> list[str]:
    if only is None:
        return list(CHECKS)
    names = only.split(",")
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        raise InputError(f"only={only}: there is no check {unknown[0]!r}, but {', '.join(CHECKS)}")
    return [name for name in CHECKS if name in names]


def _number(key: str, values: list[str], default: float) -> float:
    given = at_most_one(key, values)
    if given is None:
        return default
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise InputError(f"{key}={given} is not a positive number")
    return number
