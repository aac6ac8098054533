"""`podmeta evaluate`: meta-testing the θ of a run, or a learned algorithm."""

import shlex
from pathlib import Path

from rich.console import Console

from podmeta.cli.console import PlainConsole
from podmeta.cli.words import TRUST, local_path, set_up, wants_help, warning_on
from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.suites import Suite, experiment_suite, load_suite
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.storage.run_files import EVALUATION
from podmeta.storage.trust import check_card, read_run

_HELP = """\
podmeta evaluate run=DIR [suite=NAME] [beside=DIR] [evaluation.num_tasks=N]
                 [evaluation.settings=[{num_arms: 20}]] [--trust]
podmeta evaluate agent=NAME|FILE.npz suite=NAME [to=DIR] [evaluation.num_tasks=N] [evaluation.seed=N] [--trust]

The rows of a run go to its directory. Those of an agent, which is one of `podmeta list` or a file of `podmeta export`,
go to evaluations/NAME or to=DIR. There, the same command goes on where it was interrupted.
beside= has the learner of another run meet the same tasks, such as MetaRNN's, where its sizes fit.
--trust runs code that the config of somebody else's run names, such as environment.factory, or the card of an agent.

suite="""

_WORDS = ("run", "agent", "suite", "to", "beside")
"""What the command takes besides keys of the config."""

_NUM_TASKS = "evaluation.num_tasks"
_KEYS_WITH_AGENT = (_NUM_TASKS, "evaluation.seed", "devices.cpu", "compilation_cache_dir")


def evaluate(interruption: Interruption, arguments: list[str], console: Console) -> None:
    """Meta-tests what `run=` or `agent=` names.

    Args:
      interruption: says what is safe at Ctrl-C.
      arguments: the words after the command.
      console: where warnings go.

    Raises:
      InputError: a word is wrong.
    """
    if wants_help(arguments):
        print(_HELP)
        for name, description in list_options("evaluation").items():
            print(f"  {name.ljust(18)}  {description}")
        return
    given: dict[str, list[str]] = {word: [] for word in _WORDS}
    overrides = []
    for argument in arguments:
        word, equals, value = argument.partition("=")
        if word in given and equals:
            given[word].append(value)
        elif argument != TRUST:
            overrides.append(argument)
    if len(given["run"]) + len(given["agent"]) != 1:
        raise InputError(
            "name the run directory or the agent, and one of them only: podmeta evaluate run=runs/…, or podmeta "
            "evaluate agent=NAME suite=NAME"
        )
    again, trust = shlex.join(["podmeta", "evaluate", *arguments]), TRUST in arguments
    if given["agent"]:
        _evaluate_agent(interruption, given, overrides, again, console, trust)
    else:
        _evaluate_run(interruption, given, overrides, again, console, trust)


def _evaluate_run(
    interruption: Interruption,
    given: dict[str, list[str]],
    overrides: list[str],
    again: str,
    console: Console,
    trust: bool,
) -> None:
    if given["to"]:
        raise InputError("to= is for agent=: the rows of a run go to its directory")
    run_path = local_path("run", given["run"][0])
    beside = [local_path("beside", path) for path in given["beside"]]
    run = read_run(run_path, overrides, trust)
    job = run.job
    suites = [load_suite(name, job) for name in given["suite"]] or [experiment_suite(job)]
    for suite in suites:
        run.check(suite.settings)
    set_up(job, console)
    from podmeta.evaluation.run import evaluate_run, load_companion
    from podmeta.training.meta_params import restore_meta_params

    interruption.advice = f"the settings measured so far are in {run_path / EVALUATION}; to measure anew: {again}"
    warn = warning_on(console)
    companions = [load_companion(path, warn) for path in beside]
    restored = restore_meta_params(run_path, warn)
    for suite in suites:
        sized = _sized(suite, overrides)
        evaluate_run(job, sized, restored.meta_params, restored.update, run_path, PlainConsole(), companions=companions)


def _evaluate_agent(
    interruption: Interruption,
    given: dict[str, list[str]],
    overrides: list[str],
    again: str,
    console: Console,
    trust: bool,
) -> None:
    for word in ("suite", "to"):
        if len(given[word]) > 1:
            raise InputError(f"{word}= is given twice: an agent is tested on one suite at a time")
    if not given["suite"]:
        raise InputError(f"name the suite: suite=NAME, which is one of {', '.join(list_options('evaluation'))}")
    if given["beside"]:
        raise InputError("beside= is for run=: an agent is tested by itself")
    stray = next((each for each in overrides if each.partition("=")[0] not in _KEYS_WITH_AGENT), None)
    if stray is not None:
        raise InputError(f"{stray!r} is not understood with agent=, which takes {', '.join(_KEYS_WITH_AGENT)}")
    settings = compose_job(overrides)
    set_up(settings, console)
    from podmeta.evaluation.agents import agent_job, agent_meta_params, open_folder
    from podmeta.evaluation.run import evaluate_run
    from podmeta.storage.pretrained import load_pretrained

    pretrained = load_pretrained(given["agent"][0])
    job = agent_job(pretrained, settings)
    suite = _sized(load_suite(given["suite"][0], job), overrides)
    if not trust:
        check_card(pretrained.name, suite.settings)
    meta_params = agent_meta_params(pretrained, job.learner, suite)
    path = local_path("to", given["to"][0]) if given["to"] else Path("evaluations", pretrained.name)
    open_folder(path, pretrained)
    interruption.advice = f"the settings measured so far are in {path / EVALUATION}; to go on: {again}"
    evaluate_run(job, suite, meta_params, pretrained.card.num_updates, path, PlainConsole(), goes_on=True)


def _sized(suite: Suite, overrides: list[str]) -> Suite:
    """The suite, without its own numbers of tasks where the command line gives one."""
    if any(override.partition("=")[0] == _NUM_TASKS for override in overrides):
        return suite._replace(num_tasks=0, num_host_tasks=0)
    return suite
