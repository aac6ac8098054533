"""θ in files, and jobs that start from it."""

import jax
import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from podmeta.storage.checkpoints import meta_params_sha256
from podmeta.storage.named_arrays import to_npz
from podmeta.training.build import build_program, instance_settings
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


def initial(*overrides):
    """θ of a job that has not begun, [num_instances, ...]."""
    job = compose_job([*TINY, *overrides])
    return jax.device_get(build_program(job, 1).init(instance_settings(job)).outer.meta_params)


def one_of(meta_params, instance=0):
    return jax.tree.map(lambda leaf: leaf[instance], meta_params)


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def meta_params():
    return initial("seed=1")


@pytest.fixture
def file(meta_params, tmp_path):
    path = tmp_path / "theta.npz"
    path.write_bytes(to_npz(one_of(meta_params)))
    return path


@pytest.fixture(scope="module")
def run_path(tmp_path_factory):
    """A run of three instances, one update long."""
    path = tmp_path_factory.mktemp("source") / "run"
    train(compose_job([*TINY, "num_updates=1", "architecture.num_instances=3", f"run_dir={path}"]), lambda line: None)
    return path


def test_a_file_gives_back_what_was_saved(file, meta_params):
    assert_equal(load_meta_params(file, meta_params), meta_params)
    assert [path.name for path in file.parent.iterdir()] == ["theta.npz"]


def test_a_file_of_one_goes_to_all_instances(file, meta_params):
    loaded = load_meta_params(file, initial("architecture.num_instances=2"))
    for instance in range(2):
        assert_equal(one_of(loaded, instance), one_of(meta_params))


def test_a_job_starts_from_the_file_it_names(file, meta_params, tmp_path):
    start = compose_job([*TINY, "num_updates=0", f"init_from={file}", f"run_dir={tmp_path / 'run'}"])
    result = train(start, lambda line: None)
    assert meta_params_sha256(one_of(result.meta_params)) == meta_params_sha256(one_of(meta_params))


@pytest.mark.long
def test_a_job_starts_from_a_run_of_another_environment_and_length(run_path, tmp_path):
    overrides = [*TINY, "environment=contextual_bandit", "architecture.num_instances=3", f"init_from={run_path}"]
    source = train(
        compose_job([*TINY, "num_updates=1", "architecture.num_instances=3", f"run_dir={run_path}"]), lambda line: None
    )
    start = compose_job([*overrides, "num_updates=0", f"run_dir={tmp_path / 'run'}"])
    assert_equal(train(start, lambda line: None).meta_params, source.meta_params)


def test_a_job_that_goes_on_needs_its_source_no_more(file, tmp_path):
    def job(num_updates):
        overrides = [f"num_updates={num_updates}", f"init_from={file}", f"run_dir={tmp_path / 'run'}"]
        return compose_job([*TINY, *overrides])

    train(job(0), lambda line: None)
    file.unlink()
    assert train(job(1), lambda line: None).update == 1


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda leaf: np.concatenate([leaf, leaf], axis=-1), r"is \(.*\) there and \(.*\) here"),
        (lambda leaf: {"deeper": leaf}, "absent"),
    ],
)
def test_a_source_of_other_shapes_is_refused(change, part, file, meta_params):
    with pytest.raises(InputError, match=f"init_from=.* does not fit.*{part}"):
        load_meta_params(file, jax.tree.map(change, meta_params))


def test_a_source_with_another_number_of_instances_is_refused(run_path):
    with pytest.raises(InputError, match=r"3 instances.*architecture\.num_instances=2"):
        load_meta_params(run_path, initial("architecture.num_instances=2"))


@pytest.mark.parametrize("content", [None, b"", b"no arrays"])
def test_a_source_that_is_none_is_told(content, meta_params, tmp_path):
    path = tmp_path / "theta.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"init_from=.*theta\.npz cannot be read"):
        load_meta_params(path, meta_params)


def test_a_folder_that_is_no_run_is_told(meta_params, tmp_path):
    with pytest.raises(InputError, match=r"holds no checkpoint"):
        load_meta_params(tmp_path, meta_params)
