"""What of a run's config is taken from the user alone."""

import shlex

import pytest

from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.resolve import evaluation_settings
from podmeta.config.schema import LearnerFactoryConfig, SymmetricConfig
from podmeta.config.suites import load_suite
from podmeta.errors import InputError
from podmeta.storage.signature import sign
from podmeta.storage.trust import check_card, read_run

FACTORY = ["environment.factory=theirs:make", "architecture=sebulba"]
OPTIONS = "environment.options={level: {path: theirs.xml}, size: 3}"
IN_A_SETTING = ["evaluation.settings=[{environment: factory, factory: 'theirs:make'}]"]
MODULE = ["environment=gymnasium", "environment.id=theirs:Maze-v0", "architecture=sebulba"]
IN_A_MIXTURE = [
    "environment=mixture",
    "environment.entries=[{environment: xland, benchmark: theirs}, {environment: bandit}]",
    "evaluation.settings=[{}]",
]
IN_A_STAGE = ["architecture=sebulba", "stages=[{environment: gymnasium/theirs:Maze-v0, num_updates: 1}]"]
LEARNER = ["learner.factory=theirs:make", "learner.options={path: theirs.npz}"]
OUTER = ["outer.factory=theirs:make"]
OUTER_OF_A_STAGE = ["stages=[{num_updates: 1, outer: {name: factory, factory: 'theirs:make'}}]"]
PLAIN = [
    "environment=gymnasium",
    "environment.id=CartPole-v1",
    "architecture=sebulba",
    "environment.options={sutton: true}",
]


def job_of(path, overrides, *given, trust=False):
    """Reads and checks a run with the config of these overrides, from a command line with others."""
    (path / "config.yaml").write_text(job_to_yaml(compose_job(overrides)), encoding="utf-8")
    run = read_run(path, given, trust)
    run.check(evaluation_settings(run.job))
    return run.job


@pytest.mark.long
@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (FACTORY, "environment.factory='theirs:make' names code"),
        ([*FACTORY, OPTIONS], "environment.options.level.path='theirs.xml' names code"),
        (IN_A_SETTING, "a setting's factory='theirs:make' names code"),
        (MODULE, "environment.id='theirs:Maze-v0' names code"),
        (IN_A_MIXTURE, "environment.benchmark='theirs' names code"),
        (IN_A_STAGE, "environment.id='theirs:Maze-v0' names code"),
        (LEARNER, "learner.factory='theirs:make', learner.options.path='theirs.npz' names code"),
        (["environment=jax_factory", *FACTORY[:1]], "environment.factory='theirs:make' names code"),
        (["environment=gymnax", "environment.options={map: x}"], "environment.options.map='x' names code"),
        (["environment=xland", "environment.benchmark=theirs"], "environment.benchmark='theirs' names code"),
        (
            ["environment=envpool", "architecture=sebulba", "environment.options={wad: theirs}"],
            "environment.options.wad",
        ),
    ],
)
def test_code_that_somebody_elses_config_names_is_refused_in_one_line(tmp_path, overrides, told):
    with pytest.raises(InputError) as raised:
        job_of(tmp_path, overrides)
    said = str(raised.value)
    assert said.startswith(str(tmp_path)) and told in said and "add --trust" in said and "\n" not in said
    job_of(tmp_path, overrides, trust=True)
    sign(tmp_path, (tmp_path / "config.yaml").read_text(encoding="utf-8"))
    job_of(tmp_path, overrides)


@pytest.mark.parametrize(
    "overrides", [[], PLAIN, ["environment=mixture", "environment.entries=[{environment: bandit}]"]]
)
def test_what_names_no_code_needs_no_trust(tmp_path, overrides):
    job_of(tmp_path, overrides)


@pytest.mark.parametrize(
    ("overrides", "given"),
    [
        (FACTORY, ["environment.factory=theirs:make"]),
        (FACTORY, ["environment.factory=mine:make"]),
        ([*FACTORY, OPTIONS], ["environment.factory=mine:make", "environment.options.level.path=mine.xml"]),
        (LEARNER, ["learner.factory=mine:make", "learner.options.path=mine.npz"]),
        (IN_A_SETTING, ["evaluation.settings=[{environment: factory, factory: 'mine:make'}]"]),
        (MODULE, ["evaluation.settings=[{environment: gymnasium/theirs:Maze-v0}]"]),
    ],
)
def test_what_this_command_line_says_is_the_users_own(tmp_path, overrides, given):
    job_of(tmp_path, overrides, *given)


@pytest.mark.parametrize(
    "given",
    [
        ["evaluation.num_tasks=4"],
        ["environment.options.level.path=mine.xml"],
        ["environment.factory=mine:make"],
        ["experiment_name='theirs:make'", "environment.options.level.path=mine.xml"],
    ],
)
def test_other_keys_of_the_command_line_say_nothing_of_it(tmp_path, given):
    with pytest.raises(InputError, match="add --trust"):
        job_of(tmp_path, [*FACTORY, OPTIONS], *given)


def test_a_suite_that_makes_no_environment_of_the_run_needs_no_trust(tmp_path):
    (tmp_path / "config.yaml").write_text(job_to_yaml(compose_job(FACTORY)), encoding="utf-8")
    run = read_run(tmp_path)
    run.check(load_suite("action_spaces", run.job).settings)


def test_a_changed_config_falls_back_to_the_rule(tmp_path):
    job_of(tmp_path, FACTORY, trust=True)
    config = tmp_path / "config.yaml"
    sign(tmp_path, config.read_text(encoding="utf-8"))
    config.write_text(config.read_text(encoding="utf-8").replace("seed: 0", "seed: 1"), encoding="utf-8")
    run = read_run(tmp_path)
    with pytest.raises(InputError, match="add --trust"):
        run.check(evaluation_settings(run.job))


def test_a_long_text_is_cut(tmp_path):
    with pytest.raises(InputError) as raised:
        job_of(tmp_path, [f"environment.factory={'x' * 10_000}", "architecture=sebulba"])
    assert len(str(raised.value)) < 1000 and shlex.quote("x" * 300) not in str(raised.value)


@pytest.mark.parametrize("overrides", [OUTER, OUTER_OF_A_STAGE])
def test_an_outer_loop_of_somebody_elses_is_refused_where_the_run_goes_on(tmp_path, overrides):
    job_of(tmp_path, overrides)  # a meta-test makes no outer loop
    with pytest.raises(InputError, match=r"outer\.factory='theirs:make' names code.*add --trust"):
        read_run(tmp_path).check_whole()
    read_run(tmp_path, trust=True).check_whole()


def test_what_makes_the_learner_alone_asks_for_it_alone(tmp_path):
    (tmp_path / "config.yaml").write_text(job_to_yaml(compose_job([*FACTORY, *LEARNER])), encoding="utf-8")
    with pytest.raises(InputError, match=r"learner\.factory"):
        read_run(tmp_path).check_learner()
    (tmp_path / "config.yaml").write_text(job_to_yaml(compose_job(FACTORY)), encoding="utf-8")
    read_run(tmp_path).check_learner()


def test_the_learner_on_a_card_needs_trust():
    with pytest.raises(InputError, match=r"the card of theirs: learner\.factory='theirs:make' names code.*--trust"):
        check_card("theirs", LearnerFactoryConfig(factory="theirs:make"))
    check_card("theirs", SymmetricConfig())
