"""Algorithms designed for Bernoulli bandits, with which a meta-test compares the learner.

They run on the host, for all tasks at once, on the same tasks as the learner. All except `random` assume that each
arm's probability is uniform on [0, 1] and independent of the other arms. If that is true, their regrets over 100 pulls
are (means of 20,000 tasks; 95% intervals are ±0.17 wide for random and ±0.09 or less for the others):

| arms | random | Thompson | UCB1 | Gittins |
|---|---|---|---|---|
| 2 | 16.6 | 2.77 | 1.87 | 1.79 |
| 5 | 33.3 | 8.26 | 4.92 | 4.67 |
| 10 | 40.9 | 13.80 | 7.59 | 7.15 |
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from podmeta.errors import InputError
from podmeta.evaluation.baselines.gittins import gittins_table

Scores = Float[np.ndarray, "num_tasks num_arms"]


class ArmCounts(NamedTuple):
    """What an algorithm knows when it chooses an arm.

    Attributes:
      successes: [num_tasks, num_arms] how often each arm has paid.
      failures: [num_tasks, num_arms] how often each arm has not paid.
      pull: pulls so far, of all arms together.
      num_pulls: pulls in the lifetime.
    """

    successes: Int[np.ndarray, "num_tasks num_arms"]
    failures: Int[np.ndarray, "num_tasks num_arms"]
    pull: int
    num_pulls: int


class BanditHistory(NamedTuple):
    """One lifetime on each task.

    Attributes:
      regrets: [num_tasks, num_pulls] expected regret: the best arm's probability less the pulled arm's.
      rewards: [num_tasks, num_pulls] the rewards drawn, 0 or 1.
    """

    regrets: Float[np.ndarray, "num_tasks num_pulls"]
    rewards: Float[np.ndarray, "num_tasks num_pulls"]


def random_scores(counts: ArmCounts, generator: np.random.Generator) -> Scores:
    """Any arm, whatever it has paid."""
    return generator.random(counts.successes.shape)


def thompson_scores(counts: ArmCounts, generator: np.random.Generator) -> Scores:
    """Thompson sampling (Thompson 1933): a draw from each arm's posterior."""
    return generator.beta(1 + counts.successes, 1 + counts.failures)


def ucb1_scores(counts: ArmCounts, generator: np.random.Generator, bonus_scale: float = 0.2) -> Scores:
    """UCB1 (Auer, Cesa-Bianchi and Fischer 2002, figure 1) as Duan et al. 2016 tune it: mean + c √(2 ln t / n).

    Each arm starts with one success and one failure, the uniform prior, instead of the original's first pull of every
    arm, which is impossible with 10 pulls and 50 arms. The original's c = 1 gives bounds that hold on any task, but
    explores far too much on the average one. The default is the best at 100 pulls of c = 0.1, 0.15, 0.2, 0.25, 0.3,
    0.4, 0.5 and 1, for 2, 5 and 10 arms alike.

    Args:
      counts: what is known.
      generator: not used.
      bonus_scale: c.

    Returns:
      An upper confidence bound for each arm.
    """
    del generator
    pulls = counts.successes + counts.failures + 2
    return (counts.successes + 1) / pulls + bonus_scale * np.sqrt(2 * np.log(counts.pull + 1) / pulls)


def gittins_scores(counts: ArmCounts, generator: np.random.Generator) -> Scores:
    """Each arm's Gittins index for the pulls that are left: see `podmeta.evaluation.baselines.gittins`."""
    del generator
    table = gittins_table(counts.num_pulls)
    return table.look_up(counts.successes, counts.failures, counts.num_pulls - counts.pull)


LONGEST_EXACT_HORIZON = 500
"""Pulls up to which Gittins indices are exact: their table takes 84 MB and nine seconds, and grows with the cube."""


def gittins_approximate_scores(
    counts: ArmCounts, generator: np.random.Generator, longest: int = LONGEST_EXACT_HORIZON
) -> Scores:
    """Gittins indices that look no further ahead than a table of `longest` pulls reaches.

    An arm that has been pulled n times looks at most `longest` - n pulls ahead; from n = `longest` on, its index is its
    posterior mean. An index that looks less far ahead is lower (Wang 1997, "Error bounds for calculation of the Gittins
    indices", bounds by how much), so this explores a little too little. It is exact up to `longest` pulls. At 500 pulls
    with `longest` = 100, a fifth, the regret of 4,000 tasks is above the exact one by 0.28 ± 0.24 on 2 arms (exact:
    2.90), 0.38 ± 0.42 on 5 (8.07), 0.89 ± 0.44 on 10 (12.40) and 2.48 ± 0.42 on 50 (25.41).

    Args:
      counts: what is known.
      generator: not used.
      longest: pulls that the table reaches.

    Returns:
      An index for each arm.
    """
    del generator
    pulls = counts.successes + counts.failures
    pulls_ahead = np.minimum(counts.num_pulls - counts.pull, longest - pulls)
    known = pulls_ahead >= 1
    table = gittins_table(min(longest, counts.num_pulls))
    # Arms that the table does not reach are looked up as if nothing were known of them, and then given their mean.
    indices = table.look_up(counts.successes * known, counts.failures * known, np.where(known, pulls_ahead, 1))
    return np.where(known, indices, (counts.successes + 1) / (pulls + 2))


def gittins_algorithm(num_pulls: int) -> str:
    """The name of the algorithm by Gittins indices that a lifetime of so many pulls allows."""
    return "gittins" if num_pulls <= LONGEST_EXACT_HORIZON else "gittins_approximate"


REFERENCE_ALGORITHMS: dict[str, Callable[[ArmCounts, np.random.Generator], Scores]] = {
    "random": random_scores,
    "thompson": thompson_scores,
    "ucb1": ucb1_scores,
    "gittins": gittins_scores,
    "gittins_approximate": gittins_approximate_scores,
}
"""Every reference algorithm by name: it pulls the arm to which it gives the highest score."""


def run_reference(
    algorithm: str, arm_probabilities: Float[np.ndarray, "num_tasks num_arms"], num_pulls: int, seed: int
) -> BanditHistory:
    """Plays one lifetime of a reference algorithm on each task.

    Args:
      algorithm: a name in `REFERENCE_ALGORITHMS`.
      arm_probabilities: [num_tasks, num_arms] the tasks.
      num_pulls: pulls in a lifetime.
      seed: of the rewards and of the algorithm's own draws. The n-th pull of a task pays by the same uniform draw
        whatever the algorithm, which makes comparisons between algorithms sharper.

    Returns:
      Regrets and rewards.

    Raises:
      InputError: the algorithm has no such name.
    """
    if algorithm not in REFERENCE_ALGORITHMS:
        raise InputError(f"no reference algorithm {algorithm!r}: choose from {', '.join(REFERENCE_ALGORITHMS)}")
    return play(REFERENCE_ALGORITHMS[algorithm], arm_probabilities, num_pulls, seed)


def play(
    scores: Callable[[ArmCounts, np.random.Generator], Scores],
    arm_probabilities: Float[np.ndarray, "num_tasks num_arms"],
    num_pulls: int,
    seed: int,
) -> BanditHistory:
    """Plays one lifetime on each task, always pulling the arm of the highest score: see `run_reference`."""
    order_generator, reward_generator, score_generator = np.random.default_rng(seed).spawn(3)
    # Arms that tie are pulled in their order, so the order must tell nothing.
    arm_probabilities = order_generator.permuted(arm_probabilities, axis=1)
    tasks = np.arange(len(arm_probabilities))
    successes = np.zeros(arm_probabilities.shape, np.int64)
    failures = np.zeros_like(successes)
    pulled_probabilities = np.empty((len(tasks), num_pulls))
    rewards = np.empty_like(pulled_probabilities)
    for pull in range(num_pulls):
        arms = scores(ArmCounts(successes, failures, pull, num_pulls), score_generator).argmax(axis=1)
        pulled_probabilities[:, pull] = arm_probabilities[tasks, arms]
        paid = reward_generator.random(len(tasks)) < pulled_probabilities[:, pull]
        rewards[:, pull] = paid
        successes[tasks, arms] += paid
        failures[tasks, arms] += ~paid
    return BanditHistory(arm_probabilities.max(axis=1, keepdims=True) - pulled_probabilities, rewards)
