"""Lifetimes played in environments, and what is said about them."""

import io
import time

import dm_env
import numpy as np
import pytest
from dm_env import specs
from rich.console import Console

import podmeta
from podmeta.cli import main
from podmeta.config.schema import FactoryConfig, SymmetricConfig
from podmeta.errors import PodmetaError
from podmeta.evaluation.play import PlayedLifetime, draw_lifetime, open_dm_environment, play, show_lifetime
from tests.pretrained_files import save_untrained


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("algorithm") / "mine.npz", SymmetricConfig(hidden_size=4))


class Script(dm_env.Environment):
    """Shows these time steps, one after the other, whatever is done."""

    def __init__(self, timesteps):
        self._timesteps = iter(timesteps)

    def reset(self):
        return next(self._timesteps)

    def step(self, action):
        assert action in (0, 1)
        return next(self._timesteps)

    def observation_spec(self):
        return specs.Array((1,), "float32")

    def action_spec(self):
        return specs.DiscreteArray(2)


def test_a_lifetime_is_what_the_environment_shows(file):
    observation = np.ones(1, np.float32)
    timesteps = [
        dm_env.restart(observation),
        dm_env.transition(2.0, observation),
        dm_env.truncation(3.0, observation),
        dm_env.restart(observation),
        dm_env.termination(-1.0, observation),
    ]
    played = play(podmeta.load_agent(file), Script(timesteps), lifetime_length=4, seed=0)
    assert played.rewards.tolist() == [2, 3, 0, -1]
    assert played.episode_ends.tolist() == [False, True, False, True]
    assert played.terminations.tolist() == [False, False, False, True]


def said(played):
    output = io.StringIO()
    show_lifetime(played, Console(width=40, file=output))
    return output.getvalue()


def test_what_is_said_compares_the_end_with_the_beginning():
    rewards = np.linspace(0, 1, 100)
    ends = np.arange(100) % 10 == 9
    text = said(PlayedLifetime(rewards, ends, ends & (np.arange(100) < 30)))
    assert "reward 50 in all; per env step 0.09596 in the first fifth, 0.904 in the last" in text
    assert "10 episodes ended, 3 of them by termination: 2 in the first fifth, 0 in the last" in text
    assert "100 env steps" in text


def test_where_no_episode_ends_none_is_spoken_of():
    nothing = np.zeros(3, bool)
    assert "episode" not in said(PlayedLifetime(np.ones(3), nothing, nothing))


def test_the_command_plays_with_the_transforms_that_are_asked_for(file, capsys):
    words = ["environment=gymnax/CartPole-v1", "environment.failure_reward=true", "environment.lifetime_length=60"]
    assert main(["play", f"agent={file}", *words]) == 0
    output = capsys.readouterr().out
    assert "60 env steps" in output and "reward -" in output


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["environment=bandit"], ["podmeta play agent=NAME", "podmeta list"]),
        (["agent=symla-none", "environment=bandit"], ["agent=symla-none does not exist"]),
        (["agent=symla-none", "environment=mixture"], ["environment"]),
        (["agent=symla-none", "environment=gymnx/CartPole-v1"], ["environment=gymnx/CartPole-v1", "gymnax"]),
        (["agent=symla-none", "environment=bandit", "environment.num_arm=3"], ["environment.num_arm", "num_arms"]),
    ],
)
def test_wrong_words_are_told(arguments, parts, capsys):
    assert main(["play", *arguments]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert [part for part in parts if part not in told] == [], told


STUCK = """
import time

import dm_env
import numpy as np
from dm_env import specs


class Stuck(dm_env.Environment):
    def reset(self):
        return dm_env.restart(np.zeros(2, np.float32))

    def step(self, action):
        time.sleep(20)

    def observation_spec(self):
        return specs.Array((2,), np.float32)

    def action_spec(self):
        return specs.DiscreteArray(2)


def make():
    return Stuck()
"""


def test_an_environment_that_ends_no_step_is_left(file, tmp_path, monkeypatch):
    (tmp_path / "stuck.py").write_text(STUCK, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    began = time.monotonic()
    with (
        pytest.raises(PodmetaError, match=r"factory stuck:make: the environment has not answered for 0\.5 s"),
        open_dm_environment(FactoryConfig(factory="stuck:make"), seed=0, timeout_s=0.5) as environment,
    ):
        play(podmeta.load_agent(file), environment, lifetime_length=4, seed=0)
    assert time.monotonic() - began < 20


def test_a_picture_of_a_lifetime_is_written_where_it_is_asked_for(tmp_path):
    rewards, never = np.sin(np.arange(45.0)), np.zeros(45, bool)
    draw_lifetime(PlayedLifetime(rewards, never, never), tmp_path / "lifetime.png")
    assert (tmp_path / "lifetime.png").read_bytes().startswith(b"\x89PNG")
