"""A learned algorithm at work: an agent that learns one task of yours within one lifetime, from reward alone.

    algorithm = podmeta.load_agent("symla-control")
    agent = algorithm.reset(environment.observation_spec(), environment.action_spec(), seed=0)
    timestep = environment.reset()
    for _ in range(1000):
        timestep = environment.step(agent.step(timestep))

No gradient is computed and nothing is tuned: all that changes is the agent's state, in which its policy is held. The
agent follows dm_env's contract as training does: it is stepped at every time step, the last one of an episode
included, whose action the environment ignores, and it keeps its state across episode ends.
"""

from pathlib import Path
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int, UInt32

from podmeta.arithmetic import own_arithmetic
from podmeta.data_files import most_array_bytes, read_named_data
from podmeta.environments.bridge.arrays import ActionDecoder, ObservationEncoder
from podmeta.environments.bridge.foreign_specs import ActionSpec, ObservationSpec
from podmeta.environments.contract import ContractError, check_follows, checked_scalars
from podmeta.errors import InputError
from podmeta.inner_loop import make_learner_input
from podmeta.keys import make_key, wrap_key
from podmeta.learners.base import LearnerState, MetaParams
from podmeta.learners.policies import make_policy
from podmeta.learners.registry import as_agent, make_learner
from podmeta.seeds import checked_seed
from podmeta.storage.files import reason, write_atomically
from podmeta.storage.named_arrays import filled, from_npz, to_npz
from podmeta.storage.pretrained import Card, Pretrained, load_pretrained
from podmeta.storage.trust import check_card
from podmeta.training.export import learned_algorithm_of

_LARGEST_GRID = 1000  # components; what has three axes and more of them is taken for an image
_META_PARAMS_SHA256 = "meta_params_sha256"


class AgentState(NamedTuple):
    """All that an agent carries from one step to the next.

    Attributes:
      key_data: [2] the key of the lifetime; step t draws its action with fold_in(key, t).
      num_steps: [] steps so far.
      previous_action: [num_actions] the last action, encoded.
      learner_state: the learner state.
    """

    key_data: UInt32[Array, "2"]
    num_steps: Int[Array, ""]
    previous_action: Float[Array, "num_actions"]
    learner_state: LearnerState


def load_agent(source: str | Path, trust: bool = False) -> "LearnedAlgorithm":
    """A learned algorithm, from which `reset` makes agents.

    Args:
      source: the name of one that ships with podmeta (`podmeta list` prints them), the path of an .npz file that
        `podmeta export` has made, or a run directory.
      trust: whether code may run that the file's card names as its learner, or the config of somebody else's run;
        docs/security.md says what that is.

    Raises:
      InputError: there is none of that name, a file is missing or damaged, or it would run code of somebody else's.
    """
    if Path(source, "config.yaml").exists():
        return LearnedAlgorithm(learned_algorithm_of(Path(source), trust=trust))
    pretrained = load_pretrained(str(source))
    if not trust:
        check_card(pretrained.name, pretrained.learner_config)
    return LearnedAlgorithm(pretrained)


class LearnedAlgorithm:
    """θ and the learner it belongs to. Programs are compiled once per size of observations and actions."""

    def __init__(self, pretrained: Pretrained) -> None:
        self._pretrained = pretrained
        self._programs: dict[str, _Program] = {}

    @property
    def card(self) -> Card:
        """How it was trained, what it reaches, and what it does not."""
        return self._pretrained.card

    @own_arithmetic()
    def reset(self, observation_spec: ObservationSpec, action_spec: ActionSpec, seed: int) -> "Agent":
        """An agent at the beginning of a lifetime, which knows nothing of its task.

        Args:
          observation_spec: a dm_env spec, or a dictionary or tuple of them, whose components are strung together. No
            image, but any other shape, with any bounds or none.
          action_spec: a `DiscreteArray`; a `BoundedArray` of floats with finite bounds; or one of integers, with at
            most 1,000 combinations. A Gymnasium space, or a spec of Jumanji's, is taken for the dm_env spec it
            amounts to.
          seed: of the agent's own draws, from 0 to 2^32 - 1.

        Raises:
          InputError: it cannot live with such observations or actions, or take such a seed; the message says what to
            do.
        """
        program = self._program(observation_spec, action_spec)
        return Agent(program, program.initial_state(checked_seed(seed)), _Previous(None, True))

    @own_arithmetic()
    def load(self, path: str | Path, observation_spec: ObservationSpec, action_spec: ActionSpec) -> "Agent":
        """The agent that `Agent.save` has saved, in the middle of its lifetime. It goes on as if nothing had been.

        Args:
          path: the file.
          observation_spec: as given to `reset`.
          action_spec: as given to `reset`.

        Raises:
          InputError: there is no such file, it is damaged, or it is of another algorithm or other sizes.
        """
        program = self._program(observation_spec, action_spec)
        try:
            arrays = from_npz(read_named_data(Path(path), most_array_bytes()))
            trained = str(arrays.pop(_META_PARAMS_SHA256, None))
            if trained != self.card.meta_params_sha256:
                raise ValueError(f"it is of another algorithm than {self._pretrained.name}")
            state = filled(program.initial_state(seed=0), arrays)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} holds no agent that can be loaded here: {reason(error)}") from error
        return Agent(program, state, _UNKNOWN)

    def _program(self, observation_spec: ObservationSpec, action_spec: ActionSpec) -> "_Program":
        key = repr((observation_spec, action_spec))
        if key not in self._programs:
            self._programs[key] = _Program(self._pretrained, observation_spec, action_spec)
        return self._programs[key]


class _Previous(NamedTuple):
    """What an agent knows of the time step before.

    Attributes:
      step_type: its step type; None: the lifetime begins.
      is_known: whether that is so. It is not in an agent that was loaded, or interrupted in a step.
    """

    step_type: int | None
    is_known: bool


_UNKNOWN = _Previous(None, False)


class Agent:
    """One lifetime of a learned algorithm. It is made by `LearnedAlgorithm.reset` or `LearnedAlgorithm.load`.

    A copy (`copy.copy` or `copy.deepcopy`) lives on independently of the agent. To keep or send an agent, `save` it:
    it cannot be pickled.
    """

    def __init__(self, program: "_Program", state: AgentState, previous: _Previous) -> None:
        self._program = program
        self._previous = previous
        self._state = jax.tree.map(jnp.asarray, state)

    def __copy__(self) -> "Agent":
        return Agent(self._program, self._state, self._previous)  # a step makes a new state, and changes none

    def __deepcopy__(self, memo: dict[int, object]) -> "Agent":
        return self.__copy__()

    def __reduce__(self) -> str:
        raise TypeError(
            "an agent cannot be pickled, because its program is compiled: agent.save(path) writes its state, and "
            "algorithm.load(path, observation_spec, action_spec) makes it again"
        )

    @own_arithmetic()
    def step(self, timestep: dm_env.TimeStep) -> np.ndarray | np.number:
        """Takes in a time step, learns from its reward, and acts.

        Every observation component is divided by the largest magnitude it has had in this lifetime, whether or not θ
        was trained so (`learner.scale_observations`): what is one-hot or constantly 1 stays as it is, and the rest
        comes to lie within ±1. Rewards are taken as they are.

        An exception that a signal handler raises meanwhile, such as Ctrl-C's, leaves the agent as it was before the
        step or as it is after it.

        Args:
          timestep: what the environment shows. On a LAST one the action is ignored, as dm_env has it. After MID it may
            be FIRST, where you have reset the environment.

        Returns:
          The action: a NumPy integer, or an array of the action spec's shape.

        Raises:
          InputError: it is no time step of dm_env's, or does not follow the one before; the observation is not what its
            spec says; or it or the reward is not finite.
        """
        fields = self._program.fields(timestep)
        step_type = int(fields[-1])
        if self._previous.is_known:
            self._program.check_follows(step_type, self._previous.step_type)
        self._previous = _UNKNOWN
        self._state, action = self._program.step(self._state, fields)
        self._previous = _Previous(step_type, True)
        return action

    def act(
        self, observation: object, reward: float = 0.0, terminated: bool = False, truncated: bool = False
    ) -> np.ndarray | np.number:
        """As `step`, for loops over an environment of Gymnasium that has no adapter.

            observation, _ = environment.reset()
            reward, terminated, truncated = 0.0, False, False
            for _ in range(1000):
                action = agent.act(observation, reward, terminated, truncated)
                if terminated or truncated:
                    observation, _ = environment.reset()
                    reward, terminated, truncated = 0.0, False, False
                else:
                    observation, reward, terminated, truncated, _ = environment.step(action)

        Call it once for the last observation of an episode too, so that the agent learns from the last reward: the
        action is of no use there. The next call begins an episode, and so does the first one, where the reward counts
        for nothing. An agent that was loaded takes its first call for a step of the episode under way.

        Args:
          observation: what the environment shows.
          reward: what the last action has earned.
          terminated: whether that action has terminated the episode.
          truncated: whether the episode ends here by a time limit.

        Returns:
          The action, as of `step`.

        Raises:
          InputError: as `step`.
        """
        begins = self._previous.is_known and self._previous.step_type in (None, int(dm_env.StepType.LAST))
        if begins:
            return self.step(dm_env.restart(observation))
        if terminated:
            return self.step(dm_env.termination(reward, observation))
        if truncated:
            return self.step(dm_env.truncation(reward, observation))
        return self.step(dm_env.transition(reward, observation))

    def save(self, path: str | Path) -> None:
        """Writes the agent's whole state to an .npz file, from which `LearnedAlgorithm.load` makes it again.

        Raises:
          PodmetaError: it could not be written.
        """
        state = self._state._asdict() | {_META_PARAMS_SHA256: np.array(self._program.meta_params_sha256)}
        write_atomically(Path(path), to_npz(state))


class _Program:
    """The compiled step of a learned algorithm on one pair of specs."""

    def __init__(self, pretrained: Pretrained, observation_spec: ObservationSpec, action_spec: ActionSpec) -> None:
        self._encode = ObservationEncoder(observation_spec, "the environment")
        self._decode = ActionDecoder(action_spec, "the environment")
        _check_observations(self._encode.spec)
        _check_actions(self._decode.spec)
        self._observation_size = int(np.prod(self._encode.spec.shape))
        self._policy = make_policy(self._decode.spec)
        self._learner = make_learner(
            as_agent(pretrained.learner_config),
            (self._observation_size,),
            self._policy.num_actions,
            self._policy.num_policy_channels,
        )
        expected = jax.eval_shape(self._learner.init, make_key(0))
        self._meta_params = jax.device_put(pretrained.meta_params(expected))
        self.meta_params_sha256 = pretrained.card.meta_params_sha256
        # The state is not donated: an exception before the agent has the new one would leave it with none.
        self._step = jax.jit(self._traced_step)

    def initial_state(self, seed: int) -> AgentState:
        learner_key, lifetime_key = jax.random.split(make_key(seed))
        return AgentState(
            key_data=jax.random.key_data(lifetime_key),
            num_steps=jnp.zeros((), jnp.int32),
            previous_action=jnp.zeros(self._policy.num_actions),
            learner_state=self._learner.initial_state(self._meta_params, learner_key),
        )

    def fields(self, timestep: dm_env.TimeStep) -> Float[np.ndarray, "observation_size_and_two"]:
        """The observation, reward and step type of a time step, in one array, because each would cost its transfer.

        Raises:
          InputError: it is no time step that the contract knows.
        """
        try:
            step_type, reward, _ = checked_scalars(timestep)
            observation = self._encode(timestep.observation)
        except ContractError as error:
            raise InputError(
                f"the environment {error}: fix it, or reset the agent with the environment's specs"
            ) from error
        fields = np.empty(self._observation_size + 2, np.float32)
        fields[:-2] = observation.reshape(-1)
        fields[-2:] = reward, step_type
        if not np.isfinite(fields).all():
            raise InputError("an observation is not finite, which no agent can learn from: fix it first")
        return fields

    def check_follows(self, step_type: int, previous: int | None) -> None:
        """Raises an InputError where a step type may not follow the one before."""
        try:
            check_follows(step_type, previous, may_reset=True)
        except ContractError as error:
            cure = "begin a lifetime with environment.reset()" if previous is None else "fix it"
            raise InputError(f"the environment {error}: {cure}") from error

    def step(self, state: AgentState, fields: Float[np.ndarray, "observation_size_and_two"]) -> tuple[AgentState, Any]:
        """The state after a time step, and the action."""
        state, action = self._step(self._meta_params, state, fields)
        return state, self._decode(np.asarray(action))[()]

    def _traced_step(
        self, meta_params: MetaParams, state: AgentState, fields: Float[Array, "observation_size_and_two"]
    ) -> tuple[AgentState, Array]:
        observation, reward, step_type = fields[:-2], fields[-2], fields[-1].astype(jnp.int32)
        learner_input = make_learner_input(
            dm_env.TimeStep(step_type, reward, jnp.ones(()), observation), state.previous_action
        )
        output, learner_state = self._learner.step(meta_params, state.learner_state, learner_input)
        key = jax.random.fold_in(wrap_key(state.key_data), state.num_steps)
        action = self._policy.sample(key, output.policy)
        state = AgentState(state.key_data, state.num_steps + 1, self._policy.encode(action), learner_state)
        return state, self._policy.to_environment(action)


def _check_observations(spec: specs.BoundedArray) -> None:
    """Raises an InputError for what an agent cannot live with."""
    size = int(np.prod(spec.shape))
    if size == 0:
        raise InputError(f"observation_spec has shape {spec.shape}, and so no component: show a constant 1 instead")
    if (len(spec.shape) >= 2 and spec.dtype == np.uint8) or (len(spec.shape) >= 3 and size > _LARGEST_GRID):
        raise InputError(
            f"observation_spec is an image's (shape {spec.shape}, {spec.dtype}), which would take a small LSTM for "
            "every pixel and action: show features of it instead, such as positions or a coarse grid, in a flat array"
        )


def _check_actions(spec: specs.DiscreteArray | specs.BoundedArray) -> None:
    """Raises an InputError for what an agent cannot do."""
    if not isinstance(spec, specs.DiscreteArray) and not np.all(np.isfinite([spec.minimum, spec.maximum])):
        raise InputError(
            "action_spec has no finite bounds, so the size of an action is unknown: give a BoundedArray with a "
            "finite minimum and maximum for every component"
        )
