"""The inner loop: rolls out a learner in an environment, for a lifetime of many episodes.

One scan serves all outer loops and evaluation. The learner state is kept across episode ends; only a new lifetime
resets it. All functions are unbatched.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
from dm_env import specs
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree, UInt32

from podmeta.arithmetic import own_types
from podmeta.config.schema import EnvironmentConfig, LearnerConfig
from podmeta.environments.base import AnyEnvironment, is_first, is_last, is_truncated, step_or_reset
from podmeta.environments.host.registry import lives_on_host, patient_host_environment
from podmeta.environments.registry import make_environment
from podmeta.keys import make_key, wrap_key
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.learners.policies import Noise, Policy, make_policy
from podmeta.learners.registry import make_learner


class LifetimeState(NamedTuple):
    """A lifetime in progress.

    Attributes:
      key_data: [2] the key of the whole lifetime, as numbers that a checkpoint can hold; env step t uses
        fold_in(key, t).
      num_steps: [] env steps done so far.
      task: the task of the lifetime; () for host environments, which hold it themselves.
      environment_state: the environment state at `timestep`; () for host environments.
      timestep: the current time step; () for host environments, whose actors hold it.
      previous_action: [num_actions] the last action, encoded.
      learner_state: the learner state.
    """

    key_data: UInt32[Array, "2"]
    num_steps: Int[Array, ""]
    task: PyTree
    environment_state: PyTree
    timestep: dm_env.TimeStep
    previous_action: Float[Array, "num_actions"]
    learner_state: LearnerState


class ActorOutput(NamedTuple):
    """The learner's input, output and action at one time step.

    Attributes:
      learner_input: the learner's input.
      learner_output: its output.
      action: the action drawn from its policy.
    """

    learner_input: LearnerInput
    learner_output: LearnerOutput
    action: Array


class Experience(NamedTuple):
    """The experience of one env step; with a leading time axis, of many.

    Attributes:
      learner_input: the learner's input.
      learner_output: its output.
      action: the action drawn from its policy.
      action_ignored: whether the env step was a reset, which ignores the action (see `step_or_reset`).
      follows_truncation: whether it was a reset after a truncated episode.
      reward: [] the reward that the action earned.
      discount: [] 0 if the action terminated the episode, else 1.
      episode_end: [] whether the action ended the episode, by termination or truncation.
      expected_reward: [] expected immediate reward under the policy; None if the environment does not know it.
      regret: [] expected reward of the best action minus that of the chosen one; None if unknown.
      expected_advantages: [num_actions] of every action; None if the environment has no teacher.
      expected_advantage: [] their mean under the policy; None without a teacher. Meaningless if the action is ignored.
    """

    learner_input: LearnerInput
    learner_output: LearnerOutput
    action: Array
    action_ignored: Bool[Array, "*time"]
    follows_truncation: Bool[Array, "*time"]
    reward: Float[Array, "*time"]
    discount: Float[Array, "*time"]
    episode_end: Bool[Array, "*time"]
    expected_reward: Float[Array, "*time"] | None
    regret: Float[Array, "*time"] | None
    expected_advantages: Float[Array, "*time num_actions"] | None
    expected_advantage: Float[Array, "*time"] | None


def make_learner_input(timestep: dm_env.TimeStep, previous_action: Float[Array, "num_actions"]) -> LearnerInput:
    """The input of a learner at a time step. The first one of an episode has no previous action."""
    starts = is_first(timestep)
    return LearnerInput(
        observation=timestep.observation,
        previous_action=jnp.where(starts, 0.0, previous_action),
        reward=timestep.reward,
        episode_start=starts.astype(jnp.float32),
    )


MakeLearnerInput = Callable[[dm_env.TimeStep, Array], LearnerInput]  # as `make_learner_input`


class InnerLoop(NamedTuple):
    """A learner placed in an environment.

    Attributes:
      lifetime_length: T, env steps in a lifetime.
      init: key -> θ.
      initial_state: (θ, key) -> the learner state at the start of a lifetime.
      reset: (θ, key) -> a lifetime at its first env step.
      unroll: (θ, lifetime, num_steps) -> the lifetime `num_steps` env steps later, and the experience
        [num_steps, ...] in between.
      step: the learner's step, (θ, learner state, input) -> (output, learner state).
      policy: interprets the learner's output.
      knows_expected_reward: whether `Experience.expected_reward` and `regret` are there.
      knows_expected_advantages: whether `Experience.expected_advantages` is there.
      make_learner_input: (time step, previous action) -> the learner's input. Controls hide part of it.
      learner_unroll: the learner's `unroll` over many inputs; None where it has none.
    """

    lifetime_length: int
    init: Callable[[PRNGKeyArray], MetaParams]
    initial_state: Callable[[MetaParams, PRNGKeyArray], LearnerState]
    reset: Callable[[MetaParams, PRNGKeyArray], LifetimeState]
    unroll: Callable[[MetaParams, LifetimeState, int], tuple[LifetimeState, Experience]]
    step: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]]
    policy: Policy
    knows_expected_reward: bool
    knows_expected_advantages: bool = False
    make_learner_input: MakeLearnerInput = make_learner_input
    learner_unroll: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]] | None = None

    def rollout(self, meta_params: MetaParams, key: PRNGKeyArray) -> Experience:
        """A whole lifetime, [lifetime_length, ...]."""
        return self.unroll(meta_params, self.reset(meta_params, key), self.lifetime_length)[1]


def make_inner_loop(
    environment: AnyEnvironment,
    learner: Learner,
    policy: Policy,
    lifetime_length: int,
    make_learner_input: MakeLearnerInput = make_learner_input,
) -> InnerLoop:
    """Places a learner in an environment. `make_learner_input` makes its input."""

    def reset(meta_params: MetaParams, key: PRNGKeyArray) -> LifetimeState:
        task_key, reset_key, learner_key, lifetime_key = jax.random.split(key, 4)
        task = environment.sample_task(task_key)
        environment_state, timestep = environment.reset(reset_key, task)
        return LifetimeState(
            key_data=jax.random.key_data(lifetime_key),
            num_steps=jnp.zeros((), jnp.int32),
            task=task,
            environment_state=environment_state,
            timestep=timestep,
            previous_action=jnp.zeros(policy.num_actions),
            learner_state=learner.initial_state(meta_params, learner_key),
        )

    def env_step(meta_params: MetaParams, lifetime: LifetimeState) -> tuple[LifetimeState, Experience]:
        action_key, environment_key = _step_keys(lifetime.key_data, lifetime.num_steps)
        actor_output, after = policy_step(
            learner.step, policy, make_learner_input, meta_params, lifetime, policy.noise(action_key)
        )
        environment_state, timestep = step_or_reset(
            environment,
            environment_key,
            lifetime.task,
            lifetime.environment_state,
            lifetime.timestep,
            policy.to_environment(actor_output.action),
        )
        experience = _experience(environment, lifetime, actor_output, timestep)
        return after._replace(environment_state=environment_state, timestep=timestep), experience

    def unroll(meta_params: MetaParams, lifetime: LifetimeState, num_steps: int) -> tuple[LifetimeState, Experience]:
        return jax.lax.scan(lambda carry, _: env_step(meta_params, carry), lifetime, length=num_steps)

    def expectations(key: PRNGKeyArray) -> tuple[Float[Array, "num_actions"] | None, ...]:
        task = environment.sample_task(key)
        state, _ = environment.reset(key, task)
        return environment.expected_rewards(task, state), environment.expected_advantages(task, state)

    expected_rewards, expected_advantages = jax.eval_shape(expectations, make_key(0))
    return InnerLoop(
        lifetime_length,
        learner.init,
        learner.initial_state,
        own_types()(reset),
        own_types()(unroll),
        learner.step,
        policy,
        knows_expected_reward=expected_rewards is not None,
        knows_expected_advantages=expected_advantages is not None,
        make_learner_input=make_learner_input,
        learner_unroll=learner.unroll,
    )


def _experience(
    environment: AnyEnvironment, lifetime: LifetimeState, actor_output: ActorOutput, timestep: dm_env.TimeStep
) -> Experience:
    """The experience of an env step from `lifetime` to `timestep`."""
    expected_reward, regret = _against_expectation(
        environment.expected_rewards(lifetime.task, lifetime.environment_state), actor_output
    )
    expected_advantages = environment.expected_advantages(lifetime.task, lifetime.environment_state)
    expected_advantage = None
    if expected_advantages is not None:
        expected_advantage = _under_policy(expected_advantages, actor_output)
    return Experience(
        *actor_output,
        action_ignored=is_last(lifetime.timestep),
        follows_truncation=is_truncated(lifetime.timestep),
        reward=timestep.reward,
        discount=timestep.discount,
        episode_end=is_last(timestep),
        expected_reward=expected_reward,
        regret=regret,
        expected_advantages=expected_advantages,
        expected_advantage=expected_advantage,
    )


def policy_step(
    learner_step: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]],
    policy: Policy,
    make_learner_input: MakeLearnerInput,
    meta_params: MetaParams,
    lifetime: LifetimeState,
    noise: Noise,
) -> tuple[ActorOutput, LifetimeState]:
    """One step of the policy: the action of a lifetime at its current time step.

    Args:
      learner_step: the learner's step.
      policy: interprets its output.
      make_learner_input: makes its input.
      meta_params: θ.
      lifetime: the lifetime.
      noise: of the action, as `action_noise` gives it for this env step.

    Returns:
      The output, and the lifetime after it, before the environment steps.
    """
    learner_input = make_learner_input(lifetime.timestep, lifetime.previous_action)
    output, learner_state = learner_step(meta_params, lifetime.learner_state, learner_input)
    action = policy.choose(noise, output.policy)
    return ActorOutput(learner_input, output, action), lifetime._replace(
        num_steps=lifetime.num_steps + 1, previous_action=policy.encode(action), learner_state=learner_state
    )


def action_noise(policy: Policy, lifetime: LifetimeState, num_steps: int) -> Noise:
    """The noise [num_steps, ...] of a lifetime's actions in its next `num_steps` env steps."""
    steps = lifetime.num_steps + jnp.arange(num_steps)
    return jax.vmap(lambda step: policy.noise(_step_keys(lifetime.key_data, step)[0]))(steps)


def _step_keys(key_data: UInt32[Array, "2"], num_steps: Int[Array, ""]) -> Key[Array, "2"]:
    """The keys of the env step after `num_steps` of a lifetime: the action's and the environment's."""
    return jax.random.split(jax.random.fold_in(wrap_key(key_data), num_steps))


def _against_expectation(
    expected_rewards: Float[Array, "num_actions"] | None, actor_output: ActorOutput
) -> tuple[Float[Array, ""], Float[Array, ""]] | tuple[None, None]:
    """The expected reward under the policy, and the regret of the chosen action; None if unknown."""
    if expected_rewards is None:
        return None, None
    expected_reward = _under_policy(expected_rewards, actor_output)
    taken = jnp.sum(jax.nn.one_hot(actor_output.action, expected_rewards.size) * expected_rewards)
    return expected_reward, jnp.max(expected_rewards) - taken


def _under_policy(values: Float[Array, "num_actions"], actor_output: ActorOutput) -> Float[Array, ""]:
    """The mean of a number per action under the learner's policy."""
    return jnp.sum(jax.nn.softmax(actor_output.learner_output.policy[:, 0]) * values)


def build_inner_loop(
    learner_config: LearnerConfig, environment_config: EnvironmentConfig, dtype: str = "float32"
) -> InnerLoop:
    """Places the learner of one config in the environment of another, which also sets the lifetime's length.

    `dtype` is the type of the learner's activations, as `numerics.dtype` names it.
    """
    observation_spec, action_spec = environment_specs(environment_config)
    policy = make_policy(action_spec)
    sizes = policy.num_actions, policy.num_policy_channels
    learner = make_learner(learner_config, observation_spec.shape, *sizes, dtype)
    return place_learner(learner, policy, environment_config)


def place_learner(
    learner: Learner,
    policy: Policy,
    environment_config: EnvironmentConfig,
    make_learner_input: MakeLearnerInput = make_learner_input,
) -> InnerLoop:
    """Places a learner in the environment of a config, compiled or on the host."""
    if lives_on_host(environment_config):
        return _inner_loop_on_host(learner, policy, environment_config, make_learner_input)
    environment = make_environment(environment_config)
    return make_inner_loop(environment, learner, policy, environment_config.lifetime_length, make_learner_input)


def environment_specs(
    environment_config: EnvironmentConfig,
) -> tuple[specs.Array, specs.DiscreteArray | specs.BoundedArray]:
    """The observation and action specs of an environment, compiled or on the host."""
    if lives_on_host(environment_config):
        with patient_host_environment(environment_config, num_environments=1) as host_environment:
            return host_environment.observation_spec(), host_environment.action_spec()
    environment = make_environment(environment_config)
    return environment.observation_spec(), environment.action_spec()


def _inner_loop_on_host(
    learner: Learner, policy: Policy, environment_config: EnvironmentConfig, make_learner_input: MakeLearnerInput
) -> InnerLoop:
    """The learner's part of an inner loop. Actors do the environment's part, which no compiled program can do."""

    def not_here(*arguments: Any) -> Any:
        raise TypeError(f"{environment_config.name} lives on the host: actors step it, not a compiled program")

    return InnerLoop(
        lifetime_length=environment_config.lifetime_length,
        init=learner.init,
        initial_state=learner.initial_state,
        reset=not_here,
        unroll=not_here,
        step=learner.step,
        policy=policy,
        knows_expected_reward=False,
        make_learner_input=make_learner_input,
        learner_unroll=learner.unroll,
    )
