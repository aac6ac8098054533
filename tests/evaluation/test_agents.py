"""Meta-tests of learned algorithms: their folder, and that they go on where they stopped."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.config.presets import config_folders_added, list_options
from podmeta.config.schema import RecurrentConfig, SymmetricConfig
from podmeta.config.suites import load_suite
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.kinds import with_known_settings
from podmeta.errors import InputError
from podmeta.evaluation.agents import agent_job, agent_meta_params, open_folder
from podmeta.evaluation.baselines.contenders import check_setting
from podmeta.evaluation.comparison import collect_scores
from podmeta.evaluation.report.record import read_runs
from podmeta.evaluation.run import learner_in, one_instance
from podmeta.storage.checkpoints import sha256_by_instance
from podmeta.storage.json_files import ignore
from podmeta.storage.pretrained import list_pretrained, load_pretrained
from podmeta.storage.run_files import read_curves, read_evaluation
from tests.pretrained_files import save_untrained

LEARNER = SymmetricConfig(hidden_size=3, message_size=2)
HERE = "devices.cpu=4"
FEW = (HERE, "evaluation.num_tasks=2", "suite=tiny")
SLOW_TO_TRACE = {"environments", "held_out", "observation_spaces", "transfer"}
"""Suites whose programs take 10 s of CPU or more to trace."""
SUITE = """# Two bandits.
settings:
  - {environment: bandit, num_arms: 2, lifetime_length: 6}
  - {environment: bandit, num_arms: 3, lifetime_length: 6}
references: [rewards_zeroed]
"""


@pytest.fixture
def agent(tmp_path):
    return save_untrained(tmp_path / "first.npz", LEARNER)


@pytest.fixture
def suite(monkeypatch, tmp_path):
    """A suite of two settings, besides those that there are."""
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with config_folders_added([tmp_path]):
        yield


def evaluate(*arguments):
    return main(["evaluate", *arguments])


@pytest.mark.long
def test_rows_go_to_a_folder_of_the_agent_and_record_its_meta_params(agent, suite, tmp_path, capsys):
    assert evaluate(f"agent={agent}", *FEW, "evaluation.seed=5") == 0
    folder = tmp_path / "evaluations" / "first"
    rows, curves = read_evaluation(folder, ignore), read_curves(folder, ignore)
    digest = load_pretrained(agent).card.meta_params_sha256
    assert {row.meta_params_sha256 for row in (*rows, *curves)} == {digest}
    assert {(row.evaluation_seed, row.suite) for row in rows} == {(5, "tiny")}
    assert {row.setting["num_arms"] for row in rows} == {2, 3}
    assert {row.tasks for row in rows} == {"new tasks, in a setting that θ was not trained on"}
    assert {"learner", "random", "rewards_zeroed", "thompson"} <= {row.algorithm for row in rows}
    assert "num_arms=3" in capsys.readouterr().out


@pytest.mark.long
def test_an_interrupted_evaluation_goes_on_with_what_is_not_measured(agent, suite, tmp_path, capsys):
    to = f"to={tmp_path / 'rows'}"
    assert evaluate(f"agent={agent}", to, *FEW) == 0
    whole = read_evaluation(tmp_path / "rows", ignore)
    path = tmp_path / "rows" / "evaluation.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["setting"]["num_arms"] == 2), encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    capsys.readouterr()
    assert evaluate(f"agent={agent}", to, *FEW) == 0
    assert "1 of 2 settings are measured already" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8").startswith(kept)

    def untimed(rows):
        return [row for row in rows if row.metric != "microseconds_per_step"]

    assert untimed(read_evaluation(tmp_path / "rows", ignore)) == untimed(whole)
    # Rows on other tasks, or another number of them, are no reason not to measure.
    for other in ("evaluation.num_tasks=3", "evaluation.seed=9"):
        assert evaluate(f"agent={agent}", to, HERE, "suite=tiny", "evaluation.num_tasks=2", other) == 0
        assert "measured already" not in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused(agent, tmp_path):
    pretrained = load_pretrained(agent)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"full holds other files .*to=DIR"):
        open_folder(tmp_path / "full", pretrained)
    open_folder(tmp_path / "new", pretrained)
    open_folder(tmp_path / "new", pretrained)
    other = load_pretrained(save_untrained(tmp_path / "other.npz", LEARNER, seed=1))
    with pytest.raises(InputError, match=r"another θ than that of agent=other: .*to=DIR"):
        open_folder(tmp_path / "new", other)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"file cannot be the folder"):
        open_folder(tmp_path / "file", pretrained)


@pytest.mark.long
def test_reports_refuse_the_folder_and_comparisons_read_it(agent, suite, tmp_path, capsys):
    second = save_untrained(tmp_path / "second.npz", LEARNER, seed=1)
    for name, source in (("one_0", agent), ("two_0", second)):
        assert evaluate(f"agent={source}", f"to={tmp_path / name}", *FEW) == 0
    paths = [tmp_path / "one_0", tmp_path / "two_0"]
    collected = collect_scores(paths, ["tiny"], ignore)
    assert len(collected.settings) == 2 and not collected.notes
    with pytest.raises(InputError, match=r"holds the evaluation of an agent.*podmeta compare"):
        read_runs(paths, ignore)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["suite=tasks"], ["run=", "agent="]),
        (["agent=symla-bandit", "run=runs/x", "suite=tasks"], ["run", "agent", "one of them"]),
        (["agent=symla-bandit"], ["suite=NAME", "tasks"]),
        (["agent=symla-bandit", "suite=task"], ["suite=task does not exist", "tasks"]),
        (["agent=symla-bandi", "suite=tasks"], ["agent=symla-bandi", "Did you mean symla-bandit"]),
        (["agent=nothing.npz", "suite=tasks"], ["nothing.json", "card"]),
        (["agent=symla-bandit", "suite=tasks", "beside=runs/x"], ["beside=", "run="]),
        (["agent=symla-bandit", "suite=tasks", "to=a", "to=b"], ["to= is given twice"]),
        (["agent=symla-bandit", "suite=tasks", "learner.hidden_size=3"], ["learner.hidden_size=3", "evaluation.seed"]),
        (["agent=symla-bandit", "suite=tasks", "evaluation.num_tasks=1"], ["evaluation.num_tasks=1", "at least 2"]),
        (["run=runs/x", "to=y"], ["to=", "agent="]),
    ],
)
def test_wrong_words_are_one_line_and_write_nothing(arguments, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert evaluate(*arguments, HERE) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert [part for part in parts if part not in said] == [], said
    assert not list(tmp_path.iterdir())


def test_the_learner_is_the_agents_and_θ_that_of_the_card(agent):
    pretrained = load_pretrained(agent)
    job = agent_job(pretrained, compose_job([]))
    assert job.learner == dataclasses.replace(LEARNER, scale_observations=True, scale_rewards=True)
    meta_params = agent_meta_params(pretrained, job.learner, load_suite("tasks", job))
    assert sha256_by_instance(meta_params) == [pretrained.card.meta_params_sha256]
    np.testing.assert_array_equal([leaf.shape[0] for leaf in jax.tree.leaves(meta_params)], 1)


def test_a_recurrent_algorithm_takes_the_sizes_it_fits_or_is_refused(tmp_path):
    pretrained = load_pretrained(save_untrained(tmp_path / "r.npz", RecurrentConfig(hidden_size=2), sizes=(4, 2)))
    job = agent_job(pretrained, compose_job([]))
    agent_meta_params(pretrained, job.learner, load_suite("observation_spaces", job))  # CartPole's sizes
    with pytest.raises(InputError, match=r"suite=tasks: .*does not fit"):
        agent_meta_params(pretrained, job.learner, load_suite("tasks", job))


def test_suites_of_what_was_trained_on_need_a_card_that_says_so(agent):
    pretrained = load_pretrained(agent)
    job = agent_job(pretrained, compose_job([]))
    with pytest.raises(InputError, match=r"does not name: .*another suite"):
        agent_meta_params(pretrained, job.learner, load_suite("in_distribution", job))
    told = [{"name": "bandit", "num_arms": 3}, {"name": "bandit", "num_arms": 4}]
    card = dataclasses.replace(pretrained.card, trained_on=told)
    job = agent_job(pretrained._replace(card=card), compose_job([]))
    settings = load_suite("in_distribution", job).settings
    assert [setting.environment.num_arms for setting in settings] == [3, 4]
    with pytest.raises(InputError, match="the card of first is damaged: trained_on"):
        agent_job(pretrained._replace(card=dataclasses.replace(card, trained_on=[{"name": "bandti"}])), compose_job([]))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(list_options("evaluation")) - SLOW_TO_TRACE))
def test_shipped_algorithms_go_through_suites(name):
    """Their programs are traced, and nothing is compiled."""
    for agent in list_pretrained():
        trace(agent, name, lambda setting: True)


@pytest.mark.long
def test_a_shipped_algorithm_goes_through_the_host_environments_of_a_suite():
    pytest.importorskip("envpool")
    assert trace("symla-general", "held_out", lambda setting: lives_on_host(setting.environment)) > 0


def trace(agent, suite_name, is_chosen):
    """Traces the meta-test of a shipped algorithm in the chosen settings of a suite, and counts them."""
    pretrained = load_pretrained(agent)
    job = agent_job(pretrained, compose_job([]))
    suite = with_known_settings(load_suite(suite_name, job))
    chosen = [setting for setting in suite.settings if is_chosen(setting)]
    meta_params = one_instance(agent_meta_params(pretrained, job.learner, suite))
    for setting in chosen:
        check_setting(meta_params, learner_in(suite, job.learner), setting.environment, suite.references)
    return len(chosen)
