"""The algorithms that a meta-test compares: the learner, controls, references and other learners."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeGuard

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from podmeta.config.schema import BanditConfig, EnvironmentConfig, LearnerConfig
from podmeta.environments.host.registry import lives_on_host
from podmeta.environments.registry import make_environment
from podmeta.environments.transforms.order import changes_rewards
from podmeta.errors import InputError
from podmeta.evaluation.baselines import from_scratch
from podmeta.evaluation.baselines.controls import (
    ZEROED_INPUTS,
    alternating_inner_loop,
    deprivable_inner_loop,
    deprived,
    random_inner_loop,
)
from podmeta.evaluation.baselines.hand_written import HAND_WRITTEN, hand_written_inner_loop
from podmeta.evaluation.baselines.room_sweep import SWEEP, is_dark_room, sweep_inner_loop
from podmeta.evaluation.baselines.tabular_q import TABULAR_Q, is_tabular, tabular_q_inner_loop
from podmeta.evaluation.on_host import trace_on_host
from podmeta.evaluation.rollouts import measure
from podmeta.evaluation.verdict import BASE_ALONE
from podmeta.inner_loop import InnerLoop, build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.learners.symmetric import without_lstms

ALWAYS_THERE = ("learner", "random", "thompson", "ucb1", "gittins", "gittins_approximate")
"""The learner, and what it is compared with without being asked to, on bandits or anywhere."""

REFERENCES = ("alternation", *ZEROED_INPUTS, BASE_ALONE, *HAND_WRITTEN, TABULAR_Q, SWEEP, *from_scratch.ALGORITHMS)
"""What a learner may be compared with: controls, hand-written rules and policies, and ordinary RL from scratch."""


class Companion(NamedTuple):
    """Another learner that is tested on the same tasks, such as MetaRNN besides a symmetric learner.

    Attributes:
      name: what its rows call it.
      meta_params: its θ.
      learner_config: the learner that this θ belongs to.
    """

    name: str
    meta_params: MetaParams
    learner_config: LearnerConfig


def inner_loops(
    meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig, names: Sequence[str]
) -> dict[str, tuple[InnerLoop, MetaParams]]:
    """By name, what lives in an inner loop, and its θ: "learner", "random", and the controls and rules among `names`.

    The learner and the controls that are the same θ share one inner loop, and so one compiled program.

    A learner without a hand-written base has none to leave alone: `BASE_ALONE` is left out for it. `TABULAR_Q` is left
    out where observations are not one-hot, and `SWEEP` outside dark rooms.
    """
    learner = deprivable_inner_loop(learner_config, environment_config)
    loops: dict[str, tuple[InnerLoop, MetaParams]] = {
        "learner": (learner, deprived(meta_params)),
        "random": (random_inner_loop(environment_config), None),
    }
    for name in names:
        if name == "alternation":
            loops[name] = (alternating_inner_loop(environment_config), None)
        elif name in ZEROED_INPUTS:
            loops[name] = (learner, deprived(meta_params, ZEROED_INPUTS[name]))
        elif name in HAND_WRITTEN:
            loops[name] = hand_written_inner_loop(name, environment_config)
        elif name == BASE_ALONE and learner_config.has_base:
            loops[name] = (learner, deprived(without_lstms(meta_params)))
        elif name == TABULAR_Q and is_tabular(environment_config):
            loops[name] = (tabular_q_inner_loop(environment_config), None)
        elif name == SWEEP and is_dark_room(environment_config):
            loops[name] = (sweep_inner_loop(environment_config), None)
    return loops


def is_bernoulli_bandit(environment_config: EnvironmentConfig) -> TypeGuard[BanditConfig]:
    """Whether algorithms for Bernoulli bandits can be compared there: a bandit of 0 and 1 that no transform changes."""
    is_bernoulli = isinstance(environment_config, BanditConfig) and environment_config.rewards == "bernoulli"
    return is_bernoulli and not changes_rewards(environment_config)


def arm_probabilities(environment_config: BanditConfig) -> Callable[[PRNGKeyArray], Float[Array, "num_arms"]]:
    """The arm probabilities that a learner meets in the lifetime of a key, padding left out."""
    inner_loop = random_inner_loop(environment_config)
    expected_rewards = make_environment(environment_config).expected_rewards

    def draw(key: PRNGKeyArray) -> Float[Array, "num_arms"]:
        lifetime = inner_loop.reset(None, key)
        probabilities = expected_rewards(lifetime.task, lifetime.environment_state)
        assert probabilities is not None  # every bandit knows them
        return probabilities[: environment_config.num_arms]

    return draw


def fits(meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig) -> bool:
    """Whether θ, or its shapes, fit an environment."""

    def shapes(tree: MetaParams) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, tree)

    inner_loop = build_inner_loop(learner_config, environment_config)
    return shapes(meta_params) == shapes(jax.eval_shape(inner_loop.init, make_key(0)))


def check_fit(meta_params: MetaParams, learner_config: LearnerConfig, environment_config: EnvironmentConfig) -> None:
    """Checks that θ, or its shapes, fit an environment.

    Raises:
      InputError: it cannot.
    """
    if not fits(meta_params, learner_config, environment_config):
        raise InputError(
            f"θ of learner.name={learner_config.name} does not fit environment.name={environment_config.name} "
            "with the sizes of evaluation.settings. Test it on the sizes it was trained on, or train "
            "learner=symmetric, whose θ fits every number of observations and actions"
        )


def check_references(references: Sequence[str]) -> None:
    """Checks that the references of a suite exist.

    Raises:
      InputError: one does not.
    """
    for name in references:
        if name not in REFERENCES:
            raise InputError(f"references: there is no {name!r}; choose from {', '.join(REFERENCES)}")


def check_setting(
    meta_params: MetaParams,
    learner_config: LearnerConfig,
    environment_config: EnvironmentConfig,
    references: Sequence[str] = (),
) -> None:
    """Checks that a meta-test can run, by tracing every program of it. Nothing is computed.

    Args:
      meta_params: θ, or its shapes.
      learner_config: the learner that θ belongs to.
      environment_config: where it is tested.
      references: names in `REFERENCES`.

    Raises:
      InputError: θ does not fit, the environment cannot be made, or a reference does not exist there.
    """
    check_fit(meta_params, learner_config, environment_config)
    check_references(references)
    for inner_loop, own_params in inner_loops(meta_params, learner_config, environment_config, references).values():
        trace_lifetime(own_params, inner_loop, environment_config)
    if lives_on_host(environment_config):
        return
    key = make_key(0)
    for name in references:
        if name in from_scratch.ALGORITHMS:
            jax.eval_shape(from_scratch.make_lifetime(name, environment_config), key)
    if is_bernoulli_bandit(environment_config):
        jax.eval_shape(arm_probabilities(environment_config), key)


def trace_lifetime(meta_params: MetaParams, inner_loop: InnerLoop, environment_config: EnvironmentConfig) -> None:
    """Traces a lifetime of θ, or its shapes, as a meta-test measures it. Nothing is computed.

    Args:
      meta_params: θ, or its shapes.
      inner_loop: the learner in the environment.
      environment_config: the environment.

    Raises:
      InputError: the environment cannot be made, or does not step.
    """
    if lives_on_host(environment_config):
        trace_on_host(environment_config, inner_loop, meta_params)
    else:
        jax.eval_shape(lambda theta, key: measure(inner_loop.rollout(theta, key)), meta_params, make_key(0))
