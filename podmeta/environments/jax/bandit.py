"""Bandits: the task is what each arm pays in the mean, with rewards of 0 and 1 or with normally distributed ones."""

import math
from collections.abc import Callable

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int, PRNGKeyArray

from podmeta.environments.base import Environment, restart, transition
from podmeta.errors import InputError

ArmMeans = Float[Array, "num_arms"]


class Bandit(Environment[ArmMeans, tuple[()]]):
    """A bandit whose lifetime is one episode of pulls that never ends; the observation is a constant 1.

    Args:
      num_arms: arms, at least 2.
      rewards: `bernoulli`: an arm pays 1 with its probability, else 0. `gaussian`: an arm pays its mean plus standard
        normal noise, and the means of a task are standard normal.
      distribution: how the arm probabilities of a task are drawn. `independent`: each uniform on [0, 1] (Duan
        et al. 2016, arXiv 1611.02779, section 3.1). The dependent ones have two arms with p2 = 1 - p1 (Wang
        et al. 2016, arXiv 1611.05763, section 3.1): `dependent_uniform` draws p1 uniformly from [0, 1];
        `dependent_easy`, `dependent_medium` and `dependent_hard` from {.1, .9}, {.25, .75} and {.4, .6}.

    Raises:
      InputError: the number of arms or the distribution does not exist, or they do not go together.
    """

    def __init__(self, num_arms: int, distribution: str = "independent", rewards: str = "bernoulli"):
        if num_arms < 2:
            raise InputError(f"environment.num_arms is {num_arms}: a bandit needs at least 2 arms")
        if distribution not in DISTRIBUTIONS:
            raise InputError(
                f"environment.distribution: there is no {distribution!r}; choose one of {', '.join(DISTRIBUTIONS)}"
            )
        if distribution != "independent" and num_arms != 2:
            raise InputError(
                f"environment.num_arms is {num_arms}, but environment.distribution={distribution} has two "
                "arms: set environment.num_arms=2, or environment.distribution=independent"
            )
        if rewards not in PAYMENTS:
            raise InputError(f"environment.rewards: there is no {rewards!r}; choose one of {', '.join(PAYMENTS)}")
        if rewards != "bernoulli" and distribution != "independent":
            raise InputError(
                f"environment.rewards is {rewards}, but environment.distribution={distribution} is of arm "
                "probabilities: set environment.distribution=independent"
            )
        self._num_arms = num_arms
        self._distribution = distribution
        self._draw = DISTRIBUTIONS[distribution] if rewards == "bernoulli" else _standard_normal
        self._pay = PAYMENTS[rewards]

    @property
    def episodes_end(self) -> bool:
        """A lifetime is one unending episode of pulls."""
        return False

    @property
    def num_tasks(self) -> float:
        """Two where the probabilities of both arms are given, else unlimited."""
        return math.inf if self._distribution in ("independent", "dependent_uniform") else 2

    def observation_spec(self) -> specs.BoundedArray:
        """The constant 1, shape [1]."""
        return specs.BoundedArray((1,), np.float32, minimum=1.0, maximum=1.0, name="observation")

    def action_spec(self) -> specs.DiscreteArray:
        """One action per arm."""
        return specs.DiscreteArray(self._num_arms, np.int32, name="action")

    def sample_task(self, key: PRNGKeyArray) -> ArmMeans:
        """Draws what each arm pays in the mean, [num_arms]."""
        return self._draw(key, self._num_arms)

    def reset(self, key: PRNGKeyArray, task: ArmMeans) -> tuple[tuple[()], dm_env.TimeStep]:
        """Starts the one episode of a lifetime. Nothing is drawn."""
        del key, task
        return (), restart(jnp.ones(1))

    def step(
        self, key: PRNGKeyArray, task: ArmMeans, state: tuple[()], action: Int[Array, ""]
    ) -> tuple[tuple[()], dm_env.TimeStep]:
        """Pulls an arm: the one random draw, straight from the step's key, decides what it pays."""
        return state, transition(self._pay(key, task[action]), jnp.ones(1))

    def expected_rewards(self, task: ArmMeans, state: tuple[()]) -> ArmMeans:
        """The task itself."""
        del state
        return task


def _independent(key: PRNGKeyArray, num_arms: int) -> ArmMeans:
    return jax.random.uniform(key, (num_arms,))


def _standard_normal(key: PRNGKeyArray, num_arms: int) -> ArmMeans:
    return jax.random.normal(key, (num_arms,))


def _dependent_uniform(key: PRNGKeyArray, num_arms: int) -> ArmMeans:
    del num_arms
    first = jax.random.uniform(key)
    return jnp.stack([first, 1.0 - first])


def _dependent(lower: float) -> Callable[[PRNGKeyArray, int], ArmMeans]:
    def draw(key: PRNGKeyArray, num_arms: int) -> ArmMeans:
        del num_arms
        return jax.random.permutation(key, jnp.array([lower, 1.0 - lower]))

    return draw


DISTRIBUTIONS: dict[str, Callable[[PRNGKeyArray, int], ArmMeans]] = {
    "independent": _independent,
    "dependent_uniform": _dependent_uniform,
    "dependent_easy": _dependent(0.1),
    "dependent_medium": _dependent(0.25),
    "dependent_hard": _dependent(0.4),
}
"""How arm probabilities are drawn, by the value of `environment.distribution`."""


def _pay_one_or_nothing(key: PRNGKeyArray, probability: Float[Array, ""]) -> Float[Array, ""]:
    return (jax.random.uniform(key) < probability).astype(jnp.float32)


def _pay_with_noise(key: PRNGKeyArray, mean: Float[Array, ""]) -> Float[Array, ""]:
    return mean + jax.random.normal(key)


PAYMENTS: dict[str, Callable[[PRNGKeyArray, Float[Array, ""]], Float[Array, ""]]] = {
    "bernoulli": _pay_one_or_nothing,
    "gaussian": _pay_with_noise,
}
"""What an arm pays, given its mean, by the value of `environment.rewards`."""
