"""`podmeta report`: one page about runs."""

from podmeta.cli.arguments import Call, Commands, add_config_dir, add_trust, at_most_one, local_path, run_to_read
from podmeta.errors import InputError

_DEFAULT_TARGET = "report.html"


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "report",
        usage="podmeta report DIR DIR ... [to=FILE.html] [--trust]",
        help="write one page about runs, which opens from disk",
        description=f"Writes one page (default: {_DEFAULT_TARGET}) that needs no network.",
        keys=("run", "to"),
    )
    add_config_dir(parser)
    add_trust(parser, "draw lifetimes even if the config of somebody else's run names a file for it")
    parser.set_defaults(run=report)


def report(call: Call) -> None:
    """Writes the page.

    Raises:
      InputError: a directory holds no run, a file of a run is damaged, or the page cannot be written.
    """
    given, others = call.split_words()
    run_paths = [*given["run"], *others]
    if not run_paths:
        raise InputError("name the run directories: podmeta report runs/a runs/b")
    paths = [run_to_read("run", path) for path in run_paths]
    target = local_path("to", at_most_one("to", given["to"]) or _DEFAULT_TARGET)
    from podmeta.evaluation.report.page import write_report

    for note in write_report(paths, target, call.warn, trust=call.flags.trust):
        call.warn(note)
    call.tell(f"wrote {target}")
