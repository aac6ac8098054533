"""Meta-testing: lifetimes of θ, and of the algorithms it is compared with, on the same tasks."""

import functools
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from podmeta.config.schema import EnvironmentConfig, LearnerConfig
from podmeta.environments.host.registry import lives_on_host
from podmeta.evaluation.baselines.bandit_references import gittins_algorithm, run_reference
from podmeta.evaluation.baselines.contenders import (
    Companion,
    arm_probabilities,
    check_fit,
    check_references,
    fits,
    inner_loops,
    is_bernoulli_bandit,
)
from podmeta.evaluation.baselines.from_scratch import ALGORITHMS as FROM_SCRATCH
from podmeta.evaluation.baselines.from_scratch import rollout_from_scratch
from podmeta.evaluation.on_host import make_host_rollout
from podmeta.evaluation.rollouts import Lifetimes, Rollout, make_rollout, outer_fifths, outer_parts
from podmeta.evaluation.rows import EPISODE_RETURN, LEARNS_FROM_REWARD
from podmeta.evaluation.statistics import Interval, mean_interval
from podmeta.evaluation.verdict import further_margins, judge
from podmeta.inner_loop import InnerLoop, build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.storage.run_files import EvaluationRow
from podmeta.value_types import Json

STEP_TIME = "microseconds_per_step"
"""The metric of a learner's time for an env step; see `podmeta.evaluation.step_time`."""


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
      num_tasks: number of lifetimes, each on another task; every algorithm gets the same tasks.
      seed: which tasks.
      references: names in `REFERENCES`, besides the default ones.
      companions: other learners; one whose θ does not fit the environment is left out.

    Returns:
      By algorithm ("learner", "random", for bandits "thompson", "ucb1" and "gittins" or, for long lifetimes,
      "gittins_approximate", the references asked for, and the companions' names), its lifetimes.

    Raises:
      InputError: θ does not fit the environment (a recurrent learner's θ is tied to its sizes), or a reference does
        not exist there.
    """
    check_fit(meta_params, learner_config, environment_config)
    check_references(references)
    keys = jax.random.split(make_key(seed), num_tasks)

    @functools.cache  # by inner loop: what shares one shares its program
    def rollout_of(inner_loop: InnerLoop) -> Rollout:
        if lives_on_host(environment_config):
            return make_host_rollout(environment_config, inner_loop)
        return make_rollout(inner_loop)

    loops = inner_loops(meta_params, learner_config, environment_config, references)
    rollouts = {name: functools.partial(rollout_of(loop), theta) for name, (loop, theta) in loops.items()}
    measured = {name: rollouts[name](keys) for name in ("learner", "random")}
    if is_bernoulli_bandit(environment_config):
        num_pulls = environment_config.lifetime_length
        probabilities = np.asarray(jax.jit(jax.vmap(arm_probabilities(environment_config)))(keys))
        for algorithm in ("thompson", "ucb1", gittins_algorithm(num_pulls)):
            history = run_reference(algorithm, probabilities, num_pulls, seed)
            never = np.zeros_like(history.rewards)
            measured[algorithm] = Lifetimes(history.rewards, never, never, history.regrets)
    for name in references:
        if name in rollouts:
            measured[name] = rollouts[name](keys)
        elif name in FROM_SCRATCH:
            measured[name] = rollout_from_scratch(name, environment_config, keys)
    for companion in companions:
        if fits(companion.meta_params, companion.learner_config, environment_config):
            companion_loop = build_inner_loop(companion.learner_config, environment_config)
            measured[companion.name] = rollout_of(companion_loop)(companion.meta_params, keys)
    return measured


def tabulate(
    suite: str,
    setting: dict[str, Json],
    environment: str,
    measured: dict[str, Lifetimes],
    observations_matter: bool = True,
) -> list[EvaluationRow]:
    """The tidy rows of one setting, of every algorithm's headline metric first.

    "regret", "failures" and "return" are totals of the lifetime. "failures" are terminations where each costs 1 and
    nothing else pays; elsewhere "terminations" counts them, which may be successes. "reward_first_third" and
    "reward_last_third", and the same of fifths, are mean rewards per env step in these parts of it; "reward_gain" is by
    how much the last fifth is better than the first. Where episodes end, "first_episode_return" is what the first one
    earned, as far as the lifetime goes, and "episode_return" the mean of those that ended, or of the first where none
    did. If the controls of `podmeta.evaluation.verdict` were tested,
    "learns_from_reward" of the learner is 1 or 0, and its paired margins over random and over them are there too. If
    hand-written rules were tested, so are its margins over the best of them, early and late, and likewise those over
    its base alone. `observations_matter` is as in `judge`.
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
            by_task[EPISODE_RETURN] = _episode_returns(lifetimes)
        for metric, values in by_task.items():
            interval: Interval = mean_interval(values)
            rows.append(EvaluationRow(suite, environment, setting, algorithm, metric, *interval))
    for metric, interval in further_margins(measured).items():
        rows.append(EvaluationRow(suite, environment, setting, "learner", metric, *interval))
    verdict = judge(measured, observations_matter)
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


def _episode_returns(lifetimes: Lifetimes) -> Float[np.ndarray, "num_tasks"]:
    """The mean return of the episodes that ended in a lifetime; where none did, of the one that it broke off."""
    length = lifetimes.rewards.shape[1]
    # What a lifetime earned until its last episode end, over the number of these.
    num_ended = lifetimes.episode_ends.sum(axis=1)
    last_end = length - 1 - np.argmax(lifetimes.episode_ends[:, ::-1] > 0, axis=1)
    is_counted = np.arange(length) <= np.where(num_ended > 0, last_end, length - 1)[:, None]
    return np.where(is_counted, lifetimes.rewards, 0.0).sum(axis=1) / np.maximum(num_ended, 1)
