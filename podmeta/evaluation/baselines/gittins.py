"""The finite-horizon Gittins index of a Bernoulli arm with a uniform prior, computed by calibration.

An arm whose probability has prior Beta(1, 1) and that has shown s successes in j pulls pays off next with probability
p = (s + 1) / (j + 2). Set against a rival that pays λ for certain, with m pulls left, going on for one more pull at
least gains over taking the rival now

    C(s, j, m; λ) = p - λ + p V(s + 1, j + 1, m - 1; λ) + (1 - p) V(s, j + 1, m - 1; λ),    V = max(0, C),

and V = 0 where m = 0. The index is the λ at which C is zero, the rival that leaves one indifferent. Equally it is the
best expected reward per expected pull over all stopping times of at most m pulls. (Gittins 1979, "Bandit processes
and dynamic allocation indices", section 3, without a discount and with the lifetime as the horizon.)

Playing the largest index is optimal where rewards are discounted geometrically and for ever, and where one arm stands
against a known rival. With several unknown arms and a horizon it is a heuristic that loses next to nothing.

The Gittins column of RL² (Duan et al. 2016, Table 1) comes from approximate indices, the best of several for each cell.
The index here, computed in full for the pulls that are left, earns more than that column in every cell: up to 1% more
in five of the nine, 1.1 to 1.6% in three, and 3% in the last (10 pulls of 50 arms). What exceeds 1% is within twice
the standard error of that table's 1,000 tasks. The index with a discount of 1 - 1/n, the same at every pull, earns up
to 0.3% less than the index here and more nowhere.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_NUM_INTERVALS = 128


class GittinsTable(NamedTuple):
    """The index of every state an arm can be in during a lifetime: n (n + 1) (n + 2) / 6 of them.

    Attributes:
      horizon: n, the pulls in a lifetime, of all arms together.
      indices: [num_states] ordered by depth (pulls had plus pulls left, 1 … n), then pulls had, then successes.
        84 MB at n = 500.
    """

    horizon: int
    indices: Float[np.ndarray, "num_states"]

    def look_up(
        self,
        successes: Int[np.ndarray, "*shape"],
        failures: Int[np.ndarray, "*shape"],
        pulls_left: Int[np.ndarray, "*shape"] | int,
    ) -> Float[np.ndarray, "*shape"]:
        """The indices of arms with these counts, when `pulls_left`, from 1 to n - successes - failures, are left."""
        pulls = successes + failures
        depth = pulls + pulls_left
        shallower_states = (depth - 1) * depth * (depth + 1) // 6
        return self.indices[shallower_states + pulls * (pulls + 1) // 2 + successes]


@functools.lru_cache(maxsize=2)
def gittins_table(horizon: int) -> GittinsTable:
    """Computes the index of every state of an arm in a lifetime of `horizon` pulls.

    C falls in λ and is convex. It is found exactly (to float32 rounding) for 129 rivals λ, and its zero is placed by
    linear interpolation between the two rivals around it. So an error is upwards, C being convex, and less than the
    distance between the rivals, 0.0123; and wherever C orders two arms, so does the interpolated index. Measured
    against 2,048 rivals, the error at depth 10 is 1e-5 in the mean and 2e-4 at most; at depth 100, 8e-4 and 2.4e-3;
    at depth 500, 2.8e-3 and 6.6e-3. Regrets do not notice: with 64 rivals or with 256 they are the same, to 0.5%.

    The rivals are evenly spaced in arcsin √λ, in which the width of a posterior depends on the number of pulls alone,
    so that they are dense near 0 and 1, where the indices crowd.

    Time grows with the cube of the horizon: a fifth of a second at 100 and nine seconds at 500, on one core.

    Args:
      horizon: pulls in a lifetime, at least 1.

    Returns:
      The table, kept in memory for the next call.
    """
    rivals = np.sin(np.linspace(0.0, np.pi / 2, _NUM_INTERVALS + 1)) ** 2
    indices = np.concatenate([_indices_at_depth(depth, rivals) for depth in range(1, horizon + 1)])
    return GittinsTable(horizon, indices)


def _indices_at_depth(depth: int, rivals: Float[np.ndarray, "num_rivals"]) -> Float[np.ndarray, "num_states"]:
    """The indices of the states (pulls, successes) from which `depth` is reached when every pull left is used.

    No other depth matters to them: one pull more is one pull fewer to come.
    """
    rivals = rivals.astype(np.float32)
    indices = np.empty(depth * (depth + 1) // 2, np.float32)
    value = np.zeros((depth + 1, len(rivals)), np.float32)
    # Whole arrays in place of broadcasting a row and a column: numpy is three times as fast on them.
    one_more_success = np.repeat(np.arange(1, depth + 1, dtype=np.float32)[:, None], len(rivals), axis=1)
    rival_of_state = np.repeat(rivals[None], depth, axis=0)
    scratch = np.empty_like(rival_of_state)
    for pulls in reversed(range(depth)):
        num_states = pulls + 1
        after_failure, after_success = value[:num_states], value[1 : num_states + 1]
        # p (1 + after_success) + (1 - p) after_failure - λ
        gain = np.subtract(after_success, after_failure, out=scratch[:num_states])
        gain += 1
        gain *= one_more_success[:num_states]
        gain *= 1 / (pulls + 2)
        gain += after_failure
        gain -= rival_of_state[:num_states]

        first = pulls * num_states // 2
        indices[first : first + num_states] = _zero_crossings(gain, rivals)
        np.maximum(gain, 0, out=after_failure)
    return indices


def _zero_crossings(
    falling: Float[np.ndarray, "num_rows num_points"], points: Float[np.ndarray, "num_points"]
) -> Float[np.ndarray, "num_rows"]:
    """Where each row, positive at the first point and not at the last, falls to zero, by linear interpolation."""
    rows = np.arange(len(falling))
    right = (falling <= 0).argmax(axis=1)
    left = right - 1
    above, below = falling[rows, left], falling[rows, right]
    return points[left] + (points[right] - points[left]) * above / (above - below)
