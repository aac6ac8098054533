"""Controls: learners that cannot learn from reward. What they reach as well was not learned.

All use the same inner loop and the same tasks as the learner.
"""

from collections.abc import Sequence
from typing import NamedTuple

import dm_env
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from podmeta.config.schema import EnvironmentConfig, LearnerConfig
from podmeta.inner_loop import InnerLoop, environment_specs, make_learner_input, place_learner
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.learners.policies import make_policy
from podmeta.learners.registry import make_learner

_CERTAIN = 1e9  # a logit that leaves the other actions no chance
_SMALLEST_LOG_STD = -5.0


def random_inner_loop(environment_config: EnvironmentConfig) -> InnerLoop:
    """A uniform policy over discrete actions; over a box, a Gaussian around its middle."""
    policy = make_policy(environment_specs(environment_config)[1])
    output = LearnerOutput(jnp.zeros((policy.num_actions, policy.num_policy_channels)), jnp.zeros(()))
    learner = Learner(lambda key: None, lambda meta_params, key: (), lambda meta_params, state, _: (output, state))
    return place_learner(learner, policy, environment_config)


def alternating_inner_loop(environment_config: EnvironmentConfig) -> InnerLoop:
    """Alternates between the actions, ignoring observations and rewards; in a box, between the ends of its bounds."""
    policy = make_policy(environment_specs(environment_config)[1])
    num_actions = policy.num_actions

    def step(
        meta_params: MetaParams, num_steps: Int[Array, ""], _: LearnerInput
    ) -> tuple[LearnerOutput, Int[Array, ""]]:
        if policy.num_policy_channels == 1:
            parameters = jnp.where(jnp.arange(num_actions) == num_steps % num_actions, 0.0, -_CERTAIN)[:, None]
        else:
            end = 1.0 - 2.0 * (num_steps % 2)
            parameters = jnp.broadcast_to(jnp.stack([end, _SMALLEST_LOG_STD]), (num_actions, 2))
        return LearnerOutput(parameters, jnp.zeros(())), num_steps + 1

    learner = Learner(lambda key: None, lambda meta_params, key: jnp.zeros((), jnp.int32), step)
    return place_learner(learner, policy, environment_config)


ZEROED_INPUTS = {
    "observations_zeroed": ("observation",),
    "rewards_zeroed": ("reward",),
    "rewards_and_episode_starts_zeroed": ("reward", "episode_start"),
}
"""By control, the fields of `LearnerInput` that are zeroed.

If episodes terminate, episode starts reveal failures, so zeroing rewards alone is not enough.
"""


class Deprived(NamedTuple):
    """Takes the place of θ in a learner with zeroed inputs.

    Attributes:
      meta_params: θ.
      observation, reward, episode_start: [] whether this field of `LearnerInput` is shown.
    """

    meta_params: MetaParams
    observation: Bool[Array, ""]
    reward: Bool[Array, ""]
    episode_start: Bool[Array, ""]


def deprived(meta_params: MetaParams, zeroed: Sequence[str] = ()) -> Deprived:
    """θ with some of its inputs zeroed: fields of `LearnerInput`, as in `ZEROED_INPUTS`."""
    shown = {field: jnp.array(field not in zeroed) for field in Deprived._fields[1:]}
    return Deprived(meta_params, **shown)


def deprivable_inner_loop(learner_config: LearnerConfig, environment_config: EnvironmentConfig) -> InnerLoop:
    """The learner, whose θ is a `Deprived`: so one compiled program serves it and all controls with zeroed inputs.

    The previous action, which is zero at an episode start, would reveal the start. So if episode starts are zeroed, the
    learner gets the action that it took at the last time step of the previous episode, although the environment ignored
    that action. Observations do not change: they may still jump at an episode start.
    """
    observation_spec, action_spec = environment_specs(environment_config)
    policy = make_policy(action_spec)
    learner = make_learner(learner_config, observation_spec.shape, policy.num_actions, policy.num_policy_channels)

    def see_all(timestep: dm_env.TimeStep, previous_action: Float[Array, "num_actions"]) -> LearnerInput:
        return make_learner_input(timestep, previous_action)._replace(previous_action=previous_action)

    def step(theta: Deprived, state: LearnerState, learner_input: LearnerInput) -> tuple[LearnerOutput, LearnerState]:
        starts = jnp.where(theta.episode_start, learner_input.episode_start, 0.0)
        seen = learner_input._replace(
            observation=jnp.where(
                theta.observation, learner_input.observation, jnp.zeros_like(learner_input.observation)
            ),
            reward=jnp.where(theta.reward, learner_input.reward, 0.0),
            episode_start=starts,
            previous_action=jnp.where(starts > 0, 0.0, learner_input.previous_action),
        )
        return learner.step(theta.meta_params, state, seen)

    deprivable = Learner(
        init=lambda key: deprived(learner.init(key)),
        initial_state=lambda theta, key: learner.initial_state(theta.meta_params, key),
        step=step,
    )
    return place_learner(deprivable, policy, environment_config, see_all)
