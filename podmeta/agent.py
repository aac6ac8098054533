"""Learned algorithms as agents, which learn a task in your environment within one lifetime, from reward alone.

    algorithm = podmeta.load_agent("symla-general")
    agent = algorithm.reset(environment.observation_spec(), environment.action_spec(), seed=0)
    timestep = environment.reset()
    for _ in range(1000):
        timestep = environment.step(agent.step(timestep))

No gradient is computed and nothing is tuned: only the agent's state changes, which holds its policy. The agent follows
dm_env's contract, as in training: call `step` at every time step, including the last one of an episode, whose action
the environment ignores. The agent keeps its state across episode ends.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import dm_env
import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs
from jaxtyping import Array, Float, Int, UInt32

from podmeta.arithmetic import own_arithmetic
from podmeta.config.paths import is_store_address
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
from podmeta.storage.local_copy import fetch_run
from podmeta.storage.named_arrays import filled, from_npz, to_npz
from podmeta.storage.pretrained import Card, Pretrained, load_pretrained
from podmeta.storage.trust import check_card
from podmeta.training.export import learned_algorithm_of
from podmeta.training.meta_params import NEWEST

_LARGEST_GRID = 1000  # components; what has three axes and more of them is taken for an image
_META_PARAMS_SHA256 = "meta_params_sha256"


class AgentState(NamedTuple):
    """The state of an agent between steps.

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


def load_agent(source: str | Path, trust: bool = False, checkpoint: str = NEWEST) -> "LearnedAlgorithm":
    """Loads a learned algorithm, whose `reset` makes agents.

    Args:
      source: the name of one that ships with podmeta (`podmeta list` prints them), the path of an .npz file that
        `podmeta export` wrote, a run directory, or the address of a run in an object store.
      trust: whether to run code that the file's card, or the config of somebody else's run, names as its learner; see
        docs/security.md.
      checkpoint: which θ of a run directory: "newest", or "best" for that of the best meta-test during training.

    Raises:
      InputError: there is none with this name, a file is missing or damaged, or loading it needs trust.
    """
    if is_store_address(str(source)):
        source = fetch_run(str(source))
    if Path(source, "config.yaml").exists():
        return LearnedAlgorithm(learned_algorithm_of(Path(source), trust=trust, checkpoint=checkpoint))
    if checkpoint != NEWEST:
        raise InputError(f"checkpoint={checkpoint} is for a run directory, and {source} is none")
    pretrained = load_pretrained(str(source))
    if not trust:
        check_card(pretrained.name, pretrained.learner_config)
    return LearnedAlgorithm(pretrained)


class LearnedAlgorithm:
    """θ and its learner. Programs are compiled once per size of observations and actions."""

    def __init__(self, pretrained: Pretrained) -> None:
        self._pretrained = pretrained
        self._programs: dict[str, _Program] = {}

    def __getstate__(self) -> dict[str, object]:
        # For pickle and copy. Compiled programs cannot be pickled, and are made again.
        return {"_pretrained": self._pretrained, "_programs": {}}

    @property
    def card(self) -> Card:
        """How it was trained, its results, and its limits."""
        return self._pretrained.card

    @own_arithmetic()
    def reset(self, observation_spec: ObservationSpec, action_spec: ActionSpec, seed: int) -> "Agent":
        """Makes an agent at the start of a lifetime, which knows nothing about its task.

        Args:
          observation_spec: a dm_env spec, or a dictionary or tuple of them, whose components are concatenated. Images
            are not supported; other shapes and bounds are.
          action_spec: a `DiscreteArray`; a `BoundedArray` of floats with finite bounds; or one of integers, with at
            most 1,000 combinations. Gymnasium spaces and Jumanji specs are converted to dm_env specs.
          seed: of the agent's random draws, from 0 to 2^32 - 1.

        Raises:
          InputError: it does not support these observations or actions, or the seed is invalid; the message says what
            to do.
        """
        program = self._program(observation_spec, action_spec)
        return Agent(program, program.initial_state(checked_seed(seed)), _Previous(None, True))

    @own_arithmetic()
    def load(self, path: str | Path, observation_spec: ObservationSpec, action_spec: ActionSpec) -> "Agent":
        """Loads an agent that `Agent.save` wrote in the middle of its lifetime. It continues as if it had not stopped.

        Args:
          path: the file.
          observation_spec: as given to `reset`.
          action_spec: as given to `reset`.

        Raises:
          InputError: there is no such file, it is damaged, or it belongs to another algorithm or other sizes.
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
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # without it, long arrays lose their middle
            key = repr((observation_spec, action_spec))
        if key not in self._programs:
            self._programs[key] = _Program(self._pretrained, observation_spec, action_spec)
        return self._programs[key]


class _Previous(NamedTuple):
    """What an agent knows about the previous time step.

    Attributes:
      step_type: its step type; None: the lifetime begins.
      is_known: False for an agent that was loaded, or interrupted in a step.
    """

    step_type: int | None
    is_known: bool


_UNKNOWN = _Previous(None, False)


class Agent:
    """One lifetime of a learned algorithm, made by `LearnedAlgorithm.reset` or `LearnedAlgorithm.load`.

    A copy (`copy.copy` or `copy.deepcopy`) is independent of the agent. To store or send an agent, `save` it: it cannot
    be pickled.
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
        """Observes a time step, learns from its reward, and returns an action.

        Every observation component is divided by its largest magnitude so far in this lifetime, whether or not θ was
        trained that way (`learner.scale_observations`). One-hot and constant-1 components do not change, and the others
        lie within ±1. Rewards are scaled in the same way.

        If a signal handler raises an exception meanwhile, such as at Ctrl-C, the agent is left in its state before or
        after the step.

        Args:
          timestep: from the environment. At a LAST one, the environment will ignore the action. FIRST may follow MID if
            you have reset the environment.

        Returns:
          The action: a NumPy integer, or an array of the action spec's shape.

        Raises:
          InputError: it is not a dm_env time step or may not follow the previous one; the observation does not match
            its spec; or the observation or reward is not finite.
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
        """As `step`, for plain loops over a Gymnasium environment without an adapter.

            observation, _ = environment.reset()
            reward, terminated, truncated = 0.0, False, False
            for _ in range(1000):
                action = agent.act(observation, reward, terminated, truncated)
                if terminated or truncated:
                    observation, _ = environment.reset()
                    reward, terminated, truncated = 0.0, False, False
                else:
                    observation, reward, terminated, truncated, _ = environment.step(action)

        Also call it once for the last observation of an episode, so that the agent learns from the last reward; discard
        the returned action. The next call begins an episode, as does the first one; their reward is ignored. The first
        call of a loaded agent continues the episode in progress.

        Args:
          observation: from the environment.
          reward: of the last action.
          terminated: whether that action terminated the episode.
          truncated: whether a time limit ended the episode.

        Returns:
          The action, as in `step`.

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
        """Writes the agent's whole state to an .npz file, for `LearnedAlgorithm.load`.

        Args:
          path: the file, which is replaced if it exists.

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
        """The observation, reward and step type of a time step in one array, because every transfer takes time.

        Raises:
          InputError: it breaks the contract.
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
        """Raises an InputError if a step type may not follow the previous one."""
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
    """Raises an InputError for observations that agents do not support."""
    size = int(np.prod(spec.shape))
    if size == 0:
        raise InputError(f"observation_spec has shape {spec.shape}, and so no component: show a constant 1 instead")
    if (len(spec.shape) >= 2 and spec.dtype == np.uint8) or (len(spec.shape) >= 3 and size > _LARGEST_GRID):
        raise InputError(
            f"observation_spec is an image's (shape {spec.shape}, {spec.dtype}), which would take a small LSTM for "
            "every pixel and action: show features of it instead, such as positions or a coarse grid, in a flat array"
        )


def _check_actions(spec: specs.DiscreteArray | specs.BoundedArray) -> None:
    """Raises an InputError for actions that agents do not support."""
    if not isinstance(spec, specs.DiscreteArray) and not np.all(np.isfinite([spec.minimum, spec.maximum])):
        raise InputError(
            "action_spec has no finite bounds, so the size of an action is unknown: give a BoundedArray with a "
            "finite minimum and maximum for every component"
        )
