"""Sweeps whose values a sampler chooses. Most runs here are scripts that write what a run would."""

import contextlib
import functools
import json
import os
import signal
import sys
import time

import pytest

from podmeta import trials as trials_module
from podmeta.cli import main
from podmeta.distributed.children import ChildCommand
from podmeta.errors import InputError
from podmeta.storage.json_files import encode
from podmeta.storage.meta_test_record import MetaTestRecord
from podmeta.storage.run_files import Summary
from podmeta.sweep import STUDY
from podmeta.trials import Trials, trials_table
from tests.end_to_end.job import TINY

optuna = pytest.importorskip("optuna")

SEARCH = (
    *TINY,
    "num_updates=20",
    "evaluation.enabled=false",
    "evaluation.every_updates=4",
    "evaluation.periodic_tasks=4",
    "outer.learning_rate=tag(log,interval(0.001,0.1))",
    "outer.noise_std=0.5,1",
)

BEGIN_TRIAL = 4  # in Optuna's journal

SCRIPT = """
import json, sys, time
from pathlib import Path
folder, summary = Path(sys.argv[1]), sys.argv[2]
number = int(folder.name)
if number == 6:
    print("failed: not finite")
    sys.exit(1)
folder.mkdir()
with (folder / "metrics.jsonl").open("w") as file:
    for update in (2, 4, 8) if number != 5 else (4,):
        tested = {} if update == 2 else {"test_reward_mean": -10.0 if number == 5 else number + update}
        file.write(json.dumps({"update": update, **tested}) + "\\n")
if number == 5:
    time.sleep(1000)
(folder / "summary.json").write_text(summary.replace("12345.0", str(number + 8.0)))
"""


@pytest.fixture
def scripted(monkeypatch):
    """Runs are scripts. Of seven, the sixth is worse than the others and goes on for ever; the last one fails."""
    record = MetaTestRecord("", [12345.0], [8], [""])
    summary = Summary("bandit", 0, 20, 20, 1.0, 1.0, 1.0, 1, "", {}, meta_tests=record)
    text = json.dumps(encode(summary))
    monkeypatch.setattr(
        trials_module, "train_command", lambda _, run_path, __: [sys.executable, "-c", SCRIPT, str(run_path), text]
    )
    monkeypatch.setattr(trials_module, "is_done", lambda _, run_path: (run_path / "summary.json").exists())


def search(folder, *overrides, num_trials=7, tell=lambda line: None):
    return Trials([*SEARCH, f"run_dir={folder}", *overrides], num_trials, tell)


@pytest.mark.long
def test_hopeless_trials_are_pruned_and_failing_ones_do_not_end_the_others(tmp_path, scripted):
    told = []
    trials = search(tmp_path, tell=told.append)
    assert trials.run((), 1) is None
    rows = trials.rows()
    assert [row.state for row in rows] == ["complete"] * 5 + ["pruned", "fail"]
    assert [row.reward for row in rows] == [8.0, 9.0, 10.0, 11.0, 12.0, -10.0, None]
    assert [row.update for row in rows] == [8] * 5 + [4, None]
    assert trials.is_done()
    assert told[-2:] == [
        f"trial 6 of 7: {' '.join(rows[6].values)}: its output is in {tmp_path / '6.log'}",
        "trial 6 ended with exit code 1: failed: not finite",
    ]
    assert "trial 5 is pruned at update 4: it is worse than half of the others" in told
    assert trials_table(trials).row_count == 7 and next(iter(trials_table(trials).columns[0].cells)) == "4"
    trials.close()
    # Nothing is left to do, until there are to be more.
    again = search(tmp_path)
    assert again.run((), 2) is None and again.rows() == rows
    again.close()
    more = search(tmp_path, num_trials=8)
    assert not more.is_done()
    more.run((), 1)
    assert [row.state for row in more.rows()[7:]] == ["complete"]
    assert len({tuple(row.values) for row in more.rows()}) == 8
    more.close()


class Job:
    """A job of a cluster that does nothing. It runs until it is cancelled, but for one that ends by itself."""

    def __init__(self, ends):
        self.is_done, self.is_cancelled = ends, False

    def done(self):
        return self.is_done

    def cancel(self, check):
        self.is_done = self.is_cancelled = True

    def result(self):
        raise RuntimeError("podmeta train ended with exit code 1")


@pytest.mark.parametrize("is_signalled", [False, True])
def test_jobs_of_a_cluster_are_cancelled_when_they_are_to_end(is_signalled, tmp_path):
    pytest.importorskip("submitit")
    from launch.slurm import run_submitted

    jobs, ended = [], {}

    class Executor:
        def submit(self, training):
            jobs.append(Job(ends=len(jobs) == 1))
            return jobs[-1]

    def ends_now(index):
        if is_signalled:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)  # until a thread has heard of it
        return not is_signalled

    commands = [ChildCommand(["true"], tmp_path / f"{number}.log") for number in range(3)]
    stopped = run_submitted(Executor(), commands, 2, lambda index: None, ended.__setitem__, ends_now)
    assert stopped == ("SIGTERM" if is_signalled else None)
    expected = {0: 0, 1: 1} if is_signalled else {0: 0, 1: 1, 2: 0}
    assert ended == expected
    assert [job.is_cancelled for job in jobs] == [code == 0 for _, code in sorted(ended.items())]


def test_the_output_of_a_job_does_not_follow_a_link(tmp_path):
    pytest.importorskip("submitit")
    from launch.slurm import Training

    (tmp_path / "mine").write_text("as it was", encoding="utf-8")
    (tmp_path / "log").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        Training([sys.executable, "-c", "print()"], tmp_path / "log")()
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "as it was"


@pytest.mark.long
def test_trials_are_jobs_of_submitit(tmp_path, scripted):
    submitit = pytest.importorskip("submitit")
    from launch.slurm import run_submitted

    executor = submitit.AutoExecutor(folder=tmp_path / "logs", cluster="local")
    executor.update_parameters(timeout_min=5)
    with contextlib.closing(search(tmp_path / "sweep", num_trials=3)) as trials:
        assert trials.run((), 2, functools.partial(run_submitted, executor)) is None
        assert trials.is_done()
        assert [(row.state, row.reward) for row in trials.rows()] == [("complete", number + 8.0) for number in range(3)]
    assert {path.name for path in (tmp_path / "sweep").glob("*.log")} == {"0.log", "1.log", "2.log"}


@pytest.mark.long
def test_a_trial_that_a_kill_has_stopped_goes_on_with_its_values(tmp_path, scripted):
    first = search(tmp_path, num_trials=2)
    first._study.ask(first._distributions)  # as a kill leaves it: begun and not ended
    before = first.rows()
    assert [row.state for row in before] == ["running"] and not first.is_done()
    first.close()
    with (tmp_path / STUDY).open("ab") as file:
        file.write(b'{"op_code":4,"worker')  # the kill was in the middle of a line
    second = search(tmp_path, num_trials=2)
    second.run((), 2)
    rows = second.rows()
    assert [row.state for row in rows] == ["complete"] * 2
    assert rows[0].values == before[0].values
    second.close()


@pytest.mark.long
def test_values_that_a_kill_has_left_unchosen_are_chosen_when_the_search_goes_on(tmp_path, scripted):
    first = search(tmp_path, num_trials=1)
    first._study.ask(first._distributions)
    first.close()
    journal = (tmp_path / STUDY).read_bytes().splitlines(keepends=True)
    begun = next(number for number, line in enumerate(journal) if json.loads(line)["op_code"] == BEGIN_TRIAL)
    (tmp_path / STUDY).write_bytes(b"".join(journal[: begun + 1]))
    again = search(tmp_path, num_trials=1)
    assert [(row.state, row.values) for row in again.rows()] == [("running", [])]
    again.run((), 1)
    assert [(row.state, len(row.values)) for row in again.rows()] == [("complete", 2)]
    again.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.jsonl", '{"update": 2}\n{"update": 4, "test_reward_mean": "x"}\n', r"metrics\.jsonl:2 is damaged: "),
        ("metrics.jsonl", '{"test_reward_mean": 1', None),  # it is being written
        ("metrics.jsonl", '{"test_reward_mean": 1\n', r"metrics\.jsonl:1 is damaged: "),
        ("metrics.jsonl", '{"test_reward_mean": 1}\n', r"metrics\.jsonl:1 is damaged: update is missing"),
        ("summary.json", '"meta_tests": null', r"summary\.json is damaged: it has no meta_tests"),
        ("summary.json", '"meta_tests": 3', r"summary\.json is damaged: meta_tests"),
    ],
)
def test_damaged_files_of_a_trial_are_named(name, content, message, tmp_path, scripted):
    trials = search(tmp_path, num_trials=1)
    trials.run((), 1)
    trials.close()
    journal = (tmp_path / STUDY).read_bytes().splitlines(keepends=True)
    (tmp_path / STUDY).write_bytes(b"".join(journal[:-1]))  # the trial is to be looked at again
    path = tmp_path / "0" / name
    if name == "summary.json":
        kept = json.loads(path.read_text(encoding="utf-8"))
        content = json.dumps(kept | json.loads(f"{{{content}}}"))
    path.write_text(content, encoding="utf-8")
    again = search(tmp_path, num_trials=1)
    expected = contextlib.nullcontext() if message is None else pytest.raises(InputError, match=message)
    with expected:
        again.run((), 1)
    again.close()


@pytest.mark.long
def test_a_run_that_ended_before_its_sweep_could_note_it_is_not_done_again(tmp_path, scripted):
    trials = search(tmp_path, num_trials=1)
    trials.run((), 1)
    trials.close()
    journal = (tmp_path / STUDY).read_bytes().splitlines(keepends=True)
    (tmp_path / STUDY).write_bytes(b"".join(journal[:-1]))
    again = search(tmp_path, num_trials=1)
    assert [row.state for row in again.rows()] == ["running"]
    (tmp_path / "0" / "metrics.jsonl").touch()
    said = (tmp_path / "0.log").stat().st_mtime_ns
    again.run((), 1)
    assert [row.state for row in again.rows()] == ["complete"] and (tmp_path / "0.log").stat().st_mtime_ns == said
    again.close()


@pytest.mark.long
def test_the_folder_of_another_sweep_is_refused_with_what_differs(tmp_path, capsys):
    search(tmp_path).close()
    for words, told in (
        (["outer.learning_rate=interval(0.001,0.2)"], "outer.learning_rate: 'tag(log,interval(0.001,0.1))' there"),
        (["num_updates=40"], "num_updates: 20 there, 40 now"),
        (["learner.hidden_size=8"], "learner.hidden_size: 4 there, 8 now"),
    ):
        key = words[0].partition("=")[0]
        with pytest.raises(InputError, match="holds a sweep with another config") as refusal:
            Trials([*(w for w in SEARCH if w.partition("=")[0] != key), *words, f"run_dir={tmp_path}"], 7, print)
        assert told in str(refusal.value)
    search(tmp_path, "checkpoint.every_updates=8").close()
    assert main(["train", *TINY, "seed=1,2", f"run_dir={tmp_path}", "-m"]) == 2
    assert "holds a sweep with --trials" in capsys.readouterr().err
    held = search(tmp_path)
    with pytest.raises(InputError, match="is in use by process"):
        search(tmp_path)
    held.close()
    (tmp_path / STUDY).write_text('{"op_code":0}\n', encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        search(tmp_path)


def test_the_folder_of_a_sweep_without_trials_is_refused(tmp_path):
    (tmp_path / "0").mkdir()
    with pytest.raises(InputError, match="not of a sweep with --trials"):
        search(tmp_path)
    assert not (tmp_path / STUDY).exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["evaluation.every_updates=0"], "set evaluation.every_updates"),
        (["evaluation.every_updates=21"], "to at most num_updates=20"),
        (["environment.lifetime_length=10,20"], "evaluation.periodic_suite"),
        (["learner.hidden_size=int(interval(-3,3))"], "learner.hidden_size"),
    ],
)
def test_searches_whose_trials_do_not_compare_are_refused_before_anything_starts(words, part, tmp_path):
    keys = {word.partition("=")[0] for word in words}
    with pytest.raises(InputError, match=part):
        Trials([*(w for w in SEARCH if w.partition("=")[0] not in keys), *words, f"run_dir={tmp_path}/new"], 2, print)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("flags", [["--trials", "0", "-m"], ["--trials", "3"]])
def test_wrong_flags_are_told(flags, capsys):
    assert main(["train", *SEARCH, *flags]) == 2
    assert f"--trials {flags[1]}: give at least 1, and only with --multirun" in capsys.readouterr().err


def test_a_missing_optuna_is_told_with_what_installs_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["train", *SEARCH, "--trials", "2", "-m"]) == 2
    assert "pip install 'podmeta[optuna]'" in capsys.readouterr().err


@pytest.mark.long
def test_a_value_that_is_none_of_the_search_does_not_reach_a_command_line(tmp_path):
    trials = search(tmp_path)
    trials._study.ask(trials._distributions)
    trials.close()
    journal = (tmp_path / STUDY).read_text(encoding="utf-8")
    assert '\\"choices\\": [\\"0.5\\", \\"1\\"]' in journal
    damaged = journal.replace('\\"choices\\": [\\"0.5\\", \\"1\\"]', '\\"choices\\": [\\"0.5 a=b\\", \\"1 c=d\\"]')
    (tmp_path / STUDY).write_text(damaged, encoding="utf-8")
    again = search(tmp_path)
    with pytest.raises(InputError, match="is damaged"):
        again.run((), 1)
    again.close()
