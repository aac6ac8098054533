"""`podmeta bench`: measures this machine."""

from podmeta.benchmarks import BENCHMARKS, load_benchmark
from podmeta.cli.arguments import Call, Commands, listing
from podmeta.errors import InputError


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    commands.add_parser(
        "bench",
        usage="podmeta bench NAME",
        help=f"measure this machine: {', '.join(BENCHMARKS)}",
        description="Measures this machine, and prints JSON lines.",
        more=lambda: listing("NAME", BENCHMARKS),
    ).set_defaults(run=bench)


def bench(call: Call) -> None:
    """Runs one benchmark.

    Raises:
      InputError: there is none of that name.
    """
    if len(call.words) != 1 or call.words[0] not in BENCHMARKS:
        raise InputError(f"name one benchmark: podmeta bench NAME, which is one of {', '.join(BENCHMARKS)}")
    load_benchmark(call.words[0])()
