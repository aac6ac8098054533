"""Meta-testing: lifetimes of θ, and of the algorithms it is compared with, on the same tasks."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from podmeta.config.schema import BanditConfig, EnvironmentConfig
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.registry import make_environment
from podmeta.errors import InputError
from podmeta.evaluation import from_scratch
from podmeta.evaluation.bandit_references import run_reference
from podmeta.evaluation.controls import ZEROED_INPUTS, alternating_inner_loop, deprived_inner_loop, random_inner_loop
from podmeta.evaluation.lived import Lifetimes, live_lifetimes, outer_fifths, outer_parts
from podmeta.evaluation.on_host import live_on_host
from podmeta.evaluation.rows import LEARNS_FROM_REWARD
from podmeta.evaluation.statistics import Interval, mean_interval
from podmeta.evaluation.verdict import judge
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.learners.registry import LearnerConfig
from podmeta.lifetimes import InnerLoop, build_inner_loop
from podmeta.runtime.run_files import EvaluationRow

STEP_TIME = "microseconds_per_step"
"""The metric of a learner's time for an env step; see `podmeta.evaluation.step_time`."""


class Companion(NamedTuple):
    """Another learner that meets the same tasks, such as MetaRNN beside a symmetric learner.

    Attributes:
      name: what its rows call it.
      meta_params: its θ.
      learner_config: the learner that this θ belongs to.
    """

    name: str
    meta_params: MetaParams
    learner_config: LearnerConfig


def meta_test(
    meta_params: MetaParams,
    learner_config: LearnerConfig,
    environment_config: EnvironmentConfig,
    num_tasks: int,
    seed: int,
    references: Sequence[str] = (),
    companions: Sequence[Companion] = (),
) -> dict[str, Lifetimes]:
    """One lifetime on each task, of the learner and of what it is compared with.

    Args:
      meta_params: θ.
      learner_config: the learner that θ belongs to.
      environment_config: where it is tested.
      num_tasks: number of lifetimes, each on a task of its own, the same for every algorithm.
      seed: which tasks.
      references: names in `REFERENCES`, beside those that are always there.
      companions: other learners; one whose θ does not fit the environment is left out.

    Returns:
      By algorithm ("learner", "random", for bandits "thompson", "ucb1" and "gittins", the references asked for, and
      the companions' names), its lifetimes.

    Raises:
      InputError: θ does not fit the environment (a recurrent learner's θ is tied to its sizes).
    """
    check_fit(meta_params, learner_config, environment_config)
    inner_loop = build_inner_loop(learner_config, environment_config)
    keys = jax.random.split(make_key(seed), num_tasks)

    live = functools.partial(live_on_host, environment_config) if lives_on_host(environment_config) else live_lifetimes

    measured = {"learner": live(inner_loop, meta_params, keys)}
    measured["random"] = live(random_inner_loop(environment_config), None, keys)
    if isinstance(environment_config, BanditConfig):
        arm_probabilities = _arm_probabilities(inner_loop, environment_config, meta_params, keys)
        for algorithm in ("thompson", "ucb1", "gittins"):
            history = run_reference(algorithm, arm_probabilities, environment_config.lifetime_length, seed)
            never = np.zeros_like(history.rewards)
            measured[algorithm] = Lifetimes(history.rewards, never, never, history.regrets)
    for reference in references:
        measured[reference] = _live_reference(reference, live, meta_params, learner_config, environment_config, keys)
    for companion in companions:
        if fits(companion.meta_params, companion.learner_config, environment_config):
            companion_loop = build_inner_loop(companion.learner_config, environment_config)
            measured[companion.name] = live(companion_loop, companion.meta_params, keys)
    return measured


ALWAYS_THERE = ("learner", "random", "thompson", "ucb1", "gittins")
"""The learner, and what it is held against without being asked to, on bandits or anywhere."""

REFERENCES = ("alternation", *ZEROED_INPUTS, *from_scratch.ALGORITHMS)
"""What a learner may be held against anywhere: controls, and ordinary RL from scratch."""


def _live_reference(
    name: str,
    live: Callable[[InnerLoop, MetaParams, Key[Array, "num_tasks"]], Lifetimes],
    meta_params: MetaParams,
    learner_config: LearnerConfig,
    environment_config: EnvironmentConfig,
    keys: Key[Array, "num_tasks"],
) -> Lifetimes:
    if name == "alternation":
        return live(alternating_inner_loop(environment_config), None, keys)
    if name in ZEROED_INPUTS:
        return live(deprived_inner_loop(learner_config, environment_config, ZEROED_INPUTS[name]), meta_params, keys)
    if lives_on_host(environment_config):
        raise InputError(
            f"{name}, trained from scratch, is there for compiled environments only, and environment.name="
            f"{environment_config.name} lives on the host: leave it out of the suite's references"
        )
    return from_scratch.live_from_scratch(name, environment_config, keys)


def fits(meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig) -> bool:
    """Whether θ, or one of its shapes, can live in an environment."""

    def shapes(tree: MetaParams) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, tree)

    inner_loop = build_inner_loop(learner_config, environment_config)
    return shapes(meta_params) == shapes(jax.eval_shape(inner_loop.init, make_key(0)))


def check_fit(meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig) -> None:
    """Checks that θ, or one of its shapes, can live in an environment.

    Raises:
      InputError: it cannot.
    """
    if not fits(meta_params, learner_config, environment_config):
        raise InputError(
            f"θ of learner.name={learner_config.name} does not fit environment.name={environment_config.name} as "
            "evaluation.settings ask for it: its sizes are those it is trained on. Test it on those, or train "
            "learner=symmetric, whose θ fits every number of observations and actions"
        )


def tabulate(
    suite: str, setting: dict[str, Any], environment: str, measured: dict[str, Lifetimes]
) -> list[EvaluationRow]:
    """The tidy rows of one setting, of every algorithm's headline metric first.

    "regret", "failures" and "return" are totals of the lifetime. "failures" are terminations where each costs 1 and
    nothing else pays; elsewhere "terminations" counts them, which may be successes. "reward_first_third" and
    "reward_last_third", and the same of fifths, are mean rewards per env step in these parts of it; "reward_gain" is by
    how much the last fifth is better than the first. Where episodes end, "first_episode_return" is what the first one
    earned, as far as the lifetime goes. If the controls of `podmeta.evaluation.verdict` were tested,
    "learns_from_reward" of the learner is 1 or 0, and its paired margins over random and over them are there too.
    """
    headline = headline_metric(measured)
    episodes_end = any(lifetimes.episode_ends.any() for lifetimes in measured.values())
    counted = ["terminations"] if episodes_end and headline != "failures" else []
    by_step = dict.fromkeys([headline, "return", *counted])
    rows = []
    for algorithm, lifetimes in measured.items():
        by_task = {metric: metric_values(lifetimes, metric).sum(axis=1) for metric in by_step}
        by_task["reward_first_third"], by_task["reward_last_third"] = outer_parts(lifetimes, 3)
        first, last = outer_fifths(lifetimes)
        by_task |= {"reward_first_fifth": first, "reward_last_fifth": last, "reward_gain": last - first}
        if episodes_end:
            by_task["first_episode_return"] = _first_episode_returns(lifetimes)
        for metric, values in by_task.items():
            interval: Interval = mean_interval(values)
            rows.append(EvaluationRow(suite, environment, setting, algorithm, metric, *interval))
    verdict = judge(measured)
    if verdict is not None:
        answer = float(verdict.learns)
        learns = Interval(answer, answer, answer, num_tasks=len(measured["learner"].rewards))
        for metric, interval in (verdict.margins | {LEARNS_FROM_REWARD: learns}).items():
            rows.append(EvaluationRow(suite, environment, setting, "learner", metric, *interval))
    return rows


def headline_metric(measured: dict[str, Lifetimes]) -> str:
    """What tells good from bad here: the regret where it is known, failures where they alone cost, else the return."""
    every = measured.values()
    if all(lifetimes.regrets is not None for lifetimes in every):
        return "regret"
    # Elsewhere an episode may terminate because its goal is reached.
    costs = any(lifetimes.terminations.any() for lifetimes in every) and all(
        np.array_equal(lifetimes.rewards, -lifetimes.terminations) for lifetimes in every
    )
    return "failures" if costs else "return"


def metric_values(lifetimes: Lifetimes, metric: str) -> Float[np.ndarray, "num_tasks lifetime_length"]:
    """A metric by env step: "regret" (where it is known), "failures", "terminations" or "return"."""
    values = {
        "regret": lifetimes.regrets,
        "failures": lifetimes.terminations,
        "terminations": lifetimes.terminations,
        "return": lifetimes.rewards,
    }[metric]
    assert values is not None
    return values


def _first_episode_returns(lifetimes: Lifetimes) -> Float[np.ndarray, "num_tasks"]:
    """The return of the first episode, as far as it fits in the lifetime."""
    ended_before = np.cumsum(lifetimes.episode_ends, axis=1) - lifetimes.episode_ends
    return np.where(ended_before == 0, lifetimes.rewards, 0.0).sum(axis=1)


def _arm_probabilities(
    inner_loop: InnerLoop, environment_config: BanditConfig, meta_params: MetaParams, keys: Key[Array, "num_tasks"]
) -> Float[np.ndarray, "num_tasks num_arms"]:
    """The arm probabilities that the learner meets in the lifetimes of these keys, padding left out."""
    environment = make_environment(environment_config)
    probabilities: Callable = environment.expected_rewards

    @jax.jit
    @jax.vmap
    def draw(key: PRNGKeyArray) -> Float[Array, "num_arms"]:
        lifetime = inner_loop.birth(meta_params, key)
        return probabilities(lifetime.task, lifetime.environment_state)[: environment_config.num_arms]

    return np.asarray(draw(keys))
