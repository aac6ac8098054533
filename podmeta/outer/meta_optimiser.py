"""From a gradient to a new θ, for every outer loop: optimiser, schedule, clipping, weight decay, average, metrics."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from podmeta.config.schema import MetaOptimiserConfig
from podmeta.learners.base import MetaParams
from podmeta.outer.base import InstanceSettings, Metrics
from podmeta.outer.optimisers import check_optimiser, make_optimiser, make_schedule_factor


class OptimisedState(NamedTuple):
    """The state between updates of an outer loop that carries only θ and its optimiser, without lifetimes.

    Attributes:
      meta_params: θ.
      optimiser_state: the optimiser's.
      update: [] updates done, over all stages.
      settings: seed, and learning rate and σ before their schedules.
    """

    meta_params: MetaParams
    optimiser_state: optax.OptState
    update: Int[Array, ""]
    settings: InstanceSettings


class AveragedState(NamedTuple):
    """The state of an optimiser that keeps an average of θ.

    Attributes:
      optimiser: the state of the optimiser proper.
      average: the exponential moving average of θ.
    """

    optimiser: optax.OptState
    average: MetaParams


class MetaOptimiser(NamedTuple):
    """An optimiser of θ over one stage.

    With `average_decay` set, the last update of a stage replaces θ by its exponential moving average over the stage
    (Polyak & Juditsky 1992), which averages out the noise of single updates.

    Attributes:
      config: names the optimiser, its arguments and the schedule of its learning rate.
      num_updates: the length of the stage, which the schedule runs over.
      first_update: updates that earlier stages have done.
      max_gradient_norm: gradients are clipped to this norm; 0: not at all.
      weight_decay: θ shrinks by learning rate x weight_decay per step.
    """

    config: MetaOptimiserConfig
    num_updates: int
    first_update: int
    max_gradient_norm: float = 0.0
    weight_decay: float = 0.0

    def check(self, meta_params: MetaParams) -> None:
        """Checks that the optimiser works on the shapes of θ.

        Raises:
          InputError: it does not work.
        """
        check_optimiser(self.config.optimiser, self.config.optimiser_arguments, meta_params)

    def init(self, meta_params: MetaParams, learning_rate: Float[Array, ""]) -> optax.OptState:
        """A fresh state of the optimiser."""
        state = self._optimiser(learning_rate).init(meta_params)
        return AveragedState(state, meta_params) if self.config.average_decay > 0 else state

    def step(
        self,
        meta_params: MetaParams,
        optimiser_state: optax.OptState,
        gradient: MetaParams,
        learning_rate: Float[Array, ""],
        update: Int[Array, ""],
    ) -> tuple[MetaParams, optax.OptState, Metrics]:
        """One step down a gradient.

        Args:
          meta_params: θ.
          optimiser_state: the optimiser's.
          gradient: of the loss.
          learning_rate: before its schedule.
          update: updates done, over all stages.

        Returns:
          θ and the optimiser's state after the step, and metrics.
        """
        done = update - self.first_update
        learning_rate = learning_rate * make_schedule_factor(self.config.learning_rate_schedule, self.num_updates)(done)
        inner_state = optimiser_state.optimiser if isinstance(optimiser_state, AveragedState) else optimiser_state
        changes, inner_state = self._optimiser(learning_rate).update(gradient, inner_state, meta_params)
        kept = 1.0 - learning_rate * self.weight_decay if self.weight_decay else 1.0
        meta_params = jax.tree.map(lambda leaf, change: kept * leaf + change, meta_params, changes)
        if isinstance(optimiser_state, AveragedState):
            meta_params, average = self._averaged(meta_params, optimiser_state.average, done)
            inner_state = AveragedState(inner_state, average)
        metrics = {
            "gradient_norm": optax.tree.norm(gradient),
            "meta_params_norm": optax.tree.norm(meta_params),
            "learning_rate": learning_rate,
        }
        return meta_params, inner_state, metrics

    def _averaged(
        self, meta_params: MetaParams, average: MetaParams, done: Int[Array, ""]
    ) -> tuple[MetaParams, MetaParams]:
        """θ and its average, after `done` earlier updates of the stage. At the last one θ becomes the average."""
        # Early in a stage the average is that of all θ so far, so that what the stage began with does not linger.
        decay = jnp.minimum(self.config.average_decay, (done + 1) / (done + 2))
        average = optax.incremental_update(meta_params, average, 1.0 - decay)
        is_last = done == self.num_updates - 1
        return jax.tree.map(lambda leaf, mean: jnp.where(is_last, mean, leaf), meta_params, average), average

    def _optimiser(self, learning_rate: Float[Array, ""]) -> optax.GradientTransformation:
        optimiser = make_optimiser(self.config.optimiser, self.config.optimiser_arguments)(learning_rate)
        if self.max_gradient_norm == 0:
            return optimiser
        return optax.chain(optax.clip_by_global_norm(self.max_gradient_norm), optimiser)
