"""The interface of an outer loop, which changes θ. It knows neither devices nor architectures.

An update is divided into independent *slots*: an antithetic pair of members for evolution, a lifetime for actor-critic.
An architecture spreads the slots over devices or actors and rolls out their lifetimes. The outer loop summarises the
trajectories where they were made, and updates θ with all summaries.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt32

from podmeta.arithmetic import use_own_types_in
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

_COMPUTED = ("init", "actor_view", "draw", "actor_params", "lifetime_keys", "summarise", "update")
_META_PARAMS = 0  # what the key of a fresh θ is for; outer loops number their own purposes from 1


class InstanceSettings(NamedTuple):
    """The settings that may differ between independent meta-learners; with a leading axis, those of several.

    Attributes:
      seed: of all random draws of the meta-learner.
      learning_rate: before its schedule.
      noise_std: σ before its schedule; 0 for an outer loop without perturbations.
    """

    seed: UInt32[Array, "*num_instances"]
    learning_rate: Float[Array, "*num_instances"]
    noise_std: Float[Array, "*num_instances"]


class Entry(NamedTuple):
    """One environment that θ is trained on. The entries of a mixture may differ in size and length.

    Attributes:
      name: in metrics.
      inner_loop: the learner in this environment.
      lifetimes: lifetimes in this environment per member, or per slot if θ itself acts.
      weight: its share in the update, relative to the other entries.
    """

    name: str
    inner_loop: InnerLoop
    lifetimes: int
    weight: float


class Trajectory(NamedTuple):
    """One unroll of one lifetime; with leading axes, of many.

    Attributes:
      learner_state: the learner state at the first env step.
      experience: [unroll_length, ...] what happened.
      final_input: the learner's input after the last env step, from which the value of the rest is estimated.
      first_step: [] env steps of the lifetime before this unroll, according to the schedule of lifetimes.
    """

    learner_state: LearnerState
    experience: Experience
    final_input: LearnerInput
    first_step: Int[Array, "*lifetimes"]


@dataclasses.dataclass(frozen=True, eq=False)
class OuterLoop(abc.ABC):
    """An outer loop, for one stage of one θ. Its functions are pure; all except `update` are for one slot.

    Those of subclasses compute in podmeta's arithmetic, whatever a user's program has set.

    In all methods, `state` is the state of the outer loop, `update` and `slot` are numbers from 0, `settings` tell an
    instance from the others, `meta_params` is θ, and `axis_name` is the mapped axis of the devices, None if unmapped.

    Attributes:
      config: its config.
      entries: the environments.
      num_updates: the length of the stage, which schedules run over.
      first_update: updates that earlier stages have done.
      num_members: members of a slot, each with its own θ, which all live the same lifetimes; 0: θ itself acts.
      uses_actor_outputs: whether `summarise` needs more than rewards and discounts.
      requires_on_policy: whether the lifetimes of an update must be lived with the newest θ, without a lag.
    """

    config: OuterLoopConfig
    entries: tuple[Entry, ...]
    num_updates: int
    first_update: int

    num_members: ClassVar[int]
    uses_actor_outputs: ClassVar[bool]
    requires_on_policy: ClassVar[bool]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        use_own_types_in(_COMPUTED, cls)

    @property
    def num_slots(self) -> int:
        """Slots of one update, over all devices."""
        return self.config.num_slots

    @property
    @abc.abstractmethod
    def unroll_lengths(self) -> tuple[int, ...]:
        """By entry, the env steps of a lifetime per update, which divide the lifetime's length."""

    @property
    def unrolls_per_lifetime(self) -> tuple[int, ...]:
        """By entry, the number of updates that a lifetime lasts."""
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
        """The state before the first update, with a fresh θ unless one is given."""

    @abc.abstractmethod
    def actor_view(self, state: OuterState) -> OuterState:
        """The part of the state that is sent to actors: what `draw`, `actor_params` and `lifetime_keys` need."""

    @abc.abstractmethod
    def draw(self, state: OuterState, slot: Int[Array, ""]) -> Draw:
        """The random draws of a slot, such as noise; () for none. Any device can repeat them, so none are sent."""

    @abc.abstractmethod
    def actor_params(self, state: OuterState, draw: Draw, member: Int[Array, ""]) -> MetaParams:
        """The θ with which a member of the slot with these draws acts; θ itself if there are no members."""

    @abc.abstractmethod
    def lifetime_keys(
        self, state: OuterState, update: Int[Array, ""], slot: Int[Array, ""]
    ) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [lifetimes] of the lifetimes of a slot that begin with an update."""

    @abc.abstractmethod
    def summarise(self, trajectories: tuple[Trajectory, ...]) -> Summaries:
        """The summary of the trajectories of one slot, which are by entry [num_members, lifetimes, ...], for `update`.

        If θ itself acts, there is no axis of members.
        """

    @abc.abstractmethod
    def update(
        self, state: OuterState, draws: Draw, summaries: Summaries, axis_name: str | None
    ) -> tuple[OuterState, Metrics]:
        """One update, from the draws and summaries of slots [num_slots, ...].

        Under a mapped axis, device i has the i-th range of slots, and all devices must return the same state.
        """


def fresh_meta_params(entries: Sequence[Entry], settings: InstanceSettings) -> MetaParams:
    """A fresh θ of the learner, which depends only on the seed. One θ serves all entries."""
    return entries[0].inner_loop.init(jax.random.fold_in(make_key(settings.seed), _META_PARAMS))


def entry_weights(entries: Sequence[Entry]) -> Float[Array, "num_entries"]:
    """The weights of the entries, which add up to 1."""
    weights = jnp.array([entry.weight for entry in entries])
    return weights / jnp.sum(weights)
