"""Exports a run as a learned algorithm: θ, and a card with its provenance."""

import dataclasses
import fnmatch
import json
import shlex
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from podmeta.config.schema import EnvironmentConfig, JobConfig, LearnerConfig
from podmeta.config.stages import environments_of, stages_of
from podmeta.errors import InputError
from podmeta.keys import make_key
from podmeta.learners.base import MetaParams
from podmeta.learners.registry import make_learner
from podmeta.storage.checkpoints import sha256_by_instance
from podmeta.storage.json_files import Warn, encode
from podmeta.storage.meta_params_id import MetaParamsId, current_rows, summary_of
from podmeta.storage.meta_test_record import BEST
from podmeta.storage.named_arrays import by_path, differences
from podmeta.storage.pretrained import Card, Pretrained, save_pretrained
from podmeta.storage.provenance import read_provenance
from podmeta.storage.run_files import EVALUATION, EvaluationRow, Summary, read_evaluation, read_metrics, read_summary
from podmeta.storage.trust import read_run
from podmeta.training.meta_params import NEWEST, restore_meta_params

_PACKAGES = ("podmeta", "jax", "jaxlib", "dm-haiku", "optax", "rlax", "gymnax", "numpy")
_WITHOUT_EFFECT = ("run_dir", "resume", "compilation_cache_dir", "checkpoint.*", "logging.*")
"""Keys of a command that have no effect on θ."""


class Exported(NamedTuple):
    """An exported run.

    Attributes:
      card: its card.
      notes: lines about results that are not on the card, because they are of another θ, or do not record theirs.
    """

    card: Card
    notes: list[str]


def export_run(
    run_path: Path,
    target: Path,
    instance: int = 0,
    description: str = "",
    limits: str = "",
    warn: Warn = warnings.warn,
    trust: bool = False,
    checkpoint: str = NEWEST,
) -> Exported:
    """Exports a finished run as a learned algorithm, or the best θ of any run.

    Args:
      run_path: the run directory.
      target: the .npz file to write; its card goes to the same folder.
      instance: which of several instances.
      description: what it is for, for the card.
      limits: what it is known not to do, for the card.
      warn: shows the user a warning.
      trust: whether to run code that the run's config names as its learner, whoever started it.
      checkpoint: which θ; see `podmeta.training.meta_params.restore_meta_params`.

    Returns:
      The card, and what is to be said about it.

    Raises:
      InputError: the run has not ended at its newest θ, has no good checkpoint, no such instance or no best θ, one
        of its files is damaged, it would run code of somebody else's, or the target is no .npz file.
      PodmetaError: a file could not be written.
    """
    if target.suffix != ".npz":
        raise InputError(f"to={target} must end in .npz: the card goes beside it and ends in .json")
    restored = _restore(run_path, instance, warn, trust, checkpoint)
    if checkpoint == BEST:
        card, results_path = _card_so_far(run_path, restored, warn), run_path / BEST
    else:
        summary = _summary(run_path, restored)
        card, results_path = _card(run_path, restored, summary.env_steps, summary.seconds), run_path
    rows, notes = current_rows(read_evaluation(results_path, warn), restored.identity, results_path / EVALUATION)
    card = dataclasses.replace(
        card,
        description=description,
        limits=limits,
        results=_results(rows, instance),
    )
    save_pretrained(target, restored.meta_params, card)
    return Exported(card, notes)


def learned_algorithm_of(
    run_path: Path,
    instance: int = 0,
    warn: Warn = warnings.warn,
    trust: bool = False,
    checkpoint: str = NEWEST,
) -> Pretrained:
    """The learned algorithm that a run holds, also where it has not ended. Its card has no results.

    Args:
      run_path: the run directory.
      instance: which of several instances.
      warn: shows the user a warning.
      trust: whether to run code that the run's config names as its learner, whoever started it.
      checkpoint: which θ; see `podmeta.training.meta_params.restore_meta_params`.

    Raises:
      InputError: the run has no good checkpoint, no such instance or no best θ, one of its files is damaged, or it
        would run code of somebody else's.
    """
    restored = _restore(run_path, instance, warn, trust, checkpoint)
    card = _card_so_far(run_path, restored, warn)
    return Pretrained(run_path.resolve().name, card, restored.job.learner, by_path(restored.meta_params))


class _Restored(NamedTuple):
    """One instance of a run.

    Attributes:
      job: the run's config.
      identity: which θ.
      instance: which of several instances.
      meta_params: θ.
      seed: of the instance.
      seconds: that training had taken when it was saved.
    """

    job: JobConfig
    identity: MetaParamsId
    instance: int
    meta_params: MetaParams
    seed: int
    seconds: float


def _restore(run_path: Path, instance: int, warn: Warn, trust: bool, checkpoint: str) -> _Restored:
    run = read_run(run_path, trust=trust)
    run.check_learner("add --trust (in Python: trust=True)")
    job = run.job
    restored = restore_meta_params(run_path, warn, checkpoint)
    if not 0 <= instance < len(restored.seeds):
        raise InputError(f"instance={instance} does not exist: the run has {len(restored.seeds)}, counted from 0")
    _check_learner(job.learner, restored.meta_params, run_path)
    digests = tuple(sha256_by_instance(restored.meta_params))
    return _Restored(
        job,
        MetaParamsId(restored.updates[instance], digests, in_checkpoint=restored.digests is not None),
        instance,
        jax.tree.map(lambda leaf: np.asarray(leaf[instance]), restored.meta_params),
        int(restored.seeds[instance]),
        restored.seconds,
    )


def _card_so_far(run_path: Path, restored: _Restored, warn: Warn) -> Card:
    """The card of a θ that a run has not ended at."""
    rows = [row for row in read_metrics(run_path, warn) if row.update <= restored.identity.update]
    if not rows:
        return _card(run_path, restored, 0, restored.seconds)
    return _card(run_path, restored, rows[-1].env_steps, min(rows[-1].seconds, restored.seconds))


def _card(run_path: Path, restored: _Restored, env_steps: int, seconds: float) -> Card:
    """What the files of a run say of how θ came to be, without results."""
    provenance = read_provenance(run_path)
    git, digests = provenance.git, restored.identity.sha256
    assert digests is not None
    return Card(
        description="",
        limits="",
        learner=dataclasses.asdict(restored.job.learner),
        trained_on=list(_trained_on(restored.job)),
        command=_command(provenance.command_line),
        seed=restored.seed,
        revision=git.revision + ("+" if git.dirty else "") if git else None,
        versions={name: provenance.packages[name] for name in _PACKAGES if name in provenance.packages},
        devices=provenance.devices,
        num_updates=restored.identity.update,
        env_steps=env_steps,
        seconds=seconds,
        results=[],
        meta_params_sha256=digests[restored.instance],
        file_sha256="",
    )


def _check_learner(config: LearnerConfig, meta_params: MetaParams, run_path: Path) -> None:
    """Checks that θ is of the learner that the config names. Only a learner whose θ fits every size can tell.

    Raises:
      InputError: it is not.
    """

    def shapes(observation_size: int, num_actions: int) -> dict[str, tuple[int, ...]]:
        learner = make_learner(config, (observation_size,), num_actions, num_policy_channels=1)
        return {name: leaf.shape for name, leaf in by_path(jax.eval_shape(learner.init, make_key(0))).items()}

    try:
        of_any_size = shapes(2, 2)
        if of_any_size != shapes(3, 4):
            return
    except InputError:  # a learner of the user's own may take other sizes only
        return
    problem = differences({name: leaf.shape[1:] for name, leaf in by_path(meta_params).items()}, of_any_size)
    if problem is not None:
        raise InputError(
            f"the checkpoint in {run_path} does not fit the learner in its config.yaml: {problem}. Restore the "
            "config that it was saved with"
        )


def _summary(run_path: Path, restored: _Restored) -> Summary:
    """The summary of the θ that is exported."""
    summary = summary_of(run_path, restored.identity)
    if summary is not None:
        return summary
    earlier, update = read_summary(run_path), restored.identity.update
    reason = f"its summary.json is of update {earlier.num_updates:,}" if earlier else "it has no summary.json"
    raise InputError(
        f"{run_path} has not ended at its newest θ, of update {update:,}: {reason}. Run its command again; with "
        f"num_updates={update} it ends where it is"
    )


def _trained_on(job: JobConfig) -> Iterator[dict[str, Any]]:
    """Every environment that the job trains on, by its name and the keys that differ from their defaults."""
    known: list[dict[str, Any]] = []
    for stage in stages_of(job):
        for environment in environments_of(stage.environment):
            described = _brief(environment)
            if described not in known:
                known.append(described)
                yield described


def _brief(environment: EnvironmentConfig) -> dict[str, Any]:
    defaults = type(environment)()
    keys = [field.name for field in dataclasses.fields(environment)]
    always = ("name", "id", "lifetime_length")
    return {
        key: getattr(environment, key)
        for key in keys
        if key in always or getattr(environment, key) != getattr(defaults, key)
    }


def _command(command_line: list[str]) -> str:
    """The command, without what has no effect on θ."""
    arguments = [
        argument
        for argument in command_line[1:]
        if not any(fnmatch.fnmatchcase(argument.partition("=")[0], pattern) for pattern in _WITHOUT_EFFECT)
    ]
    return shlex.join(["podmeta", *arguments])


def _results(rows: Sequence[EvaluationRow], instance: int) -> list[dict[str, Any]]:
    """The rows of meta-tests about one instance, as far as a card has room for them.

    Of every algorithm the headline metric, which comes first, and of the learner by how much it got better and whether
    it learns from reward.
    """
    kept, headlines = [], set()
    for row in rows:
        if row.setting.get("instance", instance) != instance:
            continue
        about = json.dumps([row.suite, row.environment, row.setting, row.algorithm])
        of_learner = row.algorithm == "learner" and row.metric in ("reward_gain", "learns_from_reward")
        if about not in headlines or of_learner:
            kept.append(encode(row))
        headlines.add(about)
    return kept
