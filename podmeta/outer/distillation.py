"""Distillation: gradient meta-training against a teacher that knows the task (compare Rusu et al. 2016, 1511.06295).

θ itself acts. The teacher's policy is the softmax of the expected advantages of all actions, which the environment must
know. An update takes an unroll of every lifetime, reruns the learner over it from its initial learner state, and
backpropagates the divergence of the learner's policy from the teacher's through messages and states. The learner never
sees the teacher, so it must find out from rewards what to imitate: it learns to learn.

If the policy has a permanent term, either the whole policy imitates the teacher, or (`without_base`) the learned part
alone does. In a whole policy, the learned part only corrects the mistakes that the term makes on the tasks of training.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from podmeta.config.schema import DistillationConfig
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.outer.base import Entry, InstanceSettings, Metrics, Trajectory, entry_weights, fresh_meta_params
from podmeta.outer.collectives import mean_and_stack_over_devices
from podmeta.outer.gradient_loop import GradientLoop
from podmeta.outer.meta_optimiser import OptimisedState


@dataclasses.dataclass(frozen=True, eq=False)
class Distillation(GradientLoop):
    """Distillation. A slot is the lifetimes of each entry, usually one."""

    config: DistillationConfig

    def init(self, settings: InstanceSettings, meta_params: MetaParams | None = None) -> OptimisedState:
        """The given or a fresh θ, and a fresh optimiser."""
        if meta_params is None:
            meta_params = fresh_meta_params(self.entries, settings)
        optimiser_state = self.optimiser.init(meta_params, settings.learning_rate)
        return OptimisedState(meta_params, optimiser_state, jnp.array(self.first_update, jnp.int32), settings)

    def actor_view(self, state: OptimisedState) -> OptimisedState:
        """The state without the optimiser."""
        return state._replace(optimiser_state=())

    def update(
        self, state: OptimisedState, draws: tuple[()], summaries: tuple[Trajectory, ...], axis_name: str | None
    ) -> tuple[OptimisedState, Metrics]:
        """One gradient step on the trajectories [num_slots, lifetimes, ...] of every entry."""
        del draws

        def loss(meta_params: MetaParams) -> tuple[Float[Array, ""], list[Metrics]]:
            metrics = [
                self._entry_metrics(entry, meta_params, of_entry)
                for entry, of_entry in zip(self.entries, summaries, strict=True)
            ]
            losses = jnp.stack([of_entry["distillation_loss"] for of_entry in metrics])
            return jnp.dot(entry_weights(self.entries), losses), metrics

        gradient, by_entry = jax.grad(loss, has_aux=True)(state.meta_params)
        (gradient, metrics), _ = mean_and_stack_over_devices((gradient, self._metrics(by_entry)), (), axis_name)
        before = (state.meta_params, state.optimiser_state)
        *after, step_metrics = self.optimiser.step(*before, gradient, state.settings.learning_rate, state.update)
        # If the gradient of one lifetime is not finite, the step is skipped, so that θ stays finite.
        is_finite = jnp.isfinite(step_metrics["gradient_norm"])
        meta_params, optimiser_state = jax.tree.map(
            lambda new, old: jnp.where(is_finite, new, old), tuple(after), before
        )
        state = OptimisedState(meta_params, optimiser_state, state.update + 1, state.settings)
        return state, metrics | step_metrics

    def _entry_metrics(self, entry: Entry, meta_params: MetaParams, trajectories: Trajectory) -> Metrics:
        """The loss on one environment, on trajectories [num_slots, lifetimes, ...], and other metrics, each []."""
        trajectories = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), trajectories)
        outputs = jax.vmap(self.run_again, in_axes=(None, None, 0))(entry.inner_loop, meta_params, trajectories)
        experience = trajectories.experience
        assert experience.expected_advantages is not None
        acted = 1.0 - experience.action_ignored
        imitating = outputs.learned_policy if self.config.without_base else outputs.policy
        if imitating is None:
            raise InputError("outer.without_base=true needs a learner with a base: set learner.base=actor_critic")
        log_probs = jax.nn.log_softmax(imitating[:, :-1, :, 0])
        advantages = experience.expected_advantages
        divergence = teacher_divergence(log_probs, advantages, self.config.sharpness)
        expected_advantage = jnp.sum(jnp.exp(log_probs) * advantages, axis=-1)
        num_acted = jnp.maximum(jnp.sum(acted), 1.0)
        return {
            "distillation_loss": jnp.sum(acted * divergence) / num_acted,
            "fitness_mean": jnp.sum(acted * expected_advantage) / num_acted,
            "reward_mean": jnp.mean(experience.reward),
        }

    def _metrics(self, by_entry: list[Metrics]) -> Metrics:
        """The weighted means of the metrics of all entries; with several entries, also those of each entry by name."""
        weights = entry_weights(self.entries)
        metrics = {name: jnp.dot(weights, jnp.stack([m[name] for m in by_entry])) for name in by_entry[0]}
        if len(self.entries) > 1:
            named = zip(self.entries, by_entry, strict=True)
            metrics |= {f"{name}/{entry.name}": value for entry, found in named for name, value in found.items()}
        return metrics


def teacher_divergence(
    log_probs: Float[Array, "*batch num_actions"],
    advantages: Float[Array, "*batch num_actions"],
    sharpness: float,
) -> Float[Array, "*batch"]:
    """KL(teacher, learner), where the teacher's policy is softmax(sharpness * advantages).

    It is their cross-entropy minus the teacher's entropy, which does not depend on θ. So a perfect learner has 0.
    """
    teacher = jax.nn.log_softmax(sharpness * advantages)
    return jnp.sum(jnp.exp(teacher) * (teacher - log_probs), axis=-1)


def make_distillation(
    config: DistillationConfig, entries: tuple[Entry, ...], num_updates: int, first_update: int = 0
) -> Distillation:
    """Distillation of one θ on the environments of `entries`, over a stage of `num_updates` updates.

    `first_update` is the number of updates that earlier stages have done.

    Raises:
      InputError: an environment has no teacher, a lifetime does not divide into unrolls or an unroll into chunks, or
        the optimiser does not work.
    """
    for entry in entries:
        if not entry.inner_loop.knows_expected_advantages:
            raise InputError(
                f"outer=distillation needs a teacher, and {entry.name} does not know its expected advantages: take "
                "linear_control, random_mdp or oscillator with discrete actions, or another outer loop"
            )
    distillation = Distillation(config, entries, num_updates, first_update)
    distillation.check()
    return distillation
