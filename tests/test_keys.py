"""Random keys: of one generator, made in one place, whatever the surroundings say."""

import ast
from pathlib import Path

import jax
import pytest

import podmeta
from podmeta.architectures.anakin_session import from_devices, to_devices
from podmeta.architectures.base import DEVICE_AXIS
from podmeta.config.compose import compose_job
from podmeta.distributed.devices import map_over_devices
from podmeta.errors import InputError
from podmeta.keys import describe_generator, make_key, wrap_key
from podmeta.storage.checkpoints import meta_params_sha256
from podmeta.training import loop
from podmeta.training.build import build_program, instance_settings

PACKAGE = Path(podmeta.__file__).parent
MAKES_KEYS = {"key", "PRNGKey", "wrap_key_data", "default_prng_impl"}


def test_keys_are_made_in_one_place():
    found = []
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "launch").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "jax.random":
                found.append(path.name)
            if (
                isinstance(node, ast.Attribute)
                and node.attr in MAKES_KEYS
                and ast.unparse(node.value).endswith("random")
            ):
                found.append(path.name)
    assert set(found) == {"keys.py"}


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_are_of_one_generator(implementation):
    with jax.default_prng_impl(implementation):
        key = make_key(3)
        assert str(jax.random.key_impl(key)) == "threefry2x32"
        drawn = jax.random.bits(wrap_key(jax.random.key_data(key)))
    assert drawn == jax.random.bits(jax.random.key(3, impl="threefry2x32"))


LEARNER = ["learner=recurrent", "learner.cell=gru", "learner.hidden_size=2"]
SMALL = [*LEARNER, "environment=bandit", "environment.lifetime_length=8"]
OUTER = {
    "evolution": ["outer.population_size=8", "outer.lifetimes_per_member=1", "outer.unroll_length=4"],
    "actor_critic": ["outer=actor_critic", "outer.num_lifetimes=8", "outer.unroll_length=4", "outer.num_minibatches=2"],
}


@pytest.mark.parametrize(
    ("outer", "num_devices"),
    [pytest.param("evolution", 1, marks=pytest.mark.long), ("evolution", 2), ("evolution", 4), ("actor_critic", 2)],
)
def test_another_default_generator_changes_no_bit_of_training(outer, num_devices):
    job = compose_job([*SMALL, *OUTER[outer]])

    def digest(implementation):
        with jax.default_prng_impl(implementation):
            program = build_program(job, num_devices)
            run = map_over_devices(lambda state: program.run(state, 2), DEVICE_AXIS, num_devices)
            state = to_devices(program.init(instance_settings(job)), num_devices)
            return meta_params_sha256(from_devices(run(state)[0]).outer.meta_params)

    assert digest("rbg") == digest("threefry2x32")


def train(run_path, num_updates):
    quiet = ["logging.tensorboard=false", "logging.progress=false", f"run_dir={run_path}"]
    job = compose_job([*SMALL, *OUTER["evolution"], *quiet, f"num_updates={num_updates}"])
    return loop.train(job, lambda line: None).update


@pytest.mark.long
def test_a_run_does_not_go_on_with_other_random_numbers(tmp_path):
    assert describe_generator() == "threefry2x32"
    assert train(tmp_path, 1) == 1
    with jax.threefry_partitionable(False), pytest.raises(InputError, match=r"PARTITIONABLE.*run_dir"):
        train(tmp_path, 2)
    assert train(tmp_path, 2) == 2


@pytest.mark.long
def test_a_run_of_an_earlier_version_under_another_generator_does_not_go_on(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("podmeta.training.checkpoint_writer.describe_generator", lambda: None)
        patch.setenv("JAX_DEFAULT_PRNG_IMPL", "rbg")
        train(tmp_path, 1)
    with pytest.raises(InputError, match=r"random numbers of rbg, and these are of threefry2x32"):
        train(tmp_path, 2)
