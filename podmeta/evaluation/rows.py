"""What rows of meta-tests are about, in words."""

from podmeta.value_types import Json

LEARNS_FROM_REWARD = "learns_from_reward"
"""The metric of a learner's verdict, 1 for yes and 0 for no; see `podmeta.evaluation.verdict`."""


EPISODE_RETURN = "episode_return"
"""The metric of what an episode earns: the mean over the episodes of a lifetime that ended."""


def setting_key(suite: str, environment: str, setting: dict[str, Json]) -> str:
    """A setting in words, which tells it from all others."""
    fields = {"environment": environment, **setting}
    name = str(fields.pop("environment"))
    return ", ".join([f"{suite}: {name}", *(f"{key}={value}" for key, value in fields.items())])


def metric_title(metric: str) -> str:
    """A metric as tables and figures call it. In rows, "return" is the reward of a whole lifetime."""
    return {"return": "lifetime reward", EPISODE_RETURN: "episode return"}.get(metric, metric)


def lower_is_better(metric: str) -> bool:
    """Whether less of a headline metric is better."""
    return metric in ("regret", "failures")
