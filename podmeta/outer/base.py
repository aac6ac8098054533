"""What changes θ: the interface of an outer loop, which knows neither devices nor architectures.

An update is divided into *slots* that need nothing of one another: an antithetic pair of members for evolution, a
lifetime for actor-critic. An architecture spreads the slots over devices or actors and rolls out their lifetimes. The
outer loop summarises the trajectories where they were made, and updates θ with all summaries.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt32

from podmeta.config.schema import OuterLoopConfig
from podmeta.inner_loop import Experience, InnerLoop
from podmeta.keys import make_key
from podmeta.learners.base import LearnerInput, LearnerState, MetaParams

OuterState: TypeAlias = (
    PyTree  # all that an outer loop carries from one update to the next, θ included as `meta_params`
)
Draw: TypeAlias = PyTree  # what a slot draws from the seed, such as noise
Summaries: TypeAlias = PyTree  # what slots contribute to an update, [num_slots, ...]
Metrics = dict[str, Array]  # by name, as in metrics.jsonl; each []

_META_PARAMS = 0  # what the key of a fresh θ is for; outer loops number their own purposes from 1


class InstanceSettings(NamedTuple):
    """What may tell independent meta-learners apart; with a leading axis, of several of them.

    Attributes:
      seed: of everything about the meta-learner.
      learning_rate: before its schedule.
      noise_std: σ before its schedule; 0 for an outer loop without perturbations.
    """

    seed: UInt32[Array, "*num_instances"]
    learning_rate: Float[Array, "*num_instances"]
    noise_std: Float[Array, "*num_instances"]


class Entry(NamedTuple):
    """One environment that θ is trained on. A mixture has several, in which sizes and lengths may differ.

    Attributes:
      name: in metrics.
      inner_loop: the learner in this environment.
      lifetimes: lifetimes of this environment per member, or per slot where θ itself acts.
      weight: its share in the update, relative to the other entries.
    """

    name: str
    inner_loop: InnerLoop
    lifetimes: int
    weight: float


class Trajectory(NamedTuple):
    """One unroll of one lifetime, or of many: then leading axes stand before all of it.

    Attributes:
      learner_state: the learner state at the first env step.
      experience: [unroll_length, ...] what happened.
      final_input: the learner's input after the last env step, from which the value of the rest is estimated.
      first_step: [] env steps of the lifetime before this unroll, had it begun when the schedule says.
    """

    learner_state: LearnerState
    experience: Experience
    final_input: LearnerInput
    first_step: Int[Array, "*lifetimes"]


@dataclasses.dataclass(frozen=True, eq=False)
class OuterLoop(abc.ABC):
    """An outer loop: one stage of the training of one θ. Its functions are pure; all but `update` are about one slot.

    Attributes:
      config: its config.
      entries: the environments.
      num_updates: the length of the stage, which schedules run over.
      first_update: updates that earlier stages have done.
      num_members: members of a slot, each with a θ of its own, that all live the same lifetimes; 0: θ itself acts.
      uses_actor_outputs: whether `summarise` looks at more than rewards and discounts.
      requires_on_policy: whether the θ that acts must have seen the update before the one its lifetimes serve.
    """

    config: OuterLoopConfig
    entries: tuple[Entry, ...]
    num_updates: int
    first_update: int

    num_members: ClassVar[int]
    uses_actor_outputs: ClassVar[bool]
    requires_on_policy: ClassVar[bool]

    @property
    def num_slots(self) -> int:
        """Slots of one update, over all devices."""
        return self.config.num_slots

    @property
    @abc.abstractmethod
    def unroll_lengths(self) -> tuple[int, ...]:
        """By entry, env steps per update of a lifetime. It divides the lifetime's length."""

    @property
    def unrolls_per_lifetime(self) -> tuple[int, ...]:
        """By entry, updates that a lifetime lasts."""
        lengths = zip(self.entries, self.unroll_lengths, strict=True)
        return tuple(entry.inner_loop.lifetime_length // unroll_length for entry, unroll_length in lengths)

    @property
    def env_steps_per_update(self) -> int:
        """Env steps of one update, over all slots."""
        lengths = zip(self.entries, self.unroll_lengths, strict=True)
        per_member = sum(entry.lifetimes * unroll_length for entry, unroll_length in lengths)
        return self.num_slots * max(self.num_members, 1) * per_member

    @abc.abstractmethod
    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> OuterState:
        """The state before the first update. Without a θ a fresh one is drawn."""

    @abc.abstractmethod
    def actor_view(self, state: OuterState) -> OuterState:
        """The state without what `draw`, `actor_params` and `lifetime_keys` do not look at: what actors are sent."""

    @abc.abstractmethod
    def draw(self, state: OuterState, slot: Int[Array, ""]) -> Draw:
        """What a slot draws, such as its noise; () for nothing. Any device can draw it again, so it never travels."""

    @abc.abstractmethod
    def actor_params(self, state: OuterState, draw: Draw, member: Int[Array, ""]) -> MetaParams:
        """The θ by which a member of the slot with this draw acts; θ itself where there are no members."""

    @abc.abstractmethod
    def lifetime_keys(
        self, state: OuterState, update: Int[Array, ""], slot: Int[Array, ""]
    ) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [lifetimes] of the lifetimes of a slot that begin with an update."""

    @abc.abstractmethod
    def summarise(self, trajectories: tuple[Trajectory, ...]) -> Summaries:
        """What must travel of the trajectories of one slot, which are by entry [num_members, lifetimes, ...].

        Where θ itself acts there is no axis of members.
        """

    @abc.abstractmethod
    def update(
        self, state: OuterState, draws: Draw, summaries: Summaries, axis_name: str | None
    ) -> tuple[OuterState, Metrics]:
        """One update, by draws and summaries of slots [num_slots, ...].

        Under a mapped axis, device i has the i-th run of slots, and all devices end with the same state.
        """


def fresh_meta_params(entries: Sequence[Entry], settings: InstanceSettings) -> MetaParams:
    """θ as the learner draws it, from the seed alone. One θ serves all entries."""
    return entries[0].inner_loop.init(jax.random.fold_in(make_key(settings.seed), _META_PARAMS))


def entry_weights(entries: Sequence[Entry]) -> Float[Array, "num_entries"]:
    """The weights of the entries, which add up to 1."""
    weights = jnp.array([entry.weight for entry in entries])
    return weights / jnp.sum(weights)
