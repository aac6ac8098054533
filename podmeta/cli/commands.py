"""The commands of the command line, each a function of its arguments."""

import functools
import json
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from podmeta.cli.console import PlainConsole
from podmeta.cli.evaluate import evaluate
from podmeta.cli.words import TRUST, local_path, set_up, wants_help, warning_on
from podmeta.config.compose import compose_job
from podmeta.config.paths import to_paste
from podmeta.config.presets import list_options
from podmeta.config.schema import GROUPS, MixtureConfig
from podmeta.config.suites import experiment_suite
from podmeta.distributed.libtpu import quieten_libtpu
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError, PodmetaError

USAGE = """\
podmeta meta-trains reinforcement learning algorithms.

  podmeta train experiment=NAME [KEY=VALUE ...]   meta-train, then meta-test
  podmeta evaluate run=DIR [suite=NAME]           meta-test a finished or interrupted run again, or on a suite
  podmeta evaluate agent=NAME suite=NAME          meta-test a learned algorithm on a suite
  podmeta compare DIR DIR ...                     compare groups of runs, such as runs/symmetric_* runs/recurrent_*
  podmeta report DIR DIR ... [to=FILE.html]       one page about runs, which opens from disk
  podmeta export run=DIR to=FILE.npz              make a learned algorithm of a finished run: θ and a card
  podmeta play agent=NAME environment=NAME[/ID]   let a learned algorithm live one lifetime, and draw what it earns
  podmeta list                                    the learned algorithms that ship with podmeta
  podmeta bench NAME                              measure this machine: core, anakin, sebulba, agent, memory, scaling
  podmeta plan experiment=NAME topology=v5e:16x16 what a job needs and reaches on devices that are not here
  podmeta COMMAND --help                          more about a command
"""

PLAN_HELP = """\
podmeta plan experiment=NAME topology=PRODUCT:SIZE [KEY=VALUE ...] [stage=N] [--json]

Compiles the job's own update for devices that are not here, and says what it needs of their memory, what it computes
and exchanges, a bound on its speed, and the largest population (or number of lifetimes) that fits. Products: v4, v5e,
v5p and v6e, such as v5e:16x16, for which libtpu is needed (pip install 'podmeta[tpu]'); and h100:1, 2, 4 or 8, for
which JAX's CUDA plugin is (pip install 'podmeta[plan-cuda]'). Of a job with stages it plans the last, or stage=N.
"""


def run(arguments: list[str], interruption: Interruption) -> int:
    """Runs one command.

    Args:
      arguments: its name, and the words after it.
      interruption: says what is safe at Ctrl-C. Commands change that as they go on.

    Returns:
      The exit code.
    """
    quieten_libtpu()
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    commands: dict[str, Callable[[list[str], Console], None]] = {
        "train": functools.partial(_train, interruption),
        "evaluate": functools.partial(evaluate, interruption),
        "compare": _compare,
        "report": _report,
        "export": _export,
        "play": _play,
        "list": _list,
        "bench": _bench,
        "plan": _plan,
    }
    try:
        if not arguments or arguments[0] in ("--help", "-h", "help"):
            print(USAGE, end="")
            return 0
        if arguments[0] not in commands:
            raise InputError(f"unknown command {arguments[0]!r}: choose one of {', '.join(commands)}")
        commands[arguments[0]](arguments[1:], console)
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


def _train(interruption: Interruption, arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print(_train_help())
        return
    if "--multirun" in arguments:
        _sweep(interruption, [argument for argument in arguments if argument != "--multirun"], console)
        return
    job = compose_job(arguments)
    set_up(job, console)
    from podmeta.distributed.processes import is_first
    from podmeta.training.loop import train

    if job.evaluation.enabled:
        from podmeta.evaluation.run import check_files, check_settings

        check_settings(job)
        if job.run_dir:
            check_files(Path(job.run_dir), warning_on(console))
    result = train(job, lambda line: console.print(line, markup=False))
    if result.stopped_by is not None:
        console.print(
            f"stopped by {result.stopped_by} at update {result.update} of {job.num_updates}; a checkpoint is saved: "
            f"to go on, give the same command with {to_paste('run_dir', result.run_path)}",
            markup=False,
        )
    elif job.evaluation.enabled and is_first():
        from podmeta.evaluation.done import is_tested
        from podmeta.evaluation.run import evaluate_run

        if is_tested(job, result.run_path):
            console.print(
                f"nothing left to test: the meta-test of this θ is in {result.run_path / 'evaluation.jsonl'}; podmeta "
                f"evaluate {to_paste('run', result.run_path)} repeats it",
                markup=False,
            )
            return
        interruption.advice = (
            f"θ and what the meta-test has measured so far are in {result.run_path}; to go on: "
            f"podmeta evaluate {to_paste('run', result.run_path)}"
        )
        evaluate_run(job, experiment_suite(job), result.meta_params, result.update, result.run_path, PlainConsole())


def _sweep(interruption: Interruption, overrides: list[str], console: Console) -> None:
    from podmeta.sweep import plan_sweep, run_sweep, sweep_table

    runs = plan_sweep(overrides)
    base = runs[0].run_path.parent
    resume = to_paste("run_dir", base)
    interruption.advice = f"what its runs have saved is in {base}; to go on, give the same command with {resume}"
    try:
        stopped = run_sweep(runs, lambda line: console.print(line, markup=False))
    except KeyboardInterrupt:
        console.print(f"interrupted: {interruption.advice}", markup=False)
        raise
    table, notes = sweep_table(runs, warning_on(console))
    PlainConsole().print(table)
    for note in notes:
        console.print(f"warning: {note}", markup=False)
    if stopped is not None:
        console.print(f"stopped by {stopped}: to go on, give the same command with {resume}", markup=False)
    elif any(not run.is_done() for run in runs):
        raise PodmetaError(f"not every run reached its end: the same command with {resume} tries those again")


def _compare(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print("podmeta compare DIR DIR ... [suite=NAME]")
        print("The group of a run is its directory's name up to the last underscore: symmetric_0, symmetric_1 …")
        return
    suites = [argument.removeprefix("suite=") for argument in arguments if argument.startswith("suite=")]
    run_paths = [local_path("run", argument) for argument in arguments if not argument.startswith("suite=")]
    if not run_paths:
        raise InputError("name the run directories: podmeta compare runs/symmetric_* runs/recurrent_*")
    from podmeta.evaluation.comparison import collect_scores, compare, few_runs_warning, make_comparison_table

    collected = collect_scores(run_paths, suites, warning_on(console))
    for note in collected.notes:
        console.print(f"warning: {note}", markup=False)
    comparisons = compare(collected.settings)
    PlainConsole().print(make_comparison_table(comparisons, collected.updates))
    few_runs = few_runs_warning(comparisons)
    if few_runs is not None:
        console.print(f"warning: {few_runs}", markup=False)


def _report(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print("podmeta report DIR DIR ... [to=FILE.html] [--trust]")
        print("writes one page (default: report.html) that needs no network")
        print("--trust draws lifetimes also where the config of somebody else's run names a file for it.")
        return
    targets = [argument.removeprefix("to=") for argument in arguments if argument.startswith("to=")]
    run_paths = [local_path("run", word) for word in arguments if word != TRUST and not word.startswith("to=")]
    if not run_paths:
        raise InputError("name the run directories: podmeta report runs/a runs/b")
    from podmeta.evaluation.report.page import write_report

    target = local_path("to", targets[-1] if targets else "report.html")
    for note in write_report(run_paths, target, warning_on(console), trust=TRUST in arguments):
        console.print(f"warning: {note}", markup=False)
    console.print(f"wrote {target}", markup=False)


def _export(arguments: list[str], console: Console) -> None:
    usage = "podmeta export run=DIR to=FILE.npz [instance=N] [description=TEXT] [limits=TEXT]"
    if wants_help(arguments):
        print(usage)
        return
    given = _values(arguments, usage, needed=("run", "to"), optional=("instance", "description", "limits"))
    instance = given.get("instance", "0")
    if not instance.isdecimal():
        raise InputError(f"instance={instance} is not a number: {usage}")
    from podmeta.training.export import export_run

    target = local_path("to", given["to"])
    described = (given.get("description", ""), given.get("limits", ""))
    card, notes = export_run(local_path("run", given["run"]), target, int(instance), *described, warning_on(console))
    for note in notes:
        console.print(f"warning: {note}", markup=False)
    console.print(f"wrote {target} and its card {target.with_suffix('.json')}", markup=False)
    if not card.results:
        console.print("warning: the card has no results: podmeta evaluate run=… gives the run some", markup=False)


def _play(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print("podmeta play agent=NAME environment=NAME[/ID] [environment.KEY=VALUE ...] [seed=N]")
        print("  agent        one of `podmeta list`, or an .npz file of `podmeta export`")
        print("  environment  as `podmeta train` takes it, such as bandit or gymnasium/CartPole-v1")
        return
    agents = [argument.removeprefix("agent=") for argument in arguments if argument.startswith("agent=")]
    if len(agents) != 1:
        raise InputError("name the learned algorithm: podmeta play agent=NAME; `podmeta list` tells which there are")
    job = compose_job([argument for argument in arguments if not argument.startswith("agent=")])
    if isinstance(job.environment, MixtureConfig):
        raise InputError("environment=mixture is several environments: name one to play in")
    set_up(job, console)
    from podmeta.agent import load_agent
    from podmeta.evaluation.play import open_dm_environment, play, show_lifetime

    algorithm = load_agent(agents[0])
    with open_dm_environment(job.environment, job.seed) as environment:
        show_lifetime(play(algorithm, environment, job.environment.lifetime_length, job.seed), PlainConsole())


def _list(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print("podmeta list tells which learned algorithms ship with podmeta")
        return
    _values(arguments, "podmeta list takes no further word", needed=(), optional=())
    from podmeta.storage.pretrained import list_pretrained, load_pretrained

    for name in list_pretrained():
        card = load_pretrained(name).card
        print(f"{name}\n  {card.description}\n  limits: {card.limits}\n  {card.command} (seed {card.seed})")


def _values(arguments: list[str], usage: str, needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    """The KEY=VALUE arguments of a command that has no config."""
    given = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in (*needed, *optional) or not equals:
            raise InputError(f"{argument!r} is not understood: {usage}")
        given[key] = value
    for key in needed:
        if not given.get(key):
            raise InputError(f"{key}= is missing: {usage}")
    return given


def _bench(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print("podmeta bench NAME prints JSON lines; NAME is one of: core, anakin, sebulba, agent, memory, scaling")
        return
    if arguments not in (["core"], ["anakin"], ["sebulba"], ["agent"], ["memory"], ["scaling"]):
        raise InputError("name one benchmark: podmeta bench core, anakin, sebulba, agent, memory or scaling")
    from podmeta.benchmarks.agent import bench_agent
    from podmeta.benchmarks.anakin import bench_anakin
    from podmeta.benchmarks.core import bench_core
    from podmeta.benchmarks.memory import bench_memory
    from podmeta.benchmarks.scaling import bench_scaling
    from podmeta.benchmarks.sebulba import bench_sebulba

    benchmarks = {
        "core": bench_core,
        "anakin": bench_anakin,
        "sebulba": bench_sebulba,
        "agent": bench_agent,
        "memory": bench_memory,
        "scaling": bench_scaling,
    }
    benchmarks[arguments[0]]()


def _plan(arguments: list[str], console: Console) -> None:
    if wants_help(arguments):
        print(PLAN_HELP, end="")
        return
    topologies = [argument.removeprefix("topology=") for argument in arguments if argument.startswith("topology=")]
    stages = [argument.removeprefix("stage=") for argument in arguments if argument.startswith("stage=")]
    if len(topologies) != 1:
        raise InputError("name one topology: podmeta plan experiment=bandit topology=v5e:16x16")
    if len(stages) > 1 or not all(map(str.isdecimal, stages)):
        raise InputError("stage= takes the number of one stage, from 0")
    from podmeta.planning.topologies import parse_topology

    topology = parse_topology(topologies[0])
    job = compose_job(
        [argument for argument in arguments if not argument.startswith(("topology=", "stage=", "--json"))]
    )
    from podmeta.distributed.devices import set_up_for_absent_devices
    from podmeta.planning.plan import make_plan
    from podmeta.planning.report import plan_as_dict, plan_as_table

    set_up_for_absent_devices()
    stage = int(stages[0]) if stages else None
    plan = make_plan(job, topology, stage, lambda line: console.print(line, markup=False))
    if "--json" in arguments:
        print(json.dumps(plan_as_dict(plan)))
    else:
        PlainConsole().print(plan_as_table(plan))


def _train_help() -> str:
    lines = [
        "podmeta train experiment=NAME [GROUP=CHOICE ...] [KEY=VALUE ...]",
        "",
        "Keys are Hydra overrides: outer.learning_rate=0.01 environment.num_arms=10 devices.cpu=4 run_dir=my_run",
        "The same command with the same run_dir goes on where the run stopped.",
        "With --multirun, values with commas are swept: outer.learning_rate=0.01,0.03 seed=0,1,2 are six runs.",
    ]
    for group in ("experiment", *GROUPS):
        options = list_options(group)
        width = max(map(len, options))
        lines += ["", f"{group}="]
        lines += [f"  {name.ljust(width)}  {description}" for name, description in options.items()]
    return "\n".join(lines)
