"""Names of metrics and hyper-parameters in TensorBoard and Weights & Biases, which group tags by what precedes a slash.

`metrics.jsonl`, `evaluation.jsonl` and Prometheus have names without groups.
"""

import re
from collections.abc import Mapping

from podmeta.storage.run_directory import flatten
from podmeta.storage.run_files import EvaluationRow
from podmeta.value_types import Json

TRAIN, EVAL, TIME = "train", "eval", "time"
"""The groups: θ and its fitness; meta-tests; speed, where the time goes, and memory."""

_TIME_METRIC = re.compile(r"(?:\w+_)?(?:seconds?|bytes)(?:_\w+)?|(?:actor|learner)_\w+_share|queue_depth")
_TEST_PREFIX = "test_"
_NOT_IN_TAGS = re.compile(r"[^\w.-]+")


def metric_tag(name: str) -> str:
    """The tag of a metric: its name in its group.

    Args:
      name: as in `metrics.jsonl`; `name/0` or `name/process_0` for one of several values.
    """
    metric = name.partition("/")[0]
    if metric.startswith(_TEST_PREFIX):
        return f"{EVAL}/{name}"
    return f"{TIME if _TIME_METRIC.fullmatch(metric) else TRAIN}/{name}"


def result_tag(row: EvaluationRow) -> str:
    """The tag of a result of a meta-test: `eval/suite/environment/setting/metric`."""
    return tag_in_setting(row.suite, row.environment_id or row.environment, row.setting, row.metric)


def tag_in_setting(suite: str, environment: str, setting: Mapping[str, Json], what: str) -> str:
    """The tag of what a meta-test shows in a setting: `eval/suite/environment/setting/what`."""
    changes = ",".join(f"{key}={value}" for key, value in setting.items())
    parts = (suite, environment, changes, what)
    return "/".join([EVAL, *(_NOT_IN_TAGS.sub("_", part) for part in parts)])


def hyper_parameters(config: Mapping[str, Json]) -> dict[str, bool | int | float | str]:
    """The numbers, flags and words of a nested config, by dotted key. Lists, and keys without a value, are left out."""
    return {key: value for key, value in flatten(config).items() if isinstance(value, bool | int | float | str)}
