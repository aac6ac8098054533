"""What changes θ: the interface of an outer loop, written without a device in sight.

An outer loop divides its work into *rows* that need nothing of one another: an antithetic pair of members for
evolution, a lifetime that θ itself lives for actor-critic. Whoever runs it spreads rows over devices, lets each live,
and hands what they put together to one update.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int, UInt32

from podmeta.lifetimes import InnerLoop

OuterState = Any  # all that an outer loop carries from one update to the next, θ included as `meta_params`
RowLifetimes = Any  # the lifetimes of one row that go on across updates; () where every update starts new ones
RowSummary = Any  # what one row contributes to an update
Metrics = dict[str, Array]  # by name, as in metrics.jsonl; each []


class InstanceSettings(NamedTuple):
    """What may tell independent meta-learners apart; with a leading axis, of several of them.

    Attributes:
      seed: of everything about the meta-learner.
      learning_rate: before its schedule.
      noise_std: σ before its schedule; only evolution has one.
    """

    seed: UInt32[Array, "*num_instances"]
    learning_rate: Float[Array, "*num_instances"]
    noise_std: Float[Array, "*num_instances"]


class Entry(NamedTuple):
    """One environment that θ is trained on. A mixture has several, in which sizes and lengths may differ.

    Attributes:
      name: in metrics.
      inner_loop: the learner in this environment.
      lifetimes: lifetimes of this environment per member (evolution) or per row (actor-critic).
      weight: its share in the update, relative to the other entries.
    """

    name: str
    inner_loop: InnerLoop
    lifetimes: int
    weight: float


class OuterLoop(NamedTuple):
    """An outer loop as pure functions.

    Attributes:
      num_rows: rows of one update, over all devices.
      init: (settings, θ or None) -> state. Without a θ a fresh one is drawn.
      birth: (state, row) -> the row's lifetimes that go on across updates.
      live: (state, row, row's lifetimes) -> (row's lifetimes, row's summary).
      update: (state, summaries [num_local_rows, ...], axis name) -> (state, metrics). Under a mapped axis, device i
        holds the i-th run of rows, and every device ends with the same state.
      env_steps: env steps of one update, over all rows.
    """

    num_rows: int
    init: Callable[..., OuterState]
    birth: Callable[[OuterState, Int[Array, ""]], RowLifetimes]
    live: Callable[[OuterState, Int[Array, ""], RowLifetimes], tuple[RowLifetimes, RowSummary]]
    update: Callable[[OuterState, RowSummary, str | None], tuple[OuterState, Metrics]]
    env_steps: int
