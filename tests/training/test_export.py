"""Runs made into learned algorithms, and those read again."""

import hashlib
import io
import json
import pickle

import jax
import numpy as np
import pytest
from dm_env import specs
from rich.console import Console

from podmeta.agent import load_agent
from podmeta.config.compose import compose_job, job_from_yaml
from podmeta.config.suites import experiment_suite
from podmeta.errors import InputError
from podmeta.evaluation.run import evaluate_run
from podmeta.learners.registry import make_learner
from podmeta.storage.checkpoints import meta_params_sha256
from podmeta.storage.pretrained import list_pretrained, load_pretrained, pretrained_directory
from podmeta.training.build import build_program, instance_settings
from podmeta.training.export import export_run
from podmeta.training.loop import train
from podmeta.training.meta_params import load_meta_params

TINY = [
    "outer.population_size=8",
    "outer.lifetimes_per_member=1",
    "environment.lifetime_length=6",
    "learner.hidden_size=3",
    "learner.message_size=2",
    "logging.tensorboard=false",
    "logging.progress=false",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two instances over a curriculum, and how it ended."""
    path = tmp_path_factory.mktemp("run")
    stages = "stages=[{num_updates: 1, num_arms: 3}, {environment: grid_world, num_updates: 1, lifetime_length: 6}]"
    job = compose_job([*TINY, "architecture.num_instances=2", "seed=5", stages, f"run_dir={path}"])
    return path, train(job, lambda line: None)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "mine.npz"
    export_run(run[0], path, instance=1, description="what it is for", limits="what it cannot do")
    return path


@pytest.fixture
def copy(exported, tmp_path):
    """A copy, to damage."""
    for suffix in (".npz", ".json"):
        (tmp_path / f"mine{suffix}").write_bytes(exported.with_suffix(suffix).read_bytes())
    return tmp_path / "mine.npz"


@pytest.mark.long
def test_it_is_the_meta_params_of_the_run_and_fits_any_size(run, exported):
    path, result = run
    pretrained = load_pretrained(str(exported))
    learner = make_learner(pretrained.learner_config, (7,), num_actions=5, num_policy_channels=1)
    meta_params = pretrained.meta_params(jax.eval_shape(learner.init, jax.random.key(0)))
    jax.tree.map(np.testing.assert_array_equal, meta_params, jax.tree.map(lambda leaf: leaf[1], result.meta_params))
    assert meta_params_sha256(meta_params) == pretrained.card.meta_params_sha256
    assert (
        pretrained.card.meta_params_sha256
        == json.loads((path / "summary.json").read_text(encoding="utf-8"))["meta_params_sha256"][1]
    )


def test_the_card_says_how_it_was_made(run, exported):
    path, _ = run
    card = load_pretrained(str(exported)).card
    assert load_pretrained(str(exported)).learner_config == job_from_yaml(path / "config.yaml", []).learner
    assert [(environment["name"], environment.get("num_arms")) for environment in card.trained_on] == [
        ("bandit", 3),
        ("grid_world", None),
    ]
    seed = json.loads((path / "summary.json").read_text(encoding="utf-8"))["instance_seeds"][1]
    assert (card.seed, card.num_updates, card.env_steps) == (seed, 2, 2 * 2 * 8 * 6)
    assert card.versions["jax"] == jax.__version__
    assert (card.description, card.limits, card.results) == ("what it is for", "what it cannot do", [])
    assert str(path) not in exported.with_suffix(".json").read_text(encoding="utf-8")


def test_a_job_may_start_from_it(run, exported):
    job = compose_job(TINY)
    expected = jax.eval_shape(build_program(job, 1).init, instance_settings(job)).outer.meta_params
    found = load_meta_params(exported, expected)
    jax.tree.map(np.testing.assert_array_equal, found, jax.tree.map(lambda leaf: leaf[1:], run[1].meta_params))


def test_its_results_are_the_headlines_about_its_instance_and_its_gain(run, tmp_path):
    digests = json.loads((run[0] / "summary.json").read_text(encoding="utf-8"))["meta_params_sha256"]
    rows = [
        {"suite": "a", "environment": "b", "setting": {"instance": i}, "algorithm": algorithm, "metric": metric}
        | {"update": 2, "meta_params_sha256": digests[i]}
        for i, algorithm, metric in [
            (0, "learner", "regret"),
            (1, "learner", "regret"),
            (1, "learner", "return"),
            (1, "learner", "reward_gain"),
            (1, "random", "regret"),
            (1, "random", "reward_gain"),
        ]
    ]
    rows = [row | {"mean": 1.0, "low": 0.5, "high": 1.5, "num_tasks": 4, "a later key": "stays"} for row in rows]
    evaluation = run[0] / "evaluation.jsonl"
    evaluation.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    try:
        assert export_run(run[0], tmp_path / "mine.npz", instance=1).card.results == [rows[1], rows[3], rows[4]]
    finally:
        evaluation.unlink()


def test_equal_runs_make_equal_files(run, exported, tmp_path):
    export_run(run[0], tmp_path / "again.npz", instance=1)
    assert (tmp_path / "again.npz").read_bytes() == exported.read_bytes()


def test_any_byte_that_is_not_as_it_was_is_told(copy):
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(InputError, match=r"mine\.npz is damaged.*mine\.json"):
        load_pretrained(str(copy))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: "", "damaged"),
        (lambda text: text.replace('"hidden_size": 3', '"hidden_size": "three"'), "damaged.*three"),
        (lambda text: text.replace('"name": "symmetric"', '"name": "other"'), "damaged.*other"),
        (lambda text: text.replace('"hidden_size": 3', '"hidden_size": -3'), "damaged.*hidden_size=-3 is too small"),
        (lambda text: text.replace('"mean"', '"${oc.env:HOME}"'), r"damaged.*aggregation=\$\{oc.env:HOME\} does not"),
        (lambda text: text.replace('"seed"', '"sead"'), "damaged.*seed"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2, and this podmeta reads format 1"),
    ],
)
def test_a_card_that_is_none_is_told(change, part, copy):
    card = copy.with_suffix(".json")
    card.write_text(change(card.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=rf"mine\.json.*{part}"):
        load_pretrained(str(copy))


def with_file(copy, content):
    """Gives a card another .npz file, with its checksum; returns the file's path."""
    copy.write_bytes(content)
    card = copy.with_suffix(".json")
    described = json.loads(card.read_text(encoding="utf-8")) | {"file_sha256": hashlib.sha256(content).hexdigest()}
    card.write_text(json.dumps(described), encoding="utf-8")
    return str(copy)


def npz_of(array):
    content = io.BytesIO()
    np.savez(content, w=array)
    return content.getvalue()


@pytest.mark.parametrize("content", [npz_of(np.array([{}], object)), b"no zip file", b"", pickle.dumps({})])
def test_a_file_of_pickled_objects_or_none_at_all_is_refused_with_its_name(copy, content):
    """Nothing of them runs."""
    with pytest.raises(InputError, match=r"mine\.npz holds no θ: .*Export the run again"):
        load_agent(with_file(copy, content))


@pytest.mark.parametrize("array", [np.array(["x"]), np.zeros(2, "V8"), np.zeros(2, complex)])
def test_a_file_of_arrays_without_numbers_is_refused(copy, array):
    with pytest.raises(InputError, match="does not fit"):
        load_agent(with_file(copy, npz_of(array))).reset(
            specs.BoundedArray((3,), float, -1, 1), specs.DiscreteArray(2), 0
        )
    expected = {"w": np.zeros((1, *array.shape), np.float32)}
    with pytest.raises(InputError, match=r"mine\.npz cannot be read: w holds"):
        load_meta_params(copy, expected)


@pytest.mark.parametrize("missing", [".npz", ".json"])
def test_a_missing_file_is_told(missing, copy):
    copy.with_suffix(missing).unlink()
    with pytest.raises(InputError, match=rf"mine\{missing}.*cannot be read: No such file"):
        load_pretrained(str(copy))


def test_an_unknown_name_is_told_with_those_there_are():
    with pytest.raises(InputError, match=r"agent=symla-none does not exist.*podmeta export") as raised:
        load_pretrained("symla-none")
    assert all(name in str(raised.value) for name in list_pretrained())


@pytest.mark.parametrize("name", list_pretrained())
def test_what_ships_is_whole(name):
    pretrained = load_pretrained(name)
    learner = make_learner(pretrained.learner_config, (3,), num_actions=2, num_policy_channels=2)
    meta_params = pretrained.meta_params(jax.eval_shape(learner.init, jax.random.key(0)))
    assert meta_params_sha256(meta_params) == pretrained.card.meta_params_sha256
    card = pretrained.card
    assert card.description and card.limits and card.results and card.command.startswith("podmeta train ")


def test_what_ships_is_small():
    assert sum(path.stat().st_size for path in pretrained_directory().glob("*")) < 1e6


@pytest.mark.parametrize(
    ("instance", "target", "part"),
    [(2, "mine.npz", "instance=2 does not exist: the run has 2"), (0, "mine", r"to=.*mine must end in \.npz")],
)
def test_what_cannot_be_exported_is_told(instance, target, part, run, tmp_path):
    with pytest.raises(InputError, match=part):
        export_run(run[0], tmp_path / target, instance)
    assert not list(tmp_path.iterdir())


def test_a_run_that_has_not_ended_is_told(tmp_path):
    train(compose_job([*TINY, "num_updates=0", f"run_dir={tmp_path}"]), lambda line: None)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(InputError, match=r"has not ended at its newest θ, of update 0: it has no summary\.json"):
        export_run(tmp_path, tmp_path / "mine.npz")


@pytest.mark.long
def test_the_card_is_about_the_newest_meta_params_of_a_run_that_went_on(tmp_path):
    path = tmp_path / "run"

    def train_to(num_updates):
        job = compose_job(
            [*TINY, f"num_updates={num_updates}", "outer.noise_std=1", "evaluation.num_tasks=4", f"run_dir={path}"]
        )
        return job, train(job, lambda line: None)

    job, result = train_to(1)
    evaluate_run(job, experiment_suite(job), result.meta_params, result.update, path, Console(quiet=True))
    tested = export_run(path, tmp_path / "first.npz")
    assert tested.card.results and not tested.notes
    assert {(row["update"], row["meta_params_sha256"]) for row in tested.card.results} == {
        (1, tested.card.meta_params_sha256)
    }
    summary = (path / "summary.json").read_text(encoding="utf-8")
    train_to(3)
    card, notes = export_run(path, tmp_path / "second.npz")
    assert (card.num_updates, card.env_steps, card.results) == (3, 3 * 8 * 6, [])
    assert card.meta_params_sha256 != tested.card.meta_params_sha256
    assert len(notes) == 1 and "of update 1 and the run holds the θ of update 3" in notes[0]
    # A run that is stopped after it went on has the summary of its earlier end, if it was made by an earlier podmeta.
    (path / "summary.json").write_text(summary, encoding="utf-8")
    with pytest.raises(
        InputError,
        match=r"newest θ, of update 3: its summary\.json is of update 1\. Run its command again; with num_updates=3",
    ):
        export_run(path, tmp_path / "third.npz")
    assert not (tmp_path / "third.npz").exists()


def test_the_meta_params_of_a_recurrent_learner_fit_one_size_only(tmp_path):
    overrides = [override for override in TINY if "message_size" not in override]
    job = compose_job([*overrides, "learner=recurrent", "num_updates=0", f"run_dir={tmp_path / 'run'}"])
    train(job, lambda line: None)
    export_run(tmp_path / "run", tmp_path / "mine.npz")
    pretrained = load_pretrained(str(tmp_path / "mine.npz"))

    def expected(num_actions):
        learner = make_learner(pretrained.learner_config, (1,), num_actions, 1)
        return jax.eval_shape(learner.init, jax.random.key(0))

    assert pretrained.meta_params(expected(5))
    with pytest.raises(InputError, match=r"θ of mine does not fit.*learner\.name=recurrent is tied to the sizes"):
        pretrained.meta_params(expected(4))
