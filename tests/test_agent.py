"""Agents: the inputs of the learner inside, the actions, and what they refuse."""

import copy
import pickle
import subprocess
import sys

import dm_env
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_env import specs
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

import podmeta
from podmeta.config.schema import RecurrentConfig, SymmetricConfig
from podmeta.environments.bridge.as_dm_env import DmEnvAdapter
from podmeta.environments.bridge.from_gymnasium import from_gymnasium
from podmeta.environments.jax.bandit import Bandit
from podmeta.errors import InputError
from podmeta.learners import registry
from podmeta.learners.base import Learner, LearnerOutput
from podmeta.storage.named_arrays import from_npz
from tests.end_to_end.job import REPOSITORY
from tests.pretrained_files import save_untrained

OBSERVATIONS = specs.BoundedArray((3,), "float32", -1.0, 1.0)
ACTIONS = specs.DiscreteArray(2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("algorithms")
    config = SymmetricConfig(hidden_size=4, message_size=2, state_noise=1.0)
    return {
        "mine": save_untrained(folder / "mine.npz", config),
        "other": save_untrained(folder / "other.npz", config, seed=1),
        "recurrent": save_untrained(folder / "recurrent.npz", RecurrentConfig(hidden_size=4)),
    }


@pytest.fixture(scope="module")
def algorithm(files):
    return podmeta.load_agent(files["mine"])


def random_timesteps(seed, number):
    """An experience that no environment gave, with an episode end now and then."""
    generator = np.random.default_rng(seed)
    step_type = dm_env.StepType.LAST
    for _ in range(number):
        starts = step_type == dm_env.StepType.LAST
        step_type = dm_env.StepType.FIRST if starts else dm_env.StepType(generator.integers(1, 3))
        observation = generator.normal(size=3).astype(np.float32)
        reward, discount = (None, None) if starts else (float(generator.normal()), 1.0)
        yield dm_env.TimeStep(step_type, reward, discount, observation)


def test_the_learner_is_told_what_training_tells_it(algorithm, monkeypatch, tmp_path):
    """By a learner that keeps its inputs and always takes action 1."""

    maker = registry._MAKERS[SymmetricConfig]

    def keeping_learner(config, observation_shape, num_actions, num_policy_channels):
        size = observation_shape[0]
        nothing = (jnp.zeros(size), jnp.zeros(num_actions), jnp.zeros(()), jnp.zeros(()))
        always_1 = LearnerOutput(jnp.array([[-1e9], [0.0]]), jnp.zeros(()))
        return Learner(
            init=maker(config, observation_shape, num_actions, num_policy_channels).init,
            initial_state=lambda meta_params, key: nothing,
            step=lambda meta_params, state, learner_input: (always_1, tuple(learner_input)[:4]),
        )

    monkeypatch.setitem(registry._MAKERS, SymmetricConfig, keeping_learner)
    agent = podmeta.load_agent(algorithm_path(algorithm, tmp_path)).reset(OBSERVATIONS, ACTIONS, seed=0)
    largest, largest_observation = 0.0, 0.0
    for timestep in random_timesteps(0, 20):
        assert agent.step(timestep) == 1
        agent.save(tmp_path / "state.npz")
        arrays = from_npz((tmp_path / "state.npz").read_bytes())
        observation, previous_action, reward, starts = (arrays[f"learner_state/inner/inner/{i}"] for i in range(4))
        largest_observation = np.maximum(largest_observation, np.abs(timestep.observation))
        np.testing.assert_allclose(observation, timestep.observation / largest_observation, rtol=1e-6)
        assert starts == timestep.first()
        expected = 0.0 if timestep.first() else timestep.reward
        largest = max(largest, abs(expected))
        np.testing.assert_allclose(reward, expected / (largest or 1.0), rtol=1e-6)
        np.testing.assert_array_equal(previous_action, [0, 0] if timestep.first() else [0, 1])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_rewards_does_not_matter(algorithm, unit):
    """In the first unit an agent meets: its actions are the same as those of an agent that earns as much in another."""
    agents = [algorithm.reset(OBSERVATIONS, ACTIONS, seed=0) for _ in range(2)]
    for timestep in random_timesteps(1, 20):
        rescaled = timestep if timestep.first() else timestep._replace(reward=unit * timestep.reward)
        assert agents[0].step(timestep) == agents[1].step(rescaled)
    for leaf, other in zip(*map(policy_states, agents), strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-4)


def policy_states(agent):
    return jax.tree.leaves(agent._state.learner_state.inner)


def algorithm_path(algorithm, tmp_path):
    """A copy's path: programs are kept per algorithm, and this one's must not have been made yet."""
    path = tmp_path / "copy.npz"
    return save_untrained(path, SymmetricConfig(**algorithm.card.learner))


def states(agents):
    return [jax.tree.leaves(jax.tree.map(np.asarray, agent._state)) for agent in agents]


@pytest.mark.long
def test_an_agent_interrupted_in_a_step_stands_before_or_after_it():
    command = [sys.executable, "-m", "tests.end_to_end.interrupted_agent", "40", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=True)
    outcomes = {name: int(number) for number, name in (line.split(maxsplit=1) for line in done.stdout.splitlines())}
    assert outcomes.keys() <= {"before", "after"} and sum(outcomes.values()) == 40


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
def test_a_copy_of_an_agent_lives_its_own_life(algorithm, make_copy):
    timesteps = list(random_timesteps(0, 30))
    agent, undisturbed = (algorithm.reset(OBSERVATIONS, ACTIONS, seed=0) for _ in range(2))
    for timestep in timesteps[:10]:
        assert agent.step(timestep) == undisturbed.step(timestep)
    copied = make_copy(agent)
    for timestep in random_timesteps(1, 20):
        copied.step(timestep)
    copied = make_copy(agent)
    expected = [undisturbed.step(timestep) for timestep in timesteps[10:]]
    assert [agent.step(timestep) for timestep in timesteps[10:]] == expected
    assert [copied.step(timestep) for timestep in timesteps[10:]] == expected


def test_an_agent_refuses_to_be_pickled_and_says_what_to_do(algorithm):
    with pytest.raises(TypeError, match=r"agent\.save\(path\).*algorithm\.load"):
        pickle.dumps(algorithm.reset(OBSERVATIONS, ACTIONS, seed=0))


def test_an_algorithm_can_be_pickled_also_once_it_has_agents(files):
    algorithm = podmeta.load_agent(files["mine"])
    agent = algorithm.reset(OBSERVATIONS, ACTIONS, seed=0)
    sent = pickle.loads(pickle.dumps(algorithm)).reset(OBSERVATIONS, ACTIONS, seed=0)
    for timestep in random_timesteps(0, 10):
        assert agent.step(timestep) == sent.step(timestep)


@pytest.mark.parametrize("change", [1.0, 1e-9])
@pytest.mark.parametrize(
    "make", [lambda low: specs.BoundedArray(low.shape, low.dtype, low, 2.0), lambda low: spaces.Box(low, 2.0)]
)
def test_observations_whose_bounds_differ_anywhere_have_programs_of_their_own(algorithm, make, change):
    low = np.zeros(2000, np.float32)
    other = low.copy()
    other[1000] = -change
    assert algorithm._program(make(low), ACTIONS) is algorithm._program(make(low.copy()), ACTIONS)
    assert algorithm._program(make(low), ACTIONS) is not algorithm._program(make(other), ACTIONS)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_a_seed_that_would_equal_another_is_refused(algorithm, seed):
    with pytest.raises(InputError, match=f"seed={seed} is not a whole number from 0 to 4294967295"):
        algorithm.reset(OBSERVATIONS, ACTIONS, seed)
    with pytest.raises(InputError, match="is not a whole number"):
        DmEnvAdapter(Bandit(3), seed)


@given(seed=st.integers(0, 2**31 - 1), moment=st.integers(0, 12))
def test_a_saved_agent_goes_on_as_if_nothing_had_been(algorithm, tmp_path_factory, seed, moment):
    path = tmp_path_factory.mktemp("saved") / "agent.npz"
    agent = algorithm.reset(OBSERVATIONS, specs.BoundedArray((2,), "float64", -1.0, 3.0), seed)
    timesteps = list(random_timesteps(seed, 24))
    for timestep in timesteps[:moment]:
        agent.step(timestep)
    agent.save(path)
    loaded = algorithm.load(path, OBSERVATIONS, specs.BoundedArray((2,), "float64", -1.0, 3.0))
    for timestep in timesteps[moment:]:
        np.testing.assert_array_equal(agent.step(timestep), loaded.step(timestep))


def test_lifetimes_of_one_seed_are_equal_and_of_two_are_not(algorithm):
    def actions(seed):
        agent = algorithm.reset(OBSERVATIONS, ACTIONS, seed)
        return [int(agent.step(timestep)) for timestep in random_timesteps(0, 40)]

    assert actions(0) == actions(0) != actions(1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("observation_spec", "observation", "action_spec"),
    [
        (specs.BoundedArray((10, 5), "float32", 0.0, 1.0), np.eye(10, 5, dtype=np.float32), specs.DiscreteArray(5)),
        (specs.Array((1,), "float64"), np.array([1e30]), specs.DiscreteArray(2, np.int64)),
        (
            specs.BoundedArray((4,), "float32", -np.inf, np.inf),
            np.zeros(4, np.float32),
            specs.BoundedArray((3,), "float32", -1.0, 1.0),
        ),
        (
            specs.DiscreteArray(6),
            np.array(5),
            specs.BoundedArray((2, 2), "float64", [[0.0, 1.0], [2.0, 3.0]], [[4.0] * 2] * 2),
        ),
        (
            {"position": OBSERVATIONS, "mode": specs.DiscreteArray(2)},
            {"position": np.zeros(3, np.float32), "mode": 1},
            specs.DiscreteArray(3),
        ),
        (
            specs.BoundedArray((2,), "uint8", 0, 255),
            np.array([0, 255], np.uint8),
            specs.BoundedArray((), "float32", -2.0, 2.0),
        ),
    ],
)
def test_any_size_and_kind_of_observation_and_action_will_do(algorithm, observation_spec, observation, action_spec):
    agent = algorithm.reset(observation_spec, action_spec, seed=0)
    timesteps = [dm_env.restart(observation), *[dm_env.transition(1.0, observation)] * 3]
    for timestep in timesteps:
        action_spec.validate(agent.step(timestep))


def test_it_lives_in_an_environment_of_ours(algorithm):
    environment = DmEnvAdapter(Bandit(3), seed=0)
    agent = algorithm.reset(environment.observation_spec(), environment.action_spec(), seed=0)
    timestep = environment.reset()
    for _ in range(10):
        timestep = environment.step(agent.step(timestep))
    assert timestep.reward in (0.0, 1.0)


@pytest.mark.parametrize(
    ("observation_spec", "parts"),
    [
        (specs.BoundedArray((84, 84), "uint8", 0, 255), ["image", "(84, 84)", "features"]),
        (specs.BoundedArray((64, 64, 3), "float32", 0, 1), ["image", "features"]),
        (specs.StringArray(()), ["takes numbers"]),
        (specs.Array((0,), "float32"), ["no component", "constant 1"]),
    ],
)
def test_observations_that_it_cannot_live_with_are_told(algorithm, observation_spec, parts):
    with pytest.raises(InputError, match="observation") as raised:
        algorithm.reset(observation_spec, ACTIONS, seed=0)
    assert [part for part in parts if part not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("action_spec", "parts"),
    [
        (specs.Array((2,), "float32"), ["box of real numbers"]),
        (specs.BoundedArray((2,), "float32", 0.0, np.inf), ["no finite bounds"]),
        (specs.BoundedArray((5,), "int32", 0, 3), ["1,024 combinations", "at most 1,000"]),
        (spaces.Discrete(3, start=-1), ["does not count from 0", "from_gymnasium"]),
        (spaces.Text(3), ["the space Text"]),
        ([ACTIONS, ACTIONS], ["one discrete action, or a box"]),
    ],
)
def test_actions_that_it_cannot_take_are_told(algorithm, action_spec, parts):
    with pytest.raises(InputError, match="action") as raised:
        algorithm.reset(OBSERVATIONS, action_spec, seed=0)
    assert [part for part in parts if part not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("timestep", "part"),
    [
        (dm_env.restart(np.zeros(4)), r"shape \(4,\), but its spec says \(3,\).*reset the agent"),
        (dm_env.restart(np.array([0.0, np.nan, 0.0])), "not finite"),
        (dm_env.transition(np.inf, np.zeros(3)), "gave inf as its reward"),
        (dm_env.transition(1e30, np.zeros(3)), r"gave 1e\+30 as its reward"),
        (dm_env.transition("1", np.zeros(3)), "gave '1' .* as its reward, but real numbers are required"),
        (dm_env.transition(None, np.zeros(3)), "gave None"),
        (dm_env.transition(1.0, np.zeros(3), 2.0), r"gave 2\.0 as its discount"),
        (dm_env.transition(1.0, np.zeros(3)), "MID from a reset, but dm_env requires FIRST"),
        (dm_env.TimeStep(7, 1.0, 1.0, np.zeros(3)), "gave 7 as its step type"),
        (dm_env.TimeStep(dm_env.StepType.FIRST, 1.0, None, np.zeros(3)), "reward at FIRST"),
    ],
)
def test_a_time_step_that_is_wrong_is_told_and_does_no_harm(algorithm, timestep, part):
    agent, undisturbed = (algorithm.reset(OBSERVATIONS, ACTIONS, seed=0) for _ in range(2))
    with pytest.raises(InputError, match=part):
        agent.step(timestep)
    for good in random_timesteps(1, 20):
        assert agent.step(good) == undisturbed.step(good)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("FF", "FIRST after FIRST, but dm_env requires MID or LAST"),
        ("FLL", "LAST after LAST, but dm_env requires FIRST"),
        ("FML" + "M", "MID after LAST, but dm_env requires FIRST"),
    ],
)
def test_step_types_that_make_no_episode_are_told(algorithm, order, message):
    agent = algorithm.reset(OBSERVATIONS, ACTIONS, seed=0)
    step = {
        "F": dm_env.restart(np.zeros(3)),
        "M": dm_env.transition(0.0, np.zeros(3)),
        "L": dm_env.termination(0.0, np.zeros(3)),
    }
    for name in order[:-1]:
        agent.step(step[name])
    with pytest.raises(InputError, match=message):
        copy.copy(agent).step(step[order[-1]])
    agent.step(step["F" if order[-2] != "F" else "M"])  # a reset in the middle of an episode is the user's to make


def test_gymnasium_spaces_and_several_discrete_actions_are_taken(algorithm):
    observations, actions = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(3)}), spaces.Discrete(2)
    agent = algorithm.reset(observations, actions, seed=0)
    assert agent.step(dm_env.restart({"a": np.zeros(2), "b": 1})) in actions
    actions = spaces.MultiDiscrete([3, 2])
    agent = algorithm.reset(OBSERVATIONS, actions, seed=0)
    assert agent.step(dm_env.restart(np.zeros(3))) in actions
    assert agent.step(dm_env.transition(np.ones(1), np.zeros(3))) in actions  # a reward of shape (1,)


@pytest.mark.parametrize("limit", [5, 500])
def test_a_plain_loop_over_gymnasium_is_as_one_over_its_adapter(algorithm, limit):
    plain, inside = (gymnasium.make("CartPole-v1", max_episode_steps=limit) for _ in range(2))
    adapted = from_gymnasium(inside, seed=3)
    agent = algorithm.reset(adapted.observation_spec(), adapted.action_spec(), seed=1)
    timestep, wanted = adapted.reset(), []
    for _ in range(40):
        wanted.append(int(agent.step(timestep)))
        timestep = adapted.step(wanted[-1])

    agent = algorithm.reset(plain.observation_space, plain.action_space, seed=1)
    observation, _ = plain.reset(seed=3)
    reward, terminated, truncated, found = 0.0, False, False, []
    for _ in range(40):
        found.append(int(agent.act(observation, reward, terminated, truncated)))
        if terminated or truncated:
            observation, _ = plain.reset()
            reward, terminated, truncated = 0.0, False, False
        else:
            observation, reward, terminated, truncated, _ = plain.step(found[-1])
    assert found == wanted


def test_a_state_that_does_not_fit_is_told(algorithm, files, tmp_path):
    path = tmp_path / "agent.npz"
    algorithm.reset(OBSERVATIONS, ACTIONS, seed=0).save(path)
    with pytest.raises(InputError, match="of another algorithm than other"):
        podmeta.load_agent(files["other"]).load(path, OBSERVATIONS, ACTIONS)
    with pytest.raises(InputError, match=r"learner_state.* there and .* here"):
        algorithm.load(path, OBSERVATIONS, specs.DiscreteArray(3))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"agent\.npz holds no agent"):
        algorithm.load(path, OBSERVATIONS, ACTIONS)


def test_a_recurrent_learner_acts_in_its_own_sizes_only(files):
    algorithm = podmeta.load_agent(files["recurrent"])
    assert algorithm.reset(OBSERVATIONS, ACTIONS, seed=0).step(dm_env.restart(np.zeros(3))) in (0, 1)
    with pytest.raises(InputError, match="tied to the sizes"):
        algorithm.reset(OBSERVATIONS, specs.DiscreteArray(3), seed=0)


def test_importing_podmeta_by_itself_does_not_bring_jax():
    code = "import sys, podmeta; assert 'jax' not in sys.modules; podmeta.load_agent; assert 'jax' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
