"""Meta-tests of a learned algorithm without a run: its job, its θ, and the folder of its rows."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from podmeta.config.resolve import resolve_job
from podmeta.config.schema import JobConfig, LearnerConfig, MixtureConfig, loose
from podmeta.config.suites import Suite
from podmeta.environments.kinds import with_known_settings
from podmeta.errors import InputError
from podmeta.inner_loop import build_inner_loop
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.learners.registry import as_agent
from podmeta.storage.files import reason
from podmeta.storage.pretrained import Pretrained
from podmeta.storage.run_files import AGENT, TestedAgent, read_tested_agent, write_tested_agent


def agent_job(pretrained: Pretrained, job: JobConfig) -> JobConfig:
    """The job with the learner that an agent has, and the environments that its card says it was trained on.

    Raises:
      InputError: an environment on the card does not exist.
    """
    entries: list[Any] = [
        {"environment": described, "label": f"{described.get('name')}_{index}"}
        for index, described in enumerate(pretrained.card.trained_on)
    ]
    try:
        return resolve_job(
            dataclasses.replace(
                job, learner=as_agent(pretrained.learner_config), environment=loose(MixtureConfig)(entries=entries)
            )
        )
    except InputError as error:
        raise InputError(f"the card of {pretrained.name} is damaged: trained_on: {error}") from error


def agent_meta_params(pretrained: Pretrained, learner_config: LearnerConfig, suite: Suite) -> MetaParams:
    """θ as that of one instance, [1, ...], in the structure that the learner has in the first setting that it fits.

    Raises:
      InputError: it fits none of the suite's settings.
    """
    if not suite.settings:
        raise InputError(
            f"suite={suite.name} needs the environments that θ was trained on, which the card of {pretrained.name} "
            "does not name: choose another suite"
        )
    error = None
    for setting in with_known_settings(suite).settings:
        expected = jax.eval_shape(build_inner_loop(learner_config, setting.environment).init, make_key(0))
        try:
            return jax.tree.map(lambda leaf: np.asarray(leaf)[None], pretrained.meta_params(expected))
        except InputError as misfit:
            error = misfit
    raise InputError(f"suite={suite.name}: {error}")


def open_folder(path: Path, pretrained: Pretrained) -> None:
    """Readies the folder of an agent's rows: a new or empty one, or one of the same θ.

    Raises:
      InputError: something else is there, or it cannot be made.
    """
    ours = TestedAgent(pretrained.name, pretrained.card.meta_params_sha256)
    cure = "name another folder: to=DIR"
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_empty = not any(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} cannot be the folder of an evaluation ({reason(error)}): {cure}") from error
    if is_empty:
        write_tested_agent(path, ours)
    elif not (path / AGENT).exists():
        raise InputError(f"{path} holds other files than those of an evaluation of agent={pretrained.name}: {cure}")
    elif read_tested_agent(path).meta_params_sha256 != ours.meta_params_sha256:
        raise InputError(f"{path} holds the evaluation of another θ than that of agent={pretrained.name}: {cure}")
