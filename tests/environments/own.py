"""Environments as users write them, of each kind that a factory may return."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from gymnax.environments.classic_control.cartpole import CartPole

from podmeta.environments.base import Environment, restart, transition
from podmeta.environments.bridge.from_gymnasium import from_gymnasium


class LeftOrRight(Environment):
    """One of `num_actions` actions pays 1; which one is the task. An episode lasts one step."""

    def __init__(self, num_actions=2):
        self._num_actions = num_actions

    def observation_spec(self):
        return specs.Array((1,), np.float32)

    def action_spec(self):
        return specs.DiscreteArray(self._num_actions)

    def sample_task(self, key):
        return jax.random.randint(key, (), 0, self._num_actions)

    def reset(self, key, task):
        return (), restart(jnp.ones(1))

    def step(self, key, task, state, action):
        return (), transition(reward=action == task, observation=jnp.ones(1), terminated=True)


def of_gymnax():
    return CartPole()


def of_gymnax_with_parameters(max_steps_in_episode=10):
    environment = CartPole()
    return environment, environment.default_params.replace(max_steps_in_episode=max_steps_in_episode)


def of_gymnasium(max_episode_steps=20):
    return gymnasium.make("CartPole-v1", max_episode_steps=max_episode_steps)


def of_dm_env(seed):
    return from_gymnasium(of_gymnasium(), seed=seed)
