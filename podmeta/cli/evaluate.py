"""`podmeta evaluate`: meta-tests the θ of a run, or a learned algorithm."""

from pathlib import Path

from podmeta.cli.arguments import (
    Call,
    Commands,
    add_config_dir,
    add_trust,
    at_most_one,
    listing,
    local_path,
    run_to_read,
    split_directories,
)
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError

_USAGE = """\
podmeta evaluate DIR [suite=NAME|FILE.yaml] [checkpoint=best] [beside=DIR]
                        [evaluation.num_tasks=N] [evaluation.settings=[{num_arms: 20}]] [--trust]
       podmeta evaluate agent=NAME|FILE.npz suite=NAME [to=DIR] [evaluation.num_tasks=N]
                        [evaluation.seed=N] [--trust]"""

_DESCRIPTION = """\
Meta-tests the θ of a run, finished or not, or a learned algorithm.

The rows of a run go to its directory. Those of an agent, from `podmeta list` or `podmeta export`,
go to evaluations/NAME or to=DIR. There, the same command resumes an interrupted test.
checkpoint=best tests the θ with the best meta-test during training, and its rows go to DIR/best.
beside= tests the learner of another run, such as MetaRNN, on the same tasks, if its sizes fit."""

_KEYS_WITH_AGENT = ("evaluation.num_tasks", "evaluation.seed", "devices.cpu", "compilation_cache_dir")


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "evaluate",
        usage=_USAGE,
        help="meta-test a finished or interrupted run, or a learned algorithm, also on a suite",
        description=_DESCRIPTION,
        more=_suites,
        keys=("run", "agent", "suite", "checkpoint", "to", "beside"),
        takes_config=True,
    )
    add_config_dir(parser)
    add_trust(parser, "run code that the config of somebody else's run names, such as environment.factory, or a card")
    parser.set_defaults(run=evaluate)


def evaluate(call: Call) -> None:
    """Meta-tests what `run=` or `agent=` names.

    Raises:
      InputError: a word is wrong, or what is named cannot be tested so.
    """
    given, others = call.split_words()
    directories, overrides = split_directories(others)
    given["run"] += directories
    if len(given["run"]) + len(given["agent"]) != 1:
        raise InputError(
            "name the run directory or the agent, and one of them only: podmeta evaluate run=runs/…, or podmeta "
            "evaluate agent=NAME suite=NAME"
        )
    if given["agent"]:
        _evaluate_agent(call, given, overrides)
    else:
        _evaluate_run(call, given, overrides)


def _evaluate_run(call: Call, given: dict[str, list[str]], overrides: list[str]) -> None:
    if given["to"]:
        raise InputError("to= is for agent=: the rows of a run go to its directory")
    from podmeta.config.suites import experiment_suite, load_suite
    from podmeta.distributed.set_up import set_up
    from podmeta.storage.run_files import EVALUATION
    from podmeta.storage.trust import read_run

    named = given["run"][0]
    run_path = run_to_read("run", named)
    checkpoint = at_most_one("checkpoint", given["checkpoint"])
    beside = [run_to_read("beside", path) for path in given["beside"]]
    run = read_run(run_path, overrides, call.flags.trust)
    job = run.job
    chosen = [load_suite(name, job) for name in given["suite"]] or [experiment_suite(job)]
    suites = [suite.sized_by(overrides) for suite in chosen]
    for suite in suites:
        run.check(suite.settings, own_texts=suite.own_texts)
    set_up(job, call.warn)
    from podmeta.evaluation.logged_results import log_results
    from podmeta.evaluation.run import evaluate_run, load_companion, rows_folder
    from podmeta.training.meta_params import NEWEST, restore_meta_params
    from podmeta.training.published import published_run

    with published_run(named, call.tell):
        restored = restore_meta_params(run_path, call.warn, checkpoint or NEWEST)
        folder = rows_folder(run_path, checkpoint or NEWEST)
        call.interruption.advice = (
            f"the settings measured so far are in {folder / EVALUATION}; to measure anew: {call.again}"
        )
        companions = [load_companion(path, call.warn, call.flags.trust) for path in beside]
        for suite in suites:
            rows = evaluate_run(job, suite, restored.meta_params, restored.updates, folder, PlainConsole(), companions)
            if folder == run_path:
                log_results(job, suite, restored.meta_params, run_path, rows, call.warn)


def _evaluate_agent(call: Call, given: dict[str, list[str]], overrides: list[str]) -> None:
    from podmeta.config.compose import compose_job
    from podmeta.config.presets import list_options
    from podmeta.config.suites import load_suite
    from podmeta.distributed.set_up import set_up
    from podmeta.storage.run_files import EVALUATION
    from podmeta.storage.trust import check_card

    suite_name, to = at_most_one("suite", given["suite"]), at_most_one("to", given["to"])
    if suite_name is None:
        raise InputError(f"name the suite: suite=NAME, which is one of {', '.join(list_options('evaluation'))}")
    if given["beside"]:
        raise InputError("beside= is for run=: an agent is tested by itself")
    if given["checkpoint"]:
        raise InputError("checkpoint= is for run=: an agent has one θ")
    stray = next((each for each in overrides if each.partition("=")[0] not in _KEYS_WITH_AGENT), None)
    if stray is not None:
        raise InputError(f"{stray!r} is not understood with agent=, which takes {', '.join(_KEYS_WITH_AGENT)}")
    settings = compose_job(overrides)
    set_up(settings, call.warn)
    from podmeta.evaluation.agents import agent_job, agent_meta_params, open_folder
    from podmeta.evaluation.run import evaluate_run
    from podmeta.storage.pretrained import load_pretrained

    pretrained = load_pretrained(given["agent"][0])
    job = agent_job(pretrained, settings)
    suite = load_suite(suite_name, job).sized_by(overrides)
    if not call.flags.trust:
        check_card(pretrained.name, pretrained.learner_config, suite.settings, suite.own_texts)
    meta_params = agent_meta_params(pretrained, job.learner, suite)
    path = local_path("to", to) if to else Path("evaluations", pretrained.name)
    open_folder(path, pretrained)
    call.interruption.advice = f"the settings measured so far are in {path / EVALUATION}; to resume: {call.again}"
    evaluate_run(job, suite, meta_params, pretrained.card.num_updates, path, PlainConsole(), goes_on=True)


def _suites() -> str:
    """All suites, for the help."""
    from podmeta.config.presets import list_options

    return listing("suite=", list_options("evaluation"))
