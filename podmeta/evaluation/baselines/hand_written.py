"""Hand-written rules as baselines, which a useful learned algorithm must beat."""

import dataclasses

from podmeta.config.schema import EnvironmentConfig, LearnerConfig, OnlineActorCriticConfig, OnlineReinforceConfig
from podmeta.inner_loop import InnerLoop, build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams

_ACTOR_CRITIC = OnlineActorCriticConfig()

HAND_WRITTEN: dict[str, LearnerConfig] = {
    "online_actor_critic": _ACTOR_CRITIC,
    "online_actor_critic_annealed": dataclasses.replace(_ACTOR_CRITIC, annealing=0.2),
    "online_reinforce": OnlineReinforceConfig(),
}
"""The rules by name."""


def hand_written_inner_loop(name: str, environment_config: EnvironmentConfig) -> tuple[InnerLoop, MetaParams]:
    """The rule of that name in an environment, and its numbers as a θ."""
    inner_loop = build_inner_loop(HAND_WRITTEN[name], environment_config)
    return inner_loop, inner_loop.init(make_key(0))
