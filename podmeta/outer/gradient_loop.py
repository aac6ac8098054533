"""The common part of outer loops with gradients through the learner's recurrence.

θ itself acts. An update takes an unroll of every lifetime, reruns the learner over it from its initial learner state,
and backpropagates through messages and states. A slot is the lifetimes of each entry, usually one.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from podmeta.config.schema import GradientConfig
from podmeta.errors import InputError
from podmeta.inner_loop import InnerLoop
from podmeta.keys import make_key
from podmeta.learners.base import LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.outer.base import OuterLoop, OuterState, Trajectory
from podmeta.outer.meta_optimiser import MetaOptimiser

_LIFETIMES = 1  # what a key is for; subclasses number their own purposes from 2


@dataclasses.dataclass(frozen=True, eq=False)
class GradientLoop(OuterLoop):
    """An outer loop whose state has `meta_params`, `optimiser_state` and `settings`, and whose θ itself acts."""

    config: GradientConfig

    num_members = 0
    uses_actor_outputs = True
    requires_on_policy = False

    @property
    def unroll_lengths(self) -> tuple[int, ...]:
        """By entry, the same for all."""
        return (self.config.unroll_length,) * len(self.entries)

    def draw(self, state: OuterState, slot: Int[Array, ""]) -> tuple[()]:
        """Nothing."""
        del state, slot
        return ()

    def actor_params(self, state: OuterState, draw: tuple[()], member: Int[Array, ""]) -> MetaParams:
        """θ itself."""
        del draw, member
        return state.meta_params

    def lifetime_keys(
        self, state: OuterState, update: Int[Array, ""], slot: Int[Array, ""]
    ) -> tuple[Key[Array, "_"], ...]:
        """By entry, the keys [lifetimes] of the lifetimes of a slot that begin with an update."""
        root = jax.random.fold_in(make_key(state.settings.seed), _LIFETIMES)
        slot_key = jax.random.fold_in(jax.random.fold_in(root, update), slot)
        return tuple(
            jax.random.split(jax.random.fold_in(slot_key, index), entry.lifetimes)
            for index, entry in enumerate(self.entries)
        )

    def summarise(self, trajectories: tuple[Trajectory, ...]) -> tuple[Trajectory, ...]:
        """The whole trajectories."""
        return trajectories

    def check(self) -> None:
        """Checks that lifetimes divide into unrolls, and unrolls into chunks, and that the optimiser works.

        Raises:
          InputError: they do not, or it does not.
        """
        unroll_length, remat_chunk = self.config.unroll_length, self.config.remat_chunk
        for entry in self.entries:
            length = entry.inner_loop.lifetime_length
            if length % unroll_length != 0:
                raise InputError(
                    f"outer.unroll_length={unroll_length} does not divide lifetime_length={length} of {entry.name}: "
                    f"an update looks at whole unrolls of a lifetime, so take one that does, such as "
                    f"{math.gcd(unroll_length, length)}"
                )
        if remat_chunk and unroll_length % remat_chunk != 0:
            raise InputError(
                f"outer.remat_chunk={remat_chunk} does not divide outer.unroll_length={unroll_length}: take one that "
                f"does, such as {math.gcd(remat_chunk, unroll_length)}"
            )
        self.optimiser.check(jax.eval_shape(self.entries[0].inner_loop.init, make_key(0)))

    def run_again(self, inner_loop: InnerLoop, meta_params: MetaParams, trajectory: Trajectory) -> LearnerOutput:
        """The learner's outputs [unroll_length + 1, ...] under θ, for the inputs of a trajectory and its final input.

        The learner state is never reset in between, because an unroll never crosses the end of a lifetime. A learner's
        own `unroll` replaces a scan of its steps. For a learner without a state, all steps are one batch. With
        `remat_chunk` set, only the learner states between chunks are kept for the gradient, and those inside a chunk
        are recomputed (Chen et al. 2016, arXiv 1604.06174).
        """

        def step(learner_state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerState, LearnerOutput]:
            output, learner_state = inner_loop.step(meta_params, learner_state, learner_input)
            return learner_state, output

        def run(learner_state: LearnerState, inputs: LearnerInput) -> tuple[LearnerState, LearnerOutput]:
            if inner_loop.learner_unroll is None:
                return jax.lax.scan(step, learner_state, inputs)
            outputs, learner_state = inner_loop.learner_unroll(meta_params, learner_state, inputs)
            return learner_state, outputs

        def append(leaf: Array, final: Array) -> Array:
            return jnp.append(leaf, final[None], axis=0)

        inputs, chunk_length = trajectory.experience.learner_input, self.config.remat_chunk
        all_inputs = jax.tree.map(append, inputs, trajectory.final_input)
        if not jax.tree.leaves(trajectory.learner_state):
            return jax.vmap(lambda learner_input: step(trajectory.learner_state, learner_input)[1])(all_inputs)
        if chunk_length == 0 and inner_loop.learner_unroll is not None:
            return run(trajectory.learner_state, all_inputs)[1]
        if chunk_length == 0:
            learner_state, outputs = run(trajectory.learner_state, inputs)
        else:
            in_chunks = jax.tree.map(lambda leaf: leaf.reshape(-1, chunk_length, *leaf.shape[1:]), inputs)
            learner_state, outputs = jax.lax.scan(jax.checkpoint(run), trajectory.learner_state, in_chunks)
            outputs = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)
        _, final_output = step(learner_state, trajectory.final_input)
        return jax.tree.map(append, outputs, final_output)

    @property
    def optimiser(self) -> MetaOptimiser:
        """What turns a gradient into a new θ."""
        return MetaOptimiser(
            self.config, self.num_updates, self.first_update, max_gradient_norm=self.config.max_gradient_norm
        )
