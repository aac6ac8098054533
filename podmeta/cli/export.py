"""`podmeta export`: a learned algorithm of a run."""

from podmeta.cli.arguments import (
    Call,
    Commands,
    add_config_dir,
    add_trust,
    at_most_one,
    local_path,
    run_to_read,
    split_directories,
)
from podmeta.errors import InputError

_USAGE = "podmeta export DIR to=FILE.npz [checkpoint=best] [instance=N] [description=TEXT] [limits=TEXT] [--trust]"


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "export",
        usage=_USAGE,
        help="export the learned algorithm of a finished run: θ and a card",
        description="Writes θ of a run to FILE.npz, and its card beside it. instance=N is one of several instances.\n"
        "checkpoint=best takes the θ with the best meta-test during training, also of an unfinished run.",
        keys=("run", "to", "instance", "checkpoint", "description", "limits"),
    )
    add_config_dir(parser)
    add_trust(parser, "run code that the config of somebody else's run names as its learner")
    parser.set_defaults(run=export)


def export(call: Call) -> None:
    """Writes θ and its card.

    Raises:
      InputError: a word is wrong, the directory holds no run, or a file cannot be written.
    """
    given, others = call.split_words()
    directories, stray = split_directories(others)
    if stray:
        raise InputError(f"{stray[0]!r} is not understood: {_USAGE}")
    given["run"] += directories
    values = {key: at_most_one(key, given[key]) or "" for key in call.keys}
    for key, what in (("run", "the run directory"), ("to", "to=")):
        if not values[key]:
            raise InputError(f"{what} is missing: {_USAGE}")
    instance = values["instance"] or "0"
    if not instance.isdecimal():
        raise InputError(f"instance={instance} is not a number: {_USAGE}")
    target = local_path("to", values["to"])
    run_path = run_to_read("run", values["run"])
    from podmeta.training.export import export_run
    from podmeta.training.meta_params import NEWEST

    card, notes = export_run(
        run_path,
        target,
        int(instance),
        values["description"],
        values["limits"],
        call.warn,
        call.flags.trust,
        checkpoint=values["checkpoint"] or NEWEST,
    )
    for note in notes:
        call.warn(note)
    call.tell(f"wrote {target} and its card {target.with_suffix('.json')}")
    if not card.results:
        call.warn("the card has no results: podmeta evaluate run=… adds some to the run")
