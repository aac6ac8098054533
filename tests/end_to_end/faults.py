"""Kills, interrupts and signals podmeta at random moments, and counts what goes wrong. Linux only.

    python -m tests.end_to_end.faults --tries 200 --seed 0 [--only evaluate] [--signal SIGINT]

Every command runs once undisturbed. Then it is started again and again in one folder, and disturbed at a random moment
of its undisturbed time, until a start comes to its end. Its results must be those of the undisturbed run, and no start
may lose a checkpoint, or the work of more than one interval. Moments count from when Python begins to import podmeta: a
signal before that reaches Python alone. Where checkpoints are saved in the background, moments count from the first
update that a start has shown. What a disturbance has left of a save or a publication that was under way is counted.

The store is moto's server on loopback. Half of the disturbances take the machine too: its copy of the run is deleted.

Prints a table. The exit code is 1 if anything went wrong.
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from podmeta.storage.checkpoint_files import CHECKSUMS
from tests.end_to_end.job import JOB, OFTEN, REPOSITORY, TINY
from tests.end_to_end.outcomes import (
    LOST,
    PUBLISHING,
    RESULTS,
    SAVING,
    UPDATE,
    left_under_way,
    lost_updates,
    newest_checkpoints,
    problems_of_kept,
    problems_of_progress,
    results_in,
)
from tests.object_store import BUCKET, Store, empty_store, served
from tests.portable import QUICK_TO_COMPILE

SECONDS_TO_END = 60.0
"""After a signal. A command that runs on for longer hangs."""

SECONDS_FOR_CHILDREN = 5.0
"""After a command has ended. A process of it that is still there is an orphan."""

TRACEBACK, SEGFAULT, ORPHAN, HANG = "traceback", "segfault", "orphan", "hang"
EXIT_CODE, NO_WORD, NOT_RESUMED = "exit code", "no word", "not resumed"
PROBLEMS = (TRACEBACK, SEGFAULT, ORPHAN, HANG, EXIT_CODE, NO_WORD, NOT_RESUMED, LOST)
UNDER_WAY = (SAVING, PUBLISHING)

_MARK = "PODMETA_FAULTS"
_CACHE = "cache"  # of a machine, in whose folder it is
_PODMETA, _LOCAL, _WITH_QUICK_LOCKS = "podmeta.cli", "launch.local", "tests.end_to_end.quick_locks"
_SETTINGS = "evaluation.settings=[{num_arms: 2}, {num_arms: 3}, {num_arms: 4}]"
_SEBULBA = (
    "architecture=sebulba",
    "architecture.updates_per_call=4",
    "environment.factory=tests.environments.host.factories:Script",
    "environment.lifetime_length=40",
    "environment.vectorisation=processes",
    "environment.num_processes=2",
    "learner=recurrent",
    "learner.hidden_size=4",
    "outer=actor_critic",
    "outer.num_lifetimes=4",
    "outer.unroll_length=10",
    "evaluation.enabled=false",
)
_TRAINED = (*TINY, "num_updates=4")
_TESTED = (*_TRAINED, _SETTINGS)
_EVERY_UPDATES = "checkpoint.every_updates="
_ASYNCHRONOUS = ("checkpoint.asynchronous=true", f"{_EVERY_UPDATES}12", "logging.tensorboard=false")
"""Checkpoints take longer than the updates between them, so that nearly always one is under way."""
_SECONDS_OF_A_START = 4.0  # at most, from its first update on, where checkpoints are saved in the background
_TESTED_MEANWHILE = ("evaluation.every_updates=12", "evaluation.periodic_tasks=4")


class Fault(NamedTuple):
    """Signals that are sent one after the other."""

    name: str
    signals: tuple[signal.Signals, ...]

    def allowed_codes(self) -> set[int]:
        """The exit codes, as a shell shows them, of a command that ends as it should."""
        return {0, *(128 + number for number in self.signals)}


FAULTS = (
    Fault("SIGKILL", (signal.SIGKILL,)),
    Fault("SIGINT", (signal.SIGINT,)),
    Fault("SIGTERM", (signal.SIGTERM,)),
    Fault("SIGINT twice", (signal.SIGINT, signal.SIGINT)),
    Fault("SIGHUP", (signal.SIGHUP,)),
)


class Scenario(NamedTuple):
    """A command to disturb.

    Attributes:
      module: its `main` is the command.
      arguments: of the command, besides the run directory.
      run_key: the key that names the run directory.
      after_training: whether the run directory holds a trained run at first.
      exact: whether an interrupted command comes to the same results, bit for bit. Host environments begin anew.
      in_store: whether the run directory is in an object store.
    """

    module: str
    arguments: tuple[str, ...]
    run_key: str = "run_dir"
    after_training: bool = False
    exact: bool = True
    in_store: bool = False

    def run_in(self, folder: Path) -> str:
        """The run directory, for which the folder stands."""
        return f"s3://{BUCKET}/{folder.name}/run" if self.in_store else str(folder / "run")

    @property
    def saves_in_background(self) -> bool:
        """Whether it trains on while checkpoints are written."""
        return _ASYNCHRONOUS[0] in self.arguments

    def interval(self) -> int:
        """Updates between two checkpoints."""
        found = [word.removeprefix(_EVERY_UPDATES) for word in self.arguments if word.startswith(_EVERY_UPDATES)]
        return int(found[-1])


SCENARIOS = {
    "training": Scenario(_PODMETA, ("train", *JOB, OFTEN, "num_updates=120")),
    "asynchronous": Scenario(_PODMETA, ("train", *JOB, *_ASYNCHRONOUS, "num_updates=960")),
    "store": Scenario(
        _WITH_QUICK_LOCKS, ("train", *JOB, *_ASYNCHRONOUS, *_TESTED_MEANWHILE, "num_updates=240"), in_store=True
    ),
    "meta-test": Scenario(_PODMETA, ("train", *_TESTED), after_training=True),
    "evaluate": Scenario(_PODMETA, ("evaluate", _SETTINGS), run_key="run", after_training=True),
    "sweep": Scenario(_PODMETA, ("train", *TINY, OFTEN, "num_updates=24", "seed=0,1", "--multirun")),
    "sebulba": Scenario(_PODMETA, ("train", *_SEBULBA, OFTEN, "num_updates=40"), exact=False),
    "launcher": Scenario(_LOCAL, ("--processes", "2", *JOB, OFTEN, "num_updates=120", "devices.cpu=1")),
}
AGENT = "agent"


class Started:
    """A command under way in a session of its own. What it starts inherits a variable that marks it."""

    def __init__(self, scenario: Scenario, folder: Path, variables: dict[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._log = folder / f"output_{self._mark}"
        code = f"import os, sys, {scenario.module} as m; os.write(2, b'started\\n'); sys.exit(m.main())"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *scenario.arguments, f"{scenario.run_key}={scenario.run_in(folder)}"],
                cwd=folder,
                env=variables | {_MARK: self._mark, "XDG_CACHE_HOME": str(folder / _CACHE)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while "started" not in self.output():
            time.sleep(0.002)
            if self.process.poll() is not None:
                raise SystemExit(f"the command did not start: {self.output()}")

    def output(self) -> str:
        """What the command and its children have said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def has_trained(self) -> bool:
        """Waits until it shows an update, or has ended; whether it shows one."""
        while UPDATE.search(self.output()) is None:
            if self.ends_within(0.002):
                return UPDATE.search(self.output()) is not None
        return True

    def ends_within(self, seconds: float) -> bool:
        """Waits for that long, or until the command has ended."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def family(self) -> list[int]:
        """The processes of the command that live. Those that have ended have no variables."""
        mark = f"{_MARK}={self._mark}".encode()
        return [process_id for process_id, variables in _variables_of_all() if mark in variables.split(b"\0")]

    def children_left(self) -> list[int]:
        """The processes that outlive the command for too long."""
        end = time.monotonic() + SECONDS_FOR_CHILDREN
        while (left := self.family()) and time.monotonic() < end:
            time.sleep(0.05)
        return left

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *error: object) -> None:
        """Ends whatever is left, and waits until it is gone."""
        for process_id in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        self.process.wait()
        self.children_left()


def _variables_of_all() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / "environ").read_bytes()
            except OSError:  # it has ended meanwhile, or is another user's
                continue


def disturb(started: Started, fault: Fault, moments: random.Random) -> list[str]:
    """Sends the signals of a fault, and waits for the end; returns what goes wrong until then."""
    # A terminal sends its signals to the group, and a scheduler to the process.
    send = moments.choice((os.kill, os.killpg))
    for index, number in enumerate(fault.signals):
        if index and started.ends_within(moments.uniform(0.0, 1.0)):
            break
        send(started.process.pid, number)
    return problems_of_children(started) if started.ends_within(SECONDS_TO_END) else [HANG]


def problems_of_children(started: Started) -> list[str]:
    """What is wrong with the processes of a command that has ended."""
    return [ORPHAN] if started.children_left() else []


def problems_of_end(started: Started, allowed: set[int], known: Sequence[str] = ()) -> list[str]:
    """What is wrong with how a command ended, by its exit code and output."""
    return [] if HANG in known else problems_of(started.process.returncode, started.output(), allowed)


def problems_of(code: int, output: str, allowed: set[int]) -> list[str]:
    """What is wrong with an exit code and an output."""
    problems = []
    as_shown = code if code >= 0 else 128 - code
    if "Traceback (most recent call last)" in output:
        problems.append(TRACEBACK)
    if as_shown == 128 + signal.SIGSEGV or "Segmentation fault" in output or "Fatal Python error" in output:
        problems.append(SEGFAULT)
    elif as_shown not in allowed:
        problems.append(EXIT_CODE)
    if code == 128 + signal.SIGINT and "interrupted" not in output:
        problems.append(NO_WORD)
    return problems


def problems_of_whole(
    started: Started, scenario: Scenario, results: dict[str, Any], expected: dict[str, Any]
) -> list[str]:
    """What is wrong with a start that was not disturbed, and went on where earlier ones were."""
    problems = problems_of_end(started, {0})
    as_expected = results == expected if scenario.exact else results.keys() == expected.keys()
    if started.process.returncode != 0 or not as_expected:
        problems.append(NOT_RESUMED)
    return problems


def report(event: str, started: Started, problems: Sequence[str]) -> None:
    """Shows what a command did that had problems."""
    if problems:
        code = started.process.returncode
        print(f"{event}: {', '.join(problems)}, exit code {code}\n{started.output()[-3000:]}", flush=True)


class Laboratory:
    """Runs scenarios in folders below one."""

    def __init__(self, base: Path, moments: random.Random, store: Store | None = None) -> None:
        self._base = base
        self._store = store
        self._moments = moments
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "PODMETA_"))}
        self.variables = (
            kept
            | (store.variables if store else {})
            | {
                "JAX_PLATFORMS": "cpu",
                "JAX_COMPILATION_CACHE_DIR": str(base / "compiled"),
                "PYTHONPATH": str(REPOSITORY),
                "XLA_FLAGS": QUICK_TO_COMPILE,
            }
        )
        self._trained: Path | None = None

    def try_scenario(self, name: str, tries: int, faults: Sequence[Fault]) -> collections.Counter[str]:
        """Disturbs a command that many times. Returns how often each problem came up."""
        scenario, counts = SCENARIOS[name], collections.Counter[str]()
        self._complete(scenario, self._new_folder(scenario))  # compiles
        folder = self._new_folder(scenario)
        seconds, expected = self._complete(scenario, folder), self._results(scenario, folder)
        print(f"{name}: {seconds:.1f} s undisturbed", flush=True)
        # Of a long training, each start comes some way.
        longest = min(seconds, _SECONDS_OF_A_START) if scenario.saves_in_background else seconds
        folder, done, newest, lost = self._new_folder(scenario), 0, dict[str, int](), [0]
        while done < tries:
            fault, moment = faults[done % len(faults)], self._moments.uniform(0.0, longest)
            with Started(scenario, folder, self.variables) as started:
                waits = scenario.saves_in_background and not started.has_trained()
                disturbed = not waits and not started.ends_within(moment)
                problems = disturb(started, fault, self._moments) if disturbed else problems_of_children(started)
            if disturbed:
                problems += problems_of_end(started, fault.allowed_codes(), problems)
                problems += problems_of_progress(folder, started.output(), scenario.interval())
                problems += problems_of_kept(newest, self._newest(scenario, folder))
                counts.update(left_under_way(folder, started.output()))
                lost.append(lost_updates(folder, started.output()))
                if scenario.in_store and self._moments.random() < 0.5:
                    shutil.rmtree(folder / _CACHE, ignore_errors=True)
                newest = self._newest(scenario, folder)
                done += 1
            else:
                problems += problems_of_whole(started, scenario, self._results(scenario, folder), expected)
                folder, newest = self._new_folder(scenario), {}
            report(f"{name}, {fault.name} after {moment:.2f} s", started, problems)
            counts.update(problems)
        with Started(scenario, folder, self.variables) as started:
            problems = [] if started.ends_within(10 * SECONDS_TO_END) else [HANG]
        problems += problems_of_whole(started, scenario, self._results(scenario, folder), expected)
        report(f"{name}, in the end", started, problems)
        counts.update(problems)
        print(f"{name}: at most {max(lost)} updates were lost, of an interval of {scenario.interval()}", flush=True)
        return counts

    def try_agent(self, tries: int, seed: int) -> collections.Counter[str]:
        """Interrupts the steps of an agent that many times."""
        command = [sys.executable, "-m", "tests.end_to_end.interrupted_agent", str(tries), str(seed)]
        ended = subprocess.run(command, cwd=REPOSITORY, env=self.variables, capture_output=True, encoding="utf-8")
        counts = collections.Counter(problems_of(ended.returncode, ended.stderr, {0}))
        for line in ended.stdout.splitlines():
            number, _, outcome = line.partition(" ")
            counts[NOT_RESUMED] += int(number) * (outcome not in ("before", "after"))
        print(f"{AGENT}: {', '.join(ended.stdout.splitlines())} the step\n{ended.stderr}", flush=True)
        return counts

    def _new_folder(self, scenario: Scenario) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._base))
        if scenario.after_training:
            if self._trained is None:
                self._trained = folder
                self._complete(Scenario(_PODMETA, ("train", *_TRAINED, "evaluation.enabled=false")), folder)
                return self._new_folder(scenario)
            shutil.copytree(self._trained / "run", folder / "run")
        return folder

    def _results(self, scenario: Scenario, folder: Path) -> dict[str, Any]:
        """Of a run in a store, what is published is what counts."""
        if not scenario.in_store or self._store is None:
            return results_in(folder)
        with tempfile.TemporaryDirectory(dir=self._base) as elsewhere:
            for name in self._store.names(f"{folder.name}/"):
                if name.endswith(RESULTS):
                    path = Path(elsewhere, name.removeprefix(f"{folder.name}/"))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(self._store.get(name))
            return results_in(Path(elsewhere))

    def _newest(self, scenario: Scenario, folder: Path) -> dict[str, int]:
        """By run, its newest checkpoint, on the machine or in the store."""
        newest = newest_checkpoints(folder)
        if scenario.in_store and self._store is not None:
            names = self._store.names(f"{folder.name}/run/checkpoints/")
            published = [int(name.split("/")[-2].removeprefix("step_")) for name in names if name.endswith(CHECKSUMS)]
            newest["run"] = max(newest.get("run", 0), *published, 0)
        return newest

    def _complete(self, scenario: Scenario, folder: Path) -> float:
        """Runs it to its end; returns the seconds in which it may be disturbed."""
        start = time.monotonic()
        with Started(scenario, folder, self.variables) as started:
            if scenario.saves_in_background and started.has_trained():
                start = time.monotonic()
            if started.process.wait() != 0:
                raise SystemExit(f"the undisturbed command failed:\n{started.output()}")
        return time.monotonic() - start


def main() -> int:
    """Tries every scenario equally often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=200, help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--only", nargs="+", choices=(*SCENARIOS, AGENT), default=(*SCENARIOS, AGENT))
    parser.add_argument("--signal", nargs="+", choices=[fault.name for fault in FAULTS], help="only these")
    options = parser.parse_args()
    # A shell that starts this in the background, or under nohup, has it ignore these, and the commands would as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    faults = [fault for fault in FAULTS if options.signal is None or fault.name in options.signal]
    counts: dict[str, collections.Counter[str]] = {}
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        needs_store = any(name in SCENARIOS and SCENARIOS[name].in_store for name in options.only)
        port = stack.enter_context(served(base / "log_of_store")) if needs_store else None
        store = stack.enter_context(empty_store(port)) if port else None
        laboratory = Laboratory(base, random.Random(options.seed), store)
        for index, name in enumerate(options.only):
            tries = options.tries // len(options.only) + (index < options.tries % len(options.only))
            if name == AGENT:
                counts[name] = laboratory.try_agent(tries, options.seed)
            else:
                counts[name] = laboratory.try_scenario(name, tries, faults)
            problems = sum(counts[name][problem] for problem in PROBLEMS)
            print(f"{name}: {problems} problems in {tries} tries", flush=True)
            counts[name]["tries"] = tries
    print_table(counts)
    return int(any(count[problem] for count in counts.values() for problem in PROBLEMS))


def print_table(counts: dict[str, collections.Counter[str]]) -> None:
    """One line for every scenario, and one for all of them."""
    columns = ("tries", *UNDER_WAY, *PROBLEMS)
    print(f"{'':12}" + "".join(column.rjust(13) for column in columns))
    for name, count in [*counts.items(), ("all", sum(counts.values(), collections.Counter[str]()))]:
        print(f"{name:12}" + "".join(str(count[column]).rjust(13) for column in columns))


if __name__ == "__main__":
    sys.exit(main())
