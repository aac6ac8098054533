"""gymnax environments: against gymnasium, at episode ends, and every registered one for its types."""

import functools

import dm_env
import flax.struct
import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import environment as gymnax_environment
from gymnax.environments import spaces
from gymnax.utils import load_mnist

from podmeta.environments.base import is_last, step_or_reset
from podmeta.environments.jax.gymnax_adapter import TASK_FIELDS, GymnaxEnvironment
from podmeta.errors import InputError

REGISTERED = tuple(gymnax.registered_envs)


@pytest.fixture
def fake_mnist(monkeypatch):
    data = np.zeros((3, 28, 28), np.int8), np.arange(3, dtype=np.uint8)
    monkeypatch.setattr(load_mnist, "load_mnist", lambda: (data, data))


@pytest.mark.long
@pytest.mark.parametrize("id", REGISTERED)
@pytest.mark.usefixtures("fake_mnist")
def test_every_registered_environment_can_be_scanned(id):
    environment = GymnaxEnvironment(id, {})
    spec = environment.action_spec()
    action = jnp.full(spec.shape, spec.minimum, spec.dtype)

    def roll(key):
        task = environment.sample_task(key)

        def advance(carry, key):
            carry = step_or_reset(environment, key, task, *carry, action)
            return carry, carry[1]

        return jax.lax.scan(advance, environment.reset(key, task), jax.random.split(key, 2))

    # A scan refuses a carry whose types change; nothing has to be compiled for that.
    (state, timestep), timesteps = jax.eval_shape(roll, jax.random.key(0))
    first_state, first_timestep = jax.eval_shape(environment.reset, jax.random.key(0), ())
    assert _types((state, timestep)) == _types((first_state, first_timestep))
    assert timestep.observation.shape == environment.observation_spec().shape
    assert timestep.observation.dtype == environment.observation_spec().dtype == np.float32
    assert timesteps.reward.shape == timesteps.discount.shape == timesteps.step_type.shape == (2,)
    assert timesteps.reward.dtype == np.float32


@pytest.mark.parametrize("id", TASK_FIELDS)
def test_a_fixed_task_is_the_goal_of_every_episode(id):
    environment = GymnaxEnvironment(id, {"max_steps_in_episode": 5}, fixed_task=True)
    spec = environment.action_spec()

    @jax.jit
    def live(key):
        task = environment.sample_task(key)

        def advance(carry, key):
            if hasattr(spec, "num_values"):
                action = jax.random.randint(key, (), 0, spec.num_values)
            else:
                action = jax.random.uniform(key, spec.shape, minval=-0.1, maxval=0.1)
            carry = step_or_reset(environment, key, task, *carry, action)
            return carry, (getattr(carry[0], TASK_FIELDS[id]), carry[1])

        return task, jax.lax.scan(advance, environment.reset(key, task), jax.random.split(key, 30))[1]

    tasks, (goals, timesteps) = jax.vmap(live)(jax.random.split(jax.random.key(0), 4))
    np.testing.assert_array_equal(goals, np.broadcast_to(tasks[:, None], goals.shape))
    assert len(np.unique(tasks, axis=0)) > 1
    assert ((timesteps.step_type == 0).sum(axis=1) > 2).all()
    if id == "Reacher-misc":  # which shows its goal
        np.testing.assert_array_equal(timesteps.observation[..., -2:], goals)
    assert environment.num_tasks > 20


def test_without_a_fixed_task_goals_are_drawn_by_episode():
    environment = GymnaxEnvironment("PointRobot-misc", {})
    assert environment.sample_task(jax.random.key(0)) == () and environment.num_tasks == 1
    goals = [environment.reset(jax.random.key(seed), ())[0].goal for seed in range(2)]
    assert not np.array_equal(*goals)


def test_only_what_draws_a_task_can_fix_it():
    with pytest.raises(InputError, match=r"fixed_task: CartPole-v1 draws no task.*MetaMaze-misc.*fixed_task=false"):
        GymnaxEnvironment("CartPole-v1", {}, fixed_task=True)


def test_cart_pole_steps_like_gymnasium():
    environment = GymnaxEnvironment("CartPole-v1", {})
    step = jax.jit(environment.step)
    oracle = gymnasium.make("CartPole-v1").unwrapped
    oracle.reset()
    random = np.random.default_rng(0)
    num_terminations = 0
    for episode in range(5):
        state, timestep = environment.reset(jax.random.key(episode), ())
        while not is_last(timestep):
            action = random.integers(2)
            oracle.state = np.asarray(timestep.observation, np.float64)
            oracle.steps_beyond_terminated = None
            observation, reward, terminated, _, _ = oracle.step(action)
            state, timestep = step(jax.random.key(0), (), state, action)
            np.testing.assert_allclose(timestep.observation, observation, rtol=1e-4, atol=1e-5)
            assert timestep.reward == reward
            assert timestep.discount == 1.0 - terminated
            assert is_last(timestep) == terminated
            num_terminations += terminated
    assert num_terminations == 5


@pytest.mark.parametrize(
    ("parameters", "num_steps", "discount"),
    [
        ({"max_steps_in_episode": 5}, 5, 1.0),
        ({"x_threshold": 0.0, "max_steps_in_episode": 5}, 1, 0.0),
        ({"x_threshold": 0.0, "max_steps_in_episode": 1}, 1, 0.0),
    ],
    ids=["truncated", "terminated", "both at once is a termination"],
)
def test_episode_ends(parameters, num_steps, discount):
    environment = GymnaxEnvironment("CartPole-v1", parameters)
    state, timestep = environment.reset(jax.random.key(0), ())
    step = jax.jit(environment.step)
    for action in [0, 1, 0, 1, 0][:num_steps]:
        assert not is_last(timestep)
        assert timestep.discount == 1.0
        state, timestep = step(jax.random.key(1), (), state, action)
    assert timestep.step_type == dm_env.StepType.LAST
    assert timestep.discount == discount


def test_discrete_observations_are_one_hot():
    environment = GymnaxEnvironment("FrozenLake-misc", {})
    assert environment.observation_spec().shape == (16,)
    _, timestep = environment.reset(jax.random.key(0), ())
    np.testing.assert_array_equal(timestep.observation, np.eye(16)[0])


def test_box_actions_keep_their_bounds():
    spec = GymnaxEnvironment("Pendulum-v1", {}).action_spec()
    assert spec.shape == (1,)
    np.testing.assert_array_equal([spec.minimum, spec.maximum], [[-2.0], [2.0]])


@pytest.mark.parametrize(
    ("id", "parameters", "message"),
    [
        ("cartpole", {}, "environment.id.*CartPole-v1"),
        ("CartPole-v0", {}, "environment.id.*CartPole-v1"),
        ("zzz", {}, "environment.id.*Acrobot-v1"),
        ("CartPole-v1", {"max_steps": 3}, "environment.parameters.max_steps:.*max_steps_in_episode"),
        ("CartPole-v1", {"zzz": 3}, "environment.parameters.zzz:.*gravity"),
        ("CartPole-v1", {"max_steps_in_episode": 2.5}, "environment.parameters.max_steps_in_episode.*500"),
        ("CartPole-v1", {"gravity": "low"}, "environment.parameters.gravity.*9.8"),
        ("CartPole-v1", {"gravity": None}, "environment.parameters.gravity.*9.8"),
        ("CartPole-v1", {"gravity": [9.8, 1.6]}, "environment.parameters.gravity.*9.8"),
        ("Acrobot-v1", {"available_torque": [1.0]}, "environment.parameters.available_torque"),
    ],
)
def test_wrong_configs_are_told_by_key_with_the_cure(id, parameters, message):
    with pytest.raises(InputError, match=message):
        GymnaxEnvironment(id, parameters)


def test_parameters_change_the_environment():
    environment = GymnaxEnvironment("Acrobot-v1", {"available_torque": [0.0, 0.0, 5.0], "max_steps_in_episode": 9})
    step = jax.jit(environment.step)
    state, _ = environment.reset(jax.random.key(0), ())
    idle, equally_idle, pushed = (step(jax.random.key(0), (), state, action)[1].observation for action in range(3))
    np.testing.assert_array_equal(idle, equally_idle)
    assert np.abs(idle - pushed).max() > 1e-3

    moon = GymnaxEnvironment("CartPole-v1", {"gravity": 2})
    state, _ = moon.reset(jax.random.key(0), ())
    earth = GymnaxEnvironment("CartPole-v1", {})
    on_moon, on_earth = (one.step(jax.random.key(0), (), state, jnp.array(0))[1].observation for one in (moon, earth))
    assert np.abs(on_moon - on_earth).max() > 1e-4


def test_data_that_cannot_be_loaded_is_told(monkeypatch):
    def fail():
        raise OSError("no network")

    monkeypatch.setattr(load_mnist, "load_mnist", fail)
    with pytest.raises(InputError, match=r"environment.id.*MNISTBandit-bsuite.*no network"):
        GymnaxEnvironment("MNISTBandit-bsuite", {})


@flax.struct.dataclass
class AwkwardState(gymnax_environment.EnvState):
    time: int
    key: jax.Array
    total: float


class Awkward(gymnax_environment.Environment):
    """Everything that gymnax's types leave open: shapes of (1,), Boolean observations, a scalar box, a typed key."""

    observations = spaces.Box(0, 1, (2, 1), bool)
    actions = spaces.Box(-1.0, 3.0, ())

    def reset_env(self, key, params):
        return jnp.zeros(2, bool), AwkwardState(time=0, key=key, total=0)

    def step_env(self, key, state, action, params):
        state = AwkwardState(time=state.time + 1, key=state.key, total=state.total + action)
        return jnp.ones(2, bool), state, jnp.full(1, 3, jnp.int32), jnp.array([state.total > 4.0]), {}

    def action_space(self, params):
        return self.actions

    def observation_space(self, params):
        return self.observations


class DictObservations(Awkward):
    observations = spaces.Dict({"position": spaces.Discrete(3)})


class TupleActions(Awkward):
    actions = spaces.Tuple([spaces.Discrete(3)])


@pytest.fixture(scope="session")
def own_environments():
    classes = [Awkward, DictObservations, TupleActions]
    for each in classes:
        gymnax.register(f"{each.__name__}-podmeta-test", each)


@pytest.mark.usefixtures("own_environments")
def test_loose_types_are_made_strict():
    environment = GymnaxEnvironment("Awkward-podmeta-test", {"max_steps_in_episode": 3})
    spec = environment.action_spec()
    assert spec.shape == (1,)
    np.testing.assert_array_equal([spec.minimum, spec.maximum], [[-1.0], [3.0]])
    advance = jax.jit(functools.partial(step_or_reset, environment))
    state, timestep = environment.reset(jax.random.key(0), ())
    first_types = _types((state, timestep))
    discounts = []
    for _ in range(2):
        state, timestep = advance(jax.random.key(1), (), state, timestep, jnp.array([2.5]))
        assert _types((state, timestep)) == first_types
        assert timestep.reward == 3.0
        np.testing.assert_array_equal(timestep.observation, np.ones((2, 1)))
        discounts.append(float(timestep.discount))
    assert discounts == [1.0, 0.0]


@pytest.mark.usefixtures("own_environments")
@pytest.mark.parametrize(
    ("name", "message"), [("DictObservations", "observations of a Dict"), ("TupleActions", "actions of a Tuple")]
)
def test_other_spaces_are_refused(name, message):
    with pytest.raises(InputError, match=f"environment.id: {name}-podmeta-test has {message}"):
        GymnaxEnvironment(f"{name}-podmeta-test", {})


def _types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)), tree)


def test_options_are_arguments_of_gymnax_make():
    environment = GymnaxEnvironment("DeepSea-bsuite", {}, options={"size": 5})
    assert environment.observation_spec().shape == (5, 5)
    with pytest.raises(InputError, match=r"environment\.options: gymnax cannot make 'DeepSea-bsuite' with.*sise"):
        GymnaxEnvironment("DeepSea-bsuite", {}, options={"sise": 5})
