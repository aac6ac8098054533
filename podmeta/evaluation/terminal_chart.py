"""A chart of block characters, for terminals and logs alike."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def bar_chart(values: Float[np.ndarray, "num_bars"], height: int = 8) -> list[str]:
    """One column per value, from the least value (an eighth of a line, so that it shows) to the largest.

    Args:
      values: [num_bars] what the bars stand for.
      height: lines.

    Returns:
      The lines, from the top. The first and the last begin with the values at which they stand.
    """
    low, high = float(values.min()), float(values.max())
    span = high - low if high > low else 1.0
    eighths = 1 + np.round((values - low) / span * (8 * height - 1)).astype(int)
    labels = [f"{high:.3g}", *[""] * (height - 2), f"{low:.3g}"]
    width = max(map(len, labels))
    return [
        f"{label:>{width}} ┤{''.join(_EIGHTHS[np.clip(bar - 8 * (height - 1 - line), 0, 8)] for bar in eighths)}"
        for line, label in enumerate(labels)
    ]


def binned(values: Float[np.ndarray, "num_values"], num_bins: int) -> Float[np.ndarray, "num_bins"]:
    """The means of consecutive stretches of about equal length: at most `num_bins`, and never an empty one."""
    stretches: Sequence[np.ndarray] = np.array_split(values, min(num_bins, len(values)))
    return np.array([stretch.mean() for stretch in stretches])
