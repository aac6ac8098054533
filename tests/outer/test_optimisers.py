import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.compose import compose_job
from podmeta.config.schema import ScheduleConfig
from podmeta.errors import InputError
from podmeta.outer.optimisers import check_optimiser, make_optimiser, make_schedule_factor
from podmeta.training.build import build_programs

SHAPES = ["constant", "linear", "cosine", "exponential"]


@pytest.mark.parametrize("name", SHAPES)
@given(st.integers(2, 1000), st.sampled_from([0.01, 0.5, 1.0]))
def test_schedules_fall_from_1_to_the_end_factor_at_the_last_update(name, num_updates, end_factor):
    factor = make_schedule_factor(ScheduleConfig(name=name, end_factor=end_factor), num_updates)
    values = [float(factor(jnp.array(update))) for update in (0, num_updates // 2, num_updates - 1)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    np.testing.assert_allclose(values[-1], 1.0 if name == "constant" else end_factor, rtol=1e-5)
    np.testing.assert_allclose(factor(jnp.array(2 * num_updates)), values[-1], rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 60))
def test_a_schedule_that_says_its_length_does_not_depend_on_the_job(name, length, num_updates, update):
    own = make_schedule_factor(ScheduleConfig(name=name, num_updates=length), num_updates)
    assert float(own(jnp.array(update))) == float(make_schedule_factor(ScheduleConfig(name=name), length)(update))


@pytest.mark.parametrize("name", SHAPES)
def test_a_job_of_one_update_has_the_whole_rate(name):
    assert float(make_schedule_factor(ScheduleConfig(name=name), 1)(jnp.array(0))) == 1.0


def test_warmup_rises_linearly_and_then_leaves_the_schedule_alone():
    plain = make_schedule_factor(ScheduleConfig(name="linear"), 100)
    warm = make_schedule_factor(ScheduleConfig(name="linear", warmup_updates=4), 100)
    ratios = [float(warm(jnp.array(update)) / plain(jnp.array(update))) for update in range(6)]
    np.testing.assert_allclose(ratios, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "oracle"),
    [("sgd", {"momentum": 0.9}, optax.sgd(0.1, 0.9)), ("adam", {"b1": 0.5}, optax.adam(0.1, b1=0.5))],
)
def test_an_optimiser_is_optaxs_of_that_name_with_those_arguments(name, arguments, oracle):
    optimiser = make_optimiser(name, arguments)(0.1)
    meta_params, gradients = jnp.ones(3), jnp.array([1.0, -2.0, 0.5])
    state, oracle_state = optimiser.init(meta_params), oracle.init(meta_params)
    for _ in range(2):
        changes, state = optimiser.update(gradients, state, meta_params)
        expected, oracle_state = oracle.update(gradients, oracle_state, meta_params)
        np.testing.assert_allclose(changes, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["adm", "chain", "losses", "clip_by_global_norm", "__doc__", ""])
def test_what_is_not_an_optimiser_is_an_input_error(name):
    with pytest.raises(InputError, match=r"outer\.optimiser="):
        make_optimiser(name, {})


@pytest.mark.parametrize("arguments", [{"beta": 0.9}, {"learning_rate": 0.1}])
def test_arguments_that_do_not_fit_are_an_input_error(arguments):
    with pytest.raises(InputError, match=r"outer\.optimiser_arguments do not fit optax\.adam"):
        make_optimiser("adam", arguments)


META_PARAMS = {"w": jax.ShapeDtypeStruct((3, 2), jnp.float32), "b": jax.ShapeDtypeStruct((2,), jnp.float32)}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("lbfgs", {}, r"^outer\.optimiser=lbfgs does not work here.* Try adam, sgd or rmsprop$"),
        ("lbfgs", {"memory_size": 3}, r"^outer\.optimiser=lbfgs does not work here"),
        ("adam", {"b1": "abc"}, r"^outer\.optimiser_arguments=\{'b1': 'abc'\} do not fit optax\.adam: "),
        ("adam", {"b1": [0.1, 0.2, 0.3]}, r"^outer\.optimiser_arguments=.*optax\.adam: "),
        ("adam", {"mu_dtype": "float99"}, r"^outer\.optimiser_arguments=.*optax\.adam: "),
    ],
)
def test_an_optimiser_is_tried_before_training_starts(name, arguments, message):
    make_optimiser(name, arguments)  # by their names, the arguments fit
    with pytest.raises(InputError, match=message) as refusal:
        check_optimiser(name, arguments, META_PARAMS)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop", "lamb", "lion", "adafactor", "novograd"])
def test_optimisers_that_go_by_the_gradient_are_welcome(name):
    check_optimiser(name, {}, META_PARAMS)


@pytest.mark.parametrize("outer", ["evolution", "actor_critic", "distillation"])
def test_every_outer_loop_tries_its_optimiser(outer):
    words = [f"outer={outer}", "environment=random_mdp", "learner=recurrent", "learner.hidden_size=2"]
    job = compose_job([*words, "outer.optimiser=lbfgs"])
    with pytest.raises(InputError, match=r"outer\.optimiser=lbfgs"):
        build_programs(job, 1)
