"""Values that a key does not take: the message names the key, the value, what is allowed and the cure, in our words."""

import copy
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.compose import compose_job, job_from_config, job_from_yaml, job_to_yaml
from podmeta.config.messages import explain_overrides
from podmeta.config.presets import hydra_over_presets
from podmeta.errors import InputError

LIBRARIES_WORDS = re.compile(
    r"DictConfig|ListConfig|could not be converted|Optional|mandatory|subclass|Interpolation|Cannot |Could not|"
    r"append|--multirun to|Config group|Missing|In 'job'|<class|Traceback|None\b|\n"
)

WRONG = {
    "seed=abc": ["seed=abc is not a whole number. Write it as in seed=0"],
    "seed=1,2": ["seed=1,2 gives several values", "[1, 2]"],
    "seed=range(1,3)": ["seed=range(1,3) gives several values"],
    "~seed": ["'~seed' deletes a key", "leave it out"],
    "~nowhere": ["'~nowhere' deletes a key"],
    "+learner=recurrent": ["'+learner=recurrent' adds a key that exists: write it without +"],
    "learner@x=recurrent": ["write learner=recurrent"],
    "learner=": ["learner= does not exist", "symmetric"],
    "learner={hidden_size: many}": ["learner.hidden_size=many is not a whole number"],
    "learner.options=3": ["unknown config key 'learner.options': only learner=factory can have it"],
    "environment.entries=[]": ["unknown config key 'environment.entries': only environment=mixture can have it"],
    "evaluation=tasks": ["evaluation.num_tasks=100", "suite="],
    "outer.optimiser_arguments={1: 2}": ["outer.optimiser_arguments.1: 1 is not text", "quotes"],
    "outer.optimiser_arguments.b1=???": ["outer.optimiser_arguments.b1=??? leaves the value open"],
    "=3": ["'=3' names no key", "KEY=VALUE"],
    "hydra/launcher=x": ["hydra/launcher is a key of Hydra's own"],
    "+hydra.verbose=true": ["hydra.verbose is a key of Hydra's own"],
}
WRONG_VALUES = {
    "seed=''": ["seed='' is not a whole number"],
    "seed=null": ["seed=null is no value", "seed=0"],
    "seed=???": ["seed=??? leaves the value open", "seed=0"],
    "seed=${nowhere}": ["seed=${nowhere} refers", "seed=0"],
    "seed=${oc.env:HOME}": ["seed=${oc.env:HOME} refers"],
    "seed=${seed}": ["seed=${seed} refers"],
    "stages=[{num_update: 1, num_updates: 1}]": ["unknown config key 'stages[0].num_update'", "num_updates?"],
    "num_updates=inf": ["num_updates=inf is not a whole number", "num_updates=1"],
    "learner.hidden_size=[1,2]": ["learner.hidden_size=[1,2] is not a whole number"],
    "learner.hidden_size.deep=1": ["unknown config key 'learner.hidden_size.deep'", "holds a whole number"],
    "learner.hidden_layers=3": ["learner.hidden_layers=3 is not a list of whole numbers", "learner.hidden_layers=[1]"],
    "learner.hidden_layers={a: 1}": ["learner.hidden_layers={a: 1} is not a list of whole numbers"],
    "learner.hidden_layers=[a]": ["learner.hidden_layers[0]=a is not a whole number", "learner.hidden_layers=[1]"],
    "learner.hidden_layers=[null]": ["learner.hidden_layers[0]=null is no value"],
    "learner.hidden_layers=[[1]]": ["learner.hidden_layers[0]=[1]", "remove its brackets"],
    "learner.hidden_layers.0=3": ["a list is set as a whole", "learner.hidden_layers=[1]"],
    "learner.state_noise=[1]": ["learner.state_noise=[1] is not a number"],
    "learner.aggregation=[mean]": ["learner.aggregation=[mean] is not one of mean, sum, sum_forward"],
    "logging=false": ["logging=false is not a mapping of keys to values", "logging.every_updates="],
    "logging.tensorboard={}": ["logging.tensorboard={} is not true or false"],
    "evaluation.settings=[{num_arms: ${x}}]": ["evaluation.settings[0].num_arms=${x} refers"],
    "evaluation.settings=[{num_arms: {a: 1}}]": ["evaluation.settings[0].num_arms={a: 1}", "num_arms: 5"],
    "outer.learning_rate_schedule=[a]": [
        "outer.learning_rate_schedule=[a] is not a mapping",
        "_schedule.name=constant",
    ],
    "outer.optimiser_arguments=3": ["outer.optimiser_arguments=3 is not a mapping"],
    "outer.evolved=[[a]]": ["outer.evolved[0]=[a]", "a list of words"],
    "stages={a: 1}": ["stages={a: 1} is not a list"],
    "stages=[{num_updates: ???}]": ["stages[0].num_updates=??? leaves the value open"],
    "stages=[{num_updates: [1]}]": ["stages[0].num_updates=[1] is not a whole number", "num_updates: 1"],
    "stages=[{num_updates: 1, outer: {learning_rate_schedule: 3}}]": [
        "outer.learning_rate_schedule=3 is not a mapping"
    ],
}


def message_of(refused, override=""):
    """The message of a refusal, which is in our own words."""
    error = refused.value
    message = str(error) if isinstance(error, InputError) else explain_overrides(error, [override])
    assert not LIBRARIES_WORDS.search(message), message
    return message


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_override_is_told_in_our_words(override):
    with pytest.raises(InputError) as refused:
        compose_job(["experiment=bandit", override])
    message = message_of(refused)
    assert [part for part in WRONG[override] if part not in message] == [], message


@pytest.fixture(scope="module")
def composed():
    with hydra_over_presets() as compose:
        return compose("job", ["experiment=bandit"])


@pytest.mark.parametrize("override", WRONG_VALUES)
def test_a_wrong_value_is_told_in_our_words(composed, override):
    config = copy.deepcopy(composed)
    (parsed,) = OverridesParser.create().parse_overrides([override])
    with pytest.raises((InputError, OmegaConfBaseException)) as refused:
        OmegaConf.update(config, parsed.key_or_group, parsed.value())  # as Hydra does it, which takes longer
        job_from_config(config)
    message = message_of(refused, override)
    assert [part for part in WRONG_VALUES[override] if part not in message] == [], message


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "config.yaml"
    path.write_text(job_to_yaml(compose_job(["experiment=bandit"])), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("evaluation.num_tasks=many", "evaluation.num_tasks=many is not a whole number"),
        ("evaluation.num_tasks=1,2", "several values"),
        ("~seed", "deletes a key"),
        ("learner=recurrent", "learner=recurrent is not a mapping"),
    ],
)
def test_a_wrong_override_of_a_run_is_told_likewise(config_file, override, part):
    with pytest.raises(InputError) as refused:
        job_from_yaml(config_file, [override])
    message = message_of(refused)
    assert part in message and str(config_file) not in message


FILES = {
    "learner: 3": "learner=3 is not a mapping",
    "learner: {hidden_size: many}": "learner.hidden_size=many is not a whole number",
    "defaults: bandit": "defaults=bandit is not a list",
    "defaults: [3]": "defaults cannot hold 3",
    "defaults: [{override /learner: [a]}]": "defaults cannot hold {override /learner: [a]}",
    "defaults: [{override /learner: recurent}]": "learner=recurent does not exist. Did you mean recurrent",
    "seed: ${x}": "seed=${x} refers",
    "evaluation: {settings: 3}": "evaluation.settings=3 is not a list",
}


@pytest.mark.parametrize("content", FILES)
def test_a_wrong_experiment_file_is_told_likewise(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        compose_job([f"experiment={path}", "environment=cartpole"])
    assert FILES[content] in message_of(refused)
