"""V-trace with no recursion, for tests to compare with."""

import numpy as np


def plain_vtrace(values, rewards, discounts, ratios, td_lambda, clip):
    """V-trace as a sum (Espeholt et al. 2018, equation 1), one target at a time, with no recursion."""
    num_steps = len(rewards)
    deltas = np.minimum(clip, ratios) * (rewards + discounts * values[1:] - values[:-1])
    traces = td_lambda * np.minimum(1.0, ratios)
    targets = np.array(
        [
            values[s] + sum(np.prod(discounts[s:t]) * np.prod(traces[s:t]) * deltas[t] for t in range(s, num_steps))
            for s in range(num_steps)
        ]
    )
    following = np.append(td_lambda * targets[1:] + (1 - td_lambda) * values[1:-1], values[-1])
    advantages = np.minimum(clip, ratios) * (rewards + discounts * following - values[:-1])
    return targets, advantages
