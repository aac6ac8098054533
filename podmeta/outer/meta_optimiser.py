"""From a gradient to a new θ, for every outer loop: optimiser, schedule, clipping, weight decay, and their metrics."""

from typing import NamedTuple

import jax
import optax
from jaxtyping import Array, Float, Int

from podmeta.config.schema import EvolutionConfig, GradientConfig
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Metrics
from podmeta.outer.optimisers import check_optimiser, make_optimiser, make_schedule_factor


class MetaOptimiser(NamedTuple):
    """An optimiser of θ over one stage.

    Attributes:
      config: names the optimiser, its arguments and the schedule of its learning rate.
      num_updates: the length of the stage, which the schedule runs over.
      first_update: updates that earlier stages have done.
      max_gradient_norm: gradients are clipped to this norm; 0: not at all.
      weight_decay: θ shrinks by learning rate x weight_decay per step.
    """

    config: EvolutionConfig | GradientConfig
    num_updates: int
    first_update: int
    max_gradient_norm: float = 0.0
    weight_decay: float = 0.0

    def check(self, meta_params: MetaParams) -> None:
        """Tries the optimiser on the shapes of a θ.

        Raises:
          InputError: it does not work.
        """
        check_optimiser(self.config.optimiser, self.config.optimiser_arguments, meta_params)

    def init(self, meta_params: MetaParams, learning_rate: Float[Array, ""]) -> optax.OptState:
        """The state of an optimiser that has seen nothing."""
        return self._optimiser(learning_rate).init(meta_params)

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
          gradient: of what is to become small.
          learning_rate: before its schedule.
          update: updates done, over all stages.

        Returns:
          θ and the optimiser's state after the step, and metrics.
        """
        factor = make_schedule_factor(self.config.learning_rate_schedule, self.num_updates)(update - self.first_update)
        learning_rate = learning_rate * factor
        changes, optimiser_state = self._optimiser(learning_rate).update(gradient, optimiser_state, meta_params)
        kept = 1.0 - learning_rate * self.weight_decay if self.weight_decay else 1.0
        meta_params = jax.tree.map(lambda leaf, change: kept * leaf + change, meta_params, changes)
        metrics = {
            "gradient_norm": optax.tree.norm(gradient),
            "meta_params_norm": optax.tree.norm(meta_params),
            "learning_rate": learning_rate,
        }
        return meta_params, optimiser_state, metrics

    def _optimiser(self, learning_rate: Float[Array, ""]) -> optax.GradientTransformation:
        optimiser = make_optimiser(self.config.optimiser, self.config.optimiser_arguments)(learning_rate)
        if self.max_gradient_norm == 0:
            return optimiser
        return optax.chain(optax.clip_by_global_norm(self.max_gradient_norm), optimiser)
