"""The best θ of a job, and jobs that stop early: over interruptions, losses and changes of what is tested.

Updates and meta-tests are scripted here, so that no test compiles. `tests/evaluation/test_periodic.py` has real ones.
"""

import json

import jax
import numpy as np
import pytest

from podmeta.agent import load_agent
from podmeta.architectures.session import Advance
from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from podmeta.evaluation import run as evaluation
from podmeta.evaluation.done import is_done
from podmeta.storage.checkpoints import sha256_by_instance
from podmeta.storage.meta_params_id import newest_meta_params
from podmeta.storage.run_files import EvaluationRow, read_summary, to_json_lines
from podmeta.storage.run_status import read_status
from podmeta.training import loop
from podmeta.training.best import MEAN_REWARD
from podmeta.training.build import state_shapes
from podmeta.training.export import export_run
from podmeta.training.loop import train
from podmeta.training.meta_params import restore_meta_params
from tests.training.test_run_logger import TINY

WORDS = (
    *TINY,
    "architecture.updates_per_call=1",
    "evaluation.every_updates=1",
    "evaluation.periodic_tasks=2",
    "evaluation.enabled=false",
    "checkpoint.every_seconds=0",
    "num_updates=8",
)


class ScriptedSession:
    """A session that adds 1 to θ in every update."""

    compile_seconds = 0.0
    preparation = ""

    def __init__(self, state):
        self._state = state

    def advance(self, num_updates, stop_requested):
        outer = self._state.outer
        meta_params = jax.tree.map(lambda leaf: leaf + num_updates, outer.meta_params)
        self._state = self._state._replace(outer=outer._replace(meta_params=meta_params))
        ones = np.ones((num_updates, len(outer.settings.seed)))
        return Advance(num_updates, {"fitness_mean": ones, "meta_params_norm": ones}, {}, 1.0)

    def state(self):
        return self._state

    def close(self):
        return None


@pytest.fixture(autouse=True)
def scripted_training(monkeypatch):
    def zeros(job, program, tell):
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state_shapes(job))

    monkeypatch.setattr(loop, "_fresh_state", zeros)
    monkeypatch.setattr(loop, "open_session", lambda job, stage, program, state: ScriptedSession(state))


class Scripted:
    """A meta-test whose scores are given in their order. It remembers the θ that it was given."""

    def __init__(self, *scores):
        self.scores = list(scores)
        self.digests = []

    def __call__(self, meta_params):
        self.digests.append(sha256_by_instance(jax.tree.map(np.array, meta_params)))
        return {MEAN_REWARD: self.scores.pop(0)}


def run(path, test, *overrides):
    """How a job with that meta-test ends, and what it says."""
    said = []
    job = compose_job([*WORDS, f"run_dir={path}", *overrides])
    return train(job, said.append, periodic_test=test), said


def best(path):
    """(updates, digests) of the best θ that a run holds."""
    restored = restore_meta_params(path, checkpoint="best")
    assert restored.digests == sha256_by_instance(restored.meta_params)
    return restored.updates, restored.digests


def summary(path):
    return json.loads((path / "summary.json").read_text(encoding="utf-8"))


def test_a_job_stops_once_tests_have_not_improved_and_keeps_the_best(tmp_path):
    test = Scripted(1.0, 3.0, 2.0, 3.0)
    result, said = run(tmp_path, test, "evaluation.stop_after=2", "checkpoint.keep=1")
    assert (result.update, result.stopped_by) == (4, None)
    reason = "stopped early: 2 meta-tests in a row did not improve on the best θ, of update 2"
    assert reason in said
    assert best(tmp_path) == ([2], test.digests[1])
    assert restore_meta_params(tmp_path).updates == [4]
    assert (summary(tmp_path)["stopped_early"], summary(tmp_path)["num_updates"]) == (reason, 4)
    assert summary(tmp_path)["meta_tests"]["scores"] == [3.0]
    status = read_status(tmp_path)
    assert (status.state, status.reason, status.update) == ("finished", reason, 4)
    assert not test.scores


@pytest.mark.long
def test_a_job_that_stopped_early_trains_on_only_if_the_key_is_changed(tmp_path):
    run(tmp_path, Scripted(3.0, 2.0, 2.0), "evaluation.stop_after=2")
    before = (tmp_path / "summary.json").read_bytes()
    for overrides in (("evaluation.stop_after=2",), ("evaluation.stop_after=1", "num_updates=9")):
        job = compose_job([*WORDS, *overrides])
        assert is_done(job, tmp_path)
        result, said = run(tmp_path, Scripted(), *overrides)
        assert result.update == 3
        assert any(line.startswith("nothing left to train: update 3 is done, and the job stopped") for line in said)
        assert (tmp_path / "summary.json").read_bytes() == before
    assert not is_done(compose_job([*WORDS, "evaluation.stop_after=3"]), tmp_path)
    assert not is_done(compose_job([*WORDS, "evaluation.stop_after=2", "evaluation.seed=1"]), tmp_path)
    test = Scripted(2.0, 4.0, 1.0, 1.0, 1.0)
    result, _ = run(tmp_path, test, "evaluation.stop_after=4")
    assert result.update == 8
    assert best(tmp_path) == ([5], test.digests[1])
    assert read_summary(tmp_path).stopped_early == ""


@pytest.mark.long
@pytest.mark.parametrize("first", [2, 3])
def test_an_interrupted_job_keeps_the_best_and_the_count(first, tmp_path):
    scores = [1.0, 3.0, 2.0, 2.0, 2.0]
    whole = Scripted(*scores)
    run(tmp_path / "whole", whole, "evaluation.stop_after=3")
    run(tmp_path / "run", Scripted(*scores[:first]), "evaluation.stop_after=3", f"num_updates={first}")
    result, _ = run(tmp_path / "run", Scripted(*scores[first:]), "evaluation.stop_after=3")
    assert result.update == 5
    assert best(tmp_path / "run") == best(tmp_path / "whole") == ([2], whole.digests[1])
    same = ("meta_params_sha256", "meta_tests", "stopped_early", "num_updates")
    assert {key: summary(tmp_path / "run")[key] for key in same} == {
        key: summary(tmp_path / "whole")[key] for key in same
    }


@pytest.mark.long
def test_meta_tests_after_the_checkpoint_that_a_killed_job_goes_on_from_never_were(tmp_path):
    """Otherwise they would count twice, and the best θ could be one that the job no longer holds."""

    class KilledError(BaseException):
        pass

    class Killed(Scripted):
        def __call__(self, meta_params):
            if len(self.scores) == 1:
                raise KilledError
            return super().__call__(meta_params)

    words = ("checkpoint.every_updates=2", "evaluation.stop_after=3")
    with pytest.raises(KilledError):
        run(tmp_path, Killed(1.0, 2.0, 9.0, 0.0), *words)
    assert best(tmp_path)[0] == [2]
    test = Scripted(9.0, 0.0, 0.0, 0.0)
    assert run(tmp_path, test, *words)[0].update == 6
    assert best(tmp_path) == ([3], test.digests[0])


def test_every_instance_has_its_own_best_and_all_must_be_without_improvement(tmp_path):
    test = Scripted([1.0, 5.0], [2.0, 4.0], [1.0, 4.0], [1.0, 6.0], [1.0, 1.0], [1.0, 1.0])
    words = ("evaluation.stop_after=2", "architecture.num_instances=2")
    assert run(tmp_path, test, *words)[0].update == 6
    assert best(tmp_path) == ([2, 4], [test.digests[1][0], test.digests[3][1]])


@pytest.mark.long
def test_scores_of_other_tests_do_not_count(tmp_path):
    run(tmp_path, Scripted(9.0, 1.0), "num_updates=2", "evaluation.stop_after=2")
    result, said = run(tmp_path, Scripted(2.0, 1.0, 1.0), "evaluation.stop_after=2", "evaluation.periodic_tasks=3")
    assert result.update == 5
    assert any("looked for anew" in line for line in said)
    assert best(tmp_path)[0] == [3]


@pytest.mark.long
def test_a_start_without_meta_tests_keeps_the_best(tmp_path):
    test = Scripted(9.0, 1.0)
    run(tmp_path, test, "num_updates=2")
    run(tmp_path, None, "evaluation.every_updates=0", "num_updates=3")
    assert best(tmp_path) == ([1], test.digests[0])
    assert restore_meta_params(tmp_path).updates == [3]


def test_a_curriculum_is_not_cut_short(tmp_path):
    stages = "stages=[{num_updates: 4, num_arms: 3}, {num_updates: 4, num_arms: 4}]"
    words = [*(word for word in WORDS if not word.startswith("num_updates")), stages, "evaluation.stop_after=2"]
    job = compose_job([*words, f"run_dir={tmp_path}"])
    test = Scripted(9.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert train(job, lambda line: None, periodic_test=test).update == 6
    assert best(tmp_path) == ([1], test.digests[0])


@pytest.fixture
def tested(tmp_path):
    """A run of two instances, whose best θ are of updates 1 and 2, and its tests."""
    test = Scripted([5.0, 1.0], [4.0, 2.0], [3.0, 1.0])
    run(tmp_path / "run", test, "architecture.num_instances=2", "num_updates=3")
    return tmp_path / "run", test


def test_the_best_is_exported_with_its_own_results_and_loaded_as_an_agent(tested, tmp_path):
    path, test = tested
    (path / "best").mkdir()
    rows = [
        EvaluationRow("tasks", "bandit", {"instance": 1}, "learner", "regret", mean, 0, 1, 4, update, digest, 7)
        for mean, update, digest in ((0.25, 2, test.digests[1][1]), (0.75, 3, test.digests[2][1]))
    ]
    (path / "best" / "evaluation.jsonl").write_text(to_json_lines(rows), encoding="utf-8")
    card, notes = export_run(path, tmp_path / "best.npz", instance=1, checkpoint="best")
    assert (card.num_updates, card.meta_params_sha256) == (2, test.digests[1][1])
    assert [row["mean"] for row in card.results] == [0.25]
    assert len(notes) == 1 and "they are of update 3" in notes[0]
    newest = export_run(path, tmp_path / "newest.npz", instance=1).card
    assert (newest.num_updates, newest.results) == (3, [])
    assert 0 < card.env_steps < newest.env_steps and card.seconds < newest.seconds
    assert load_agent(path, checkpoint="best").card.meta_params_sha256 == test.digests[0][0]
    assert load_agent(path).card.meta_params_sha256 == test.digests[2][0]
    with pytest.raises(InputError, match="is for a run directory"):
        load_agent("symla-general", checkpoint="best")


def test_the_command_line_tests_and_exports_the_best(tested, tmp_path, monkeypatch, capsys):
    path, test = tested
    seen = []
    monkeypatch.setattr(evaluation, "evaluate_run", lambda *args: seen.append(args) or [])
    assert main(["evaluate", str(path), "checkpoint=best"]) == 0
    assert main(["evaluate", str(path)]) == 0
    (_, _, best_params, updates, folder, *_), (_, _, newest_params, _, newest_folder, *_) = seen
    assert (updates, folder, newest_folder) == ([1, 2], path / "best", path)
    assert sha256_by_instance(best_params) == [test.digests[0][0], test.digests[1][1]]
    assert sha256_by_instance(newest_params) == test.digests[2]
    assert main(["export", str(path), "checkpoint=best", f"to={tmp_path / 'best.npz'}"]) == 0
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))["num_updates"] == 1
    capsys.readouterr()
    assert main(["evaluate", str(path), "checkpoint=oldest"]) == 2
    assert "checkpoint=newest or checkpoint=best" in capsys.readouterr().err


def test_rows_about_the_best_do_not_go_through_a_link(tested, tmp_path):
    path, _ = tested
    (path / "best").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is a link"):
        evaluation.rows_folder(path, "best")


def test_a_best_that_is_not_there_is_not_taken(tmp_path):
    run(tmp_path, None, "evaluation.every_updates=0", "num_updates=1")
    with pytest.raises(InputError, match=r"holds no best θ up to update 1: only meta-tests during training"):
        restore_meta_params(tmp_path, checkpoint="best")


def test_the_best_does_not_change_which_meta_params_the_run_holds(tmp_path):
    run(tmp_path / "plain", None, "evaluation.every_updates=0", "num_updates=3")
    run(tmp_path / "tested", Scripted(3.0, 2.0, 1.0), "num_updates=3")
    plain, tested = (newest_meta_params(tmp_path / name) for name in ("plain", "tested"))
    assert plain == tested
