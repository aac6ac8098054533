"""The kinds of abuse: options of the environments of abuse.py, and what must be said of each."""

from fractions import Fraction
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from tests.environments.abuse import F, L, M, Unreadable


class Abuse(NamedTuple):
    """One kind of abuse.

    Attributes:
      message: a pattern of what is said; None: the environment is taken, and steps.
      options: those of `Abusive` or `AbusiveGym`.
      factory: of dm_env environments; None: it is one of Gymnasium.
    """

    message: str | None
    options: dict[str, Any]
    factory: str | None = "Abusive"


def _dm(message, factory="Abusive", **options):
    return Abuse(message, options, factory)


def _gym(message, **options):
    return Abuse(message, options, None)


NAN, INF = float("nan"), float("inf")
_DUE = "but real numbers are required"
_WHOLE = "showed {} as an observation, but its spec says an integer from 0 to {}"

KINDS = {
    # step types that make no episode
    "last_for_ever": _dm("step type of LAST from a reset, but dm_env requires FIRST", always=L),
    "first_for_ever": _dm("FIRST after FIRST, but dm_env requires MID or LAST", always=F),
    "mid_for_ever": _dm("MID from a reset, but dm_env requires FIRST", always=M),
    "type_7": _dm("gave 7 as its step type", step_type=7),
    "type_minus_1": _dm("gave -1 as its step type", step_type=-1),
    "type_1.5": _dm("gave 1.5 as its step type", step_type=1.5),
    "type_none": _dm("gave None .* as its step type", step_type=None),
    "type_text": _dm("gave 'LAST' .* as its step type", step_type="LAST"),
    "type_nan": _dm("gave nan as its step type", step_type=NAN),
    "type_list": _dm("as its step type, but one number is required", step_type=[1, 1]),
    "type_array": _dm(None, step_type=np.array(2)),
    "type_array_of_1": _dm(None, step_type=np.array([2])),
    "first_in_an_episode": _dm("FIRST after MID", at=2, step_type=F, reward=None, discount=None),
    "last_after_last": _dm("LAST after LAST, but dm_env requires FIRST", at=4, step_type=L, reward=1.0, discount=0.0),
    "mid_after_last": _dm("MID after LAST, but dm_env requires FIRST", at=4, step_type=M, reward=1.0, discount=1.0),
    "no_timestep": _dm("returned None, but dm_env requires a TimeStep", does="none"),
    "plain_tuple": _dm("returned .*, but dm_env requires a TimeStep", does="tuple"),
    "no_timestep_at_reset": _dm("returned None, but dm_env requires a TimeStep", at=0, does="none"),
    # discounts
    "discount_2": _dm("gave 2.0 as its discount, but dm_env requires a number from 0 to 1", discount=2.0),
    "discount_minus_1": _dm("gave -1.0 as its discount", discount=-1.0),
    "discount_nan": _dm("gave nan as its discount", discount=NAN),
    "discount_inf": _dm("gave inf as its discount", discount=INF),
    "discount_none": _dm("gave None .* as its discount", discount=None),
    "discount_none_at_mid": _dm("gave None .* as its discount", at=2, discount=None),
    "discount_text": _dm(f"gave '1' .* as its discount, {_DUE}", discount="1"),
    "discount_of_two": _dm("as its discount, but one number is required", discount=np.ones(2)),
    "fraction_at_last": _dm("gave 0.5 as its discount at LAST", discount=0.5),
    "fraction_at_mid": _dm(None, at=2, discount=0.5),
    "discount_of_shape_1": _dm(None, discount=np.zeros(1)),
    "discount_true": _dm(None, discount=True),
    "discount_0_at_first": _dm("gave 0.0 as its discount at FIRST", at=0, discount=0.0),
    "discount_unreadable": _dm("as its discount, which cannot be converted to an array", discount=Unreadable()),
    # rewards
    "reward_unreadable": _dm(
        "gave a Unreadable as its reward, which cannot be converted to an array", reward=Unreadable()
    ),
    "reward_fraction": _dm(f"as its reward, {_DUE}", reward=Fraction(1, 2)),
    "reward_beyond_float64": _dm("as its reward", reward=np.longdouble("1e4000")),
    "reward_masked": _dm(None, reward=np.ma.masked_array(1.0)),
    "reward_nan": _dm("gave nan as its reward", reward=NAN),
    "reward_inf": _dm("gave inf as its reward", reward=INF),
    "reward_1e30": _dm(r"gave 1e\+30 as its reward", reward=1e30),
    "reward_minus_1e300": _dm(r"gave -1e\+300 as its reward", reward=-1e300),
    "reward_huge_integer": _dm("as its reward", reward=10**400),
    "reward_none": _dm("gave None .* as its reward", reward=None),
    "reward_text": _dm(f"gave '1.5' .* as its reward, {_DUE}", reward="1.5"),
    "reward_bytes": _dm("as its reward", reward=b"1"),
    "reward_complex": _dm("as its reward", reward=1j),
    "reward_dict": _dm("as its reward", reward={"a": 1.0}),
    "reward_empty": _dm("as its reward, but one number is required", reward=[]),
    "reward_of_two": _dm("as its reward, but one number is required", reward=np.ones(2)),
    "reward_ragged": _dm("as its reward, which cannot be converted to an array", reward=[[1.0], [1.0, 2.0]]),
    "reward_of_shape_1_1": _dm("as its reward, but one number is required", reward=np.ones((1, 1))),
    "reward_of_shape_1": _dm(None, reward=np.ones(1)),
    "reward_integer": _dm(None, reward=3),
    "reward_bool": _dm(None, reward=np.True_),
    "reward_at_first": _dm("gave 1.0 as its reward at FIRST", at=0, reward=1.0),
    "reward_nan_at_first": _dm("gave nan as its reward at FIRST", at=0, reward=NAN),
    "reward_0_at_first": _dm(None, at=0, reward=0.0, discount=1.0),
    # values that the dtype cannot hold
    "byte_300": _dm(_WHOLE.format(300, 255), spec="bytes", observation=[300, 0]),
    "byte_minus_1": _dm(_WHOLE.format(-1, 255), spec="bytes", observation=[-1, 0]),
    "byte_0.7": _dm(_WHOLE.format(0.7, 255), spec="bytes", observation=[0.7, 0]),
    "byte_nan": _dm(_WHOLE.format(NAN, 255), spec="bytes", observation=[NAN, 0]),
    "byte_300_of_jax": _dm(_WHOLE.format(300, 255), spec="bytes", observation=jnp.array([300, 0])),
    "discrete_7_of_jax": _dm(_WHOLE.format(7, 5), spec="six", observation=jnp.array(7)),
    "observation_complex_of_jax": _dm(f"complex64.*{_DUE}", observation=jnp.array([1j, 0])),
    "observation_of_jax": _dm(None, observation=jnp.zeros(2)),
    "int8_300": _dm("showed 300 as an observation, .* integer from -128 to 127", spec="short", observation=[300, 0]),
    "int8_0.5": _dm("showed 0.5 as an observation", spec="short", observation=[0.5, 0]),
    "int8_nan": _dm("showed nan as an observation", spec="short", observation=[NAN, 0]),
    "int8_minus_7.0": _dm(None, spec="short", observation=[-7.0, 0.0]),
    "truth_7": _dm(_WHOLE.format(7, 1), spec="truths", observation=[7, 0]),
    "truth_1.0": _dm(None, spec="truths", observation=[1.0, 0.0]),
    "byte_7.0": _dm(None, spec="bytes", observation=[7.0, 0.0]),
    "discrete_7": _dm(_WHOLE.format(7, 5), spec="six", observation=7),
    "discrete_minus_1": _dm(_WHOLE.format(-1, 5), spec="six", observation=-1),
    "discrete_1.5": _dm(_WHOLE.format(1.5, 5), spec="six", observation=1.5),
    "discrete_nan": _dm(_WHOLE.format(NAN, 5), spec="six", observation=NAN),
    "discrete_text": _dm(_DUE, spec="six", observation="5"),
    "discrete_one_hot": _dm(r"shape \(6,\), but its spec says \(\)", spec="six", observation=np.eye(6)[0]),
    "observation_complex": _dm(f"complex128.*{_DUE}", observation=[1j, 0]),
    "observation_text": _dm(_DUE, observation=["1", "2"]),
    "observation_bytes": _dm(_DUE, observation=[b"1", b"2"]),
    "observation_none": _dm(_DUE, observation=None),
    "observation_objects": _dm(_DUE, observation=[None, 1.0]),
    "observation_dates": _dm(_DUE, observation=np.zeros(2, "datetime64[s]")),
    "observation_ragged": _dm("which cannot be converted to an array", observation=[[1.0], [1.0, 2.0]]),
    "observation_nan": _dm("gave nan as its observation, component 1", observation=[0.0, NAN]),
    "observation_inf": _dm("gave inf as its observation, component 0", observation=[INF, 0.0]),
    "observation_beyond_float32": _dm("gave inf as its observation", observation=[1e300, 0.0]),
    "observation_large": _dm(None, observation=[1e30, 0.0]),
    "observation_of_three": _dm(r"shape \(3,\), but its spec says \(2,\)", observation=np.zeros(3)),
    "observation_of_shape_1_2": _dm(r"shape \(1, 2\), but its spec says", observation=np.zeros((1, 2))),
    "observation_unreadable": _dm("which cannot be converted to an array", observation=Unreadable()),
    "observation_of_fields": _dm(_DUE, observation=np.zeros(2, [("a", "f4")])),
    "observation_long_double": _dm(None, observation=np.ones(2, np.longdouble)),
    "observation_a_set": _dm(_DUE, observation={1.0, 2.0}),
    "observation_a_memory_view": _dm(None, observation=memoryview(np.zeros(2, np.float32))),
    "observation_a_number": _dm(r"shape \(\), but its spec says", observation=0.0),
    "observation_a_list": _dm(None, observation=[0, 1]),
    "dict_lacks_a_key": _dm(r"showed \['a'\] as its observation", spec="parts", observation={"a": 1.0}),
    "dict_has_another_key": _dm(
        r"its spec has \['a', 'b'\]", spec="parts", observation={"a": 1.0, "b": np.ones(1), "c": 1}
    ),
    "dict_is_an_array": _dm(r"its spec has \['a', 'b'\]", spec="parts", observation=np.zeros(2)),
    "tuple_is_short": _dm("its spec has 2 parts", spec="pair", observation=(1.0,)),
    "tuple_is_a_number": _dm("its spec has 2 parts", spec="pair", observation=1.0),
    # specs
    "observation_size_by_seed": _dm(r"has observations of .*\(2,\).*, where those of the batch are", spec="seed"),
    "number_of_actions_by_seed": _dm("takes actions of .*, where the batch takes", actions="seed"),
    "one_object_for_all": _dm("is the same object as environment 0", factory="one_for_all"),
    "observation_spec_none": _dm("has observations of None", spec="none"),
    "observation_spec_empty": _dm("no component: show a constant 1", spec="empty"),
    "observation_spec_of_size_0": _dm("no component: show a constant 1", spec="nothing"),
    "observation_spec_of_words": _dm("has observations of StringArray", spec="words"),
    "observation_spec_a_space": _dm(None, spec="space"),
    "action_spec_none": _dm("takes actions of None", actions="none"),
    "action_spec_a_list": _dm("takes actions of ", actions="list"),
    "action_spec_of_size_0": _dm(r"takes actions of shape \(0,\), and so has none", actions="no_box"),
    "action_spec_nan": _dm("among whose bounds is a NaN", actions="nan_box"),
    "action_spec_without_bounds": _dm("takes actions of Array", actions="unbounded"),
    "action_spec_of_10000": _dm("10,000 combinations: podmeta takes at most 1,000", actions="many"),
    "action_spec_of_100": _dm(None, actions="product"),
    "action_spec_one_of_five": _dm(None, actions="one_of_five"),
    "action_spec_endless": _dm("no number is within these bounds", actions="endless"),
    "action_spec_half_bounded": _dm(None, actions="half"),
    "action_spec_vast": _dm(None, actions="vast"),
    "action_spec_a_space": _dm(None, actions="space"),
    "action_spec_a_shifted_space": _dm("does not count from 0", actions="shifted_space"),
    "action_spec_a_space_of_text": _dm("takes actions of the space Text", actions="text_space"),
    # what it does
    "raises_in_init": _dm("factory=.* failed: ZeroDivisionError: in init", does="raise_in_init"),
    "exits_in_init": _dm(r"factory=.* failed: it called sys.exit\(3\)", does="exit_in_init"),
    "raises_in_step": _dm("failed:\n(?s:.*)ZeroDivisionError: in step", does="raise"),
    "raises_in_reset": _dm("failed:\n(?s:.*)ZeroDivisionError: in step", at=0, does="raise"),
    "exits_in_step": _dm(r"failed: it called sys.exit\(0\)", does="exit"),
    "exits_in_reset": _dm(r"failed: it called sys.exit\(0\)", at=0, does="exit"),
    "os_exits_in_init": _dm(r"factory=.* failed: it called os._exit\(0\)", does="os_exit_in_init"),
    "os_exits_in_step": _dm(r"failed: it called os._exit\(0\)", does="os_exit"),
    "os_exits_in_reset": _dm(r"failed: it called os._exit\(0\)", at=0, does="os_exit"),
    "raises_what_cannot_be_shown": _dm("failed:\n(?s:.*)UnprintableError", does="unprintable"),
    "raises_no_exception": _dm("failed:\n(?s:.*)UnreadableError: in step", does="base_exception"),
    "recurses_for_ever": _dm("failed:\n(?s:.*)RecursionError", does="recursion"),
    "returns_a_generator": _dm("returned <generator .*, but dm_env requires a TimeStep", does="generator"),
    "subclass_of_time_step": _dm(None, does="subclass"),
    "changes_the_action": _dm(None, does="change_the_action", actions="half"),
    "raises_1_MB": _dm(r"failed:\n(?s:.*)x \[… 99\d,\d\d\d characters …\] x", does="long"),
    "raises_in_step_and_close": _dm("failed:\n(?s:.*)ZeroDivisionError: in step", does="raise", closes="raise"),
    "raises_in_close": _dm("failed when it was closed: ZeroDivisionError: in close$", closes="raise"),
    "exits_in_close": _dm(r"failed when it was closed: it called sys.exit\(0\)$", closes="exit"),
    "os_exits_in_close": _dm(r"failed when it was closed: it called os._exit\(0\)$", closes="os_exit"),
    # Gymnasium
    "gym_old_step": _gym("from step, but Gymnasium requires", answer=(np.zeros(2), 1.0, False, {})),
    "gym_old_reset": _gym("from reset, but Gymnasium requires", at=0, answer=np.zeros(2)),
    "gym_none_from_step": _gym("from step, but Gymnasium requires", answer=0),
    "gym_info_is_no_dict": _gym("from reset, but Gymnasium requires", at=0, answer=(np.zeros(2), 1)),
    "gym_reward_text": _gym("gave '1' .* as its reward", reward="1"),
    "gym_reward_none": _gym("gave None .* as its reward", reward=None),
    "gym_reward_nan": _gym("gave nan as its reward", reward=NAN),
    "gym_reward_1e30": _gym("gave 1e.30 as its reward", reward=1e30),
    "gym_reward_of_shape_1": _gym(None, reward=np.ones(1)),
    "gym_reward_of_two": _gym("as its reward, but one number is required", reward=np.ones(2)),
    "gym_terminated_none": _gym("gave None .* as its terminated", terminated=None),
    "gym_terminated_text": _gym("gave 'no' .* as its terminated", terminated="no"),
    "gym_truncated_2": _gym("gave 2 as its truncated, but Gymnasium requires True or False", truncated=2),
    "gym_truncated_nan": _gym("gave nan as its truncated", truncated=NAN),
    "gym_truncated_1": _gym(None, truncated=1),
    "gym_observation_nan": _gym("gave nan as its observation", observation=np.array([NAN, 0.0])),
    "gym_observation_nan_at_reset": _gym("at env step 0.*gave nan as its", at=0, observation=np.array([NAN, 0.0])),
    "gym_observation_text": _gym(_DUE, observation="ab"),
    "gym_observation_of_three": _gym(r"shape \(3,\)", observation=np.zeros(3)),
    "gym_raises_in_init": _gym("gymnasium cannot make .* ZeroDivisionError: in init", does="raise_in_init"),
    "gym_exits_in_init": _gym(r"gymnasium cannot make .* it called sys.exit\(0\)", does="exit_in_init"),
    "gym_raises_in_step": _gym("failed:\n(?s:.*)ZeroDivisionError: in step", does="raise"),
    "gym_exits_in_step": _gym(r"failed: it called sys.exit\(0\)", does="exit"),
    "gym_os_exits_in_step": _gym(r"failed: it called os._exit\(0\)", does="os_exit"),
    "gym_multi_discrete": _gym(None, action_space=spaces.MultiDiscrete([3, 4])),
    "gym_multi_discrete_of_10000": _gym("10,000 combinations", action_space=spaces.MultiDiscrete([100, 100])),
    "gym_multi_binary": _gym(None, action_space=spaces.MultiBinary(4)),
    "gym_half_bounded": _gym(None, action_space=spaces.Box(0, np.inf, (1,))),
    "gym_actions_of_text": _gym("takes actions of the space Text", action_space=spaces.Text(3)),
    "gym_actions_of_size_0": _gym("has none to choose from", action_space=spaces.Box(0, 1, (0,))),
    "gym_observations_of_text": _gym("has observations of the space Text", observation_space=spaces.Text(3)),
    "gym_observations_empty": _gym("no component", observation_space=spaces.Dict({})),
    "gym_observations_from_1": _gym(
        "observations of the space Discrete", observation_space=spaces.Discrete(3, start=1)
    ),
}
