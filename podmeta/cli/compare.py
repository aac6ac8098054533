"""`podmeta compare`: groups of runs, setting by setting."""

import json

from podmeta.cli.arguments import Call, Commands, local_path
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError

_DESCRIPTION = """\
Compares groups of runs in every setting that all were tested in.

The group of a run is its directory's name up to the last underscore: symmetric for symmetric_0, symmetric_1 …"""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "compare",
        usage="podmeta compare DIR DIR ... [suite=NAME] [--json]",
        help="compare groups of runs, such as runs/symmetric_* runs/recurrent_*",
        description=_DESCRIPTION,
        keys=("run", "suite"),
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object per setting instead of a table")
    parser.set_defaults(run=compare)


def compare(call: Call) -> None:
    """Prints the comparison.

    Raises:
      InputError: a directory holds no run, or a file of a run is damaged.
    """
    given, others = call.split_words()
    run_paths = [*given["run"], *others]
    if not run_paths:
        raise InputError("name the run directories: podmeta compare runs/symmetric_* runs/recurrent_*")
    paths = [local_path("run", path) for path in run_paths]
    from podmeta.evaluation import comparison

    collected = comparison.collect_scores(paths, given["suite"], call.warn)
    for note in collected.notes:
        call.warn(note)
    comparisons = comparison.compare(collected.settings)
    if call.flags.json:
        for each in comparisons:
            print(json.dumps(comparison.comparison_as_dict(each)))
    else:
        PlainConsole().print(comparison.make_comparison_table(comparisons, collected.updates))
    few_runs = comparison.few_runs_warning(comparisons)
    if few_runs is not None:
        call.warn(few_runs)
