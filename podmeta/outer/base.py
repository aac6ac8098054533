"""What changes θ: the interface of an outer loop, written without a device in sight.

An outer loop divides its work into *rows* that need nothing of one another: an antithetic pair of members for
evolution, a lifetime that θ itself lives for actor-critic. Whoever runs it spreads rows over devices, lets each live,
and hands what they put together to one update. Where environments are compiled, a row lives inside the program
(`OuterLoop`, for Anakin); where they are not, actors let it live and a learner updates (`SplitOuterLoop`, for Sebulba).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from podmeta.learners.base import LearnerInput, LearnerState, MetaParams
from podmeta.lifetimes import Experience, InnerLoop

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


class Trajectory(NamedTuple):
    """One unroll of one lifetime. Leading axes, of lifetimes, may stand before all of it.

    Attributes:
      learner_state: the learner state at the first env step.
      experience: [unroll_length, ...] what happened.
      final_input: what the learner is told after the last env step, which the value of the rest is asked of.
      lifetime_end: [] whether the lifetime ends there: then there is no rest.
    """

    learner_state: LearnerState
    experience: Experience
    final_input: LearnerInput
    lifetime_end: Bool[Array, "*lifetimes"]


class SplitOuterLoop(NamedTuple):
    """An outer loop split between actors, who let rows live in environments of the host, and a learner, who updates.

    Attributes:
      entries: the environments; of their inner loops only what belongs to the learner is used.
      num_rows: rows of one update, over all actors.
      lifetimes_per_row: by entry.
      unroll_lengths: by entry, env steps of an update; it divides the lifetime's length.
      members_per_row: members that share out a row's lifetimes, each with a θ of its own; 0: θ itself lives them.
      needs_decisions: whether `summarise` looks at more than rewards and discounts.
      needs_newest: whether θ must have seen the update before the one its lifetimes serve.
      init: (settings, θ or None) -> state, as in `OuterLoop`.
      acting: state -> the state without what `behaviour` and `lifetime_keys` do not look at: what actors are sent.
      behaviour: (state, rows [n]) -> the θ that acts: [n * members_per_row, ...], or as it is for none.
      lifetime_keys: (state, update, rows [n]) -> by entry, the keys [n * lifetimes_per_row] of lifetimes that begin
        with that update.
      summarise: (trajectories, by entry [n * lifetimes_per_row, ...]) -> what must travel of the rows, [n, ...].
      update: (state, rows [n], what has travelled of them [n, ...], axis name) -> (state, metrics), as in `OuterLoop`.
      env_steps: env steps of one update, over all rows.
    """

    entries: tuple[Entry, ...]
    num_rows: int
    lifetimes_per_row: tuple[int, ...]
    unroll_lengths: tuple[int, ...]
    members_per_row: int
    needs_decisions: bool
    needs_newest: bool
    init: Callable[..., OuterState]
    acting: Callable[[OuterState], OuterState]
    behaviour: Callable[[OuterState, Int[Array, "n"]], MetaParams]
    lifetime_keys: Callable[[OuterState, Int[Array, ""], Int[Array, "n"]], tuple[Key[Array, "_"], ...]]
    summarise: Callable[[tuple[Trajectory, ...]], RowSummary]
    update: Callable[[OuterState, Int[Array, "n"], RowSummary, str | None], tuple[OuterState, Metrics]]
    env_steps: int
