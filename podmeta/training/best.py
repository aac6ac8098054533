"""Keeps the θ with the best meta-test during training, and says when a job stops early."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from podmeta.architectures.base import SlotLifetimes, TrainingState
from podmeta.config.periodic_tests import describe_periodic_tests
from podmeta.config.schema import JobConfig
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.outer.base import OuterState
from podmeta.storage.checkpoints import Checkpoints, sha256_by_instance
from podmeta.storage.json_files import Warn
from podmeta.storage.meta_test_record import BEST, MetaTestRecord, improved, reason_to_stop, with_meta_test
from podmeta.storage.named_arrays import filled
from podmeta.value_types import AnyArray

MEAN_REWARD = "test_reward_mean"
"""The metric of a meta-test during training: mean reward per env step of the lifetimes, and over all settings."""


class StateWithBest(NamedTuple):
    """A `TrainingState` and the best θ, as a checkpoint holds them.

    Attributes:
      outer, lifetimes: as in `TrainingState`.
      best: [num_instances, ...] the θ of every instance's best meta-test.
    """

    outer: OuterState
    lifetimes: SlotLifetimes
    best: MetaParams


class BestMetaParams:
    """The best θ of a job so far. Only the first of several processes keeps it.

    Attributes:
      record: of the meta-tests so far; None before the first.
    """

    def __init__(
        self, job: JobConfig, record: MetaTestRecord | None = None, meta_params: MetaParams | None = None
    ) -> None:
        """Goes on from an earlier start.

        Args:
          job: the job.
          record: of the meta-tests of earlier starts.
          meta_params: [num_instances, ...] the θ that it names, on the host.
        """
        self._job = job
        self.record = record
        self._meta_params = meta_params

    def note(self, update: int, tested: Mapping[str, AnyArray], meta_params: MetaParams, counts: bool) -> None:
        """Notes a meta-test.

        Args:
          update: updates done.
          tested: its metrics, with `MEAN_REWARD`.
          meta_params: [num_instances, ...] the θ tested.
          counts: whether early stopping counts it.
        """
        scores = np.atleast_1d(np.asarray(tested[MEAN_REWARD], np.float64)).tolist()
        better = np.array(improved(self.record, scores))
        tests = describe_periodic_tests(self._job) if self.record is None else self.record.tests
        digests = sha256_by_instance(meta_params)
        self.record = with_meta_test(self.record, tests, update, scores, digests, counts)
        if better.any():
            # A copy: the buffers of the state are used again.
            new = jax.tree.map(np.array, jax.device_get(meta_params))
            old = new if self._meta_params is None else self._meta_params
            self._meta_params = jax.tree.map(
                lambda new, old: np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old), new, old
            )

    def reason_to_stop(self) -> str:
        """Why the job stops now, before its last update, in words; "" if it does not."""
        return reason_to_stop(self.record, self._job.evaluation.stop_after)

    def added_to(self, state: TrainingState) -> PyTree:
        """What a checkpoint holds."""
        return state if self._meta_params is None else StateWithBest(*state, self._meta_params)


def restore_best(job: JobConfig, checkpoints: Checkpoints, expected: MetaParams, tell: Warn) -> BestMetaParams:
    """The best θ in the newest good checkpoint.

    Args:
      job: the job. If it tests on something else now, scores do not compare: the best θ is looked for anew.
      checkpoints: of the run.
      expected: [num_instances, ...] a θ of the right structure, shapes and types.
      tell: shows the user a line.

    Raises:
      InputError: its arrays are too large for this machine, or of other shapes than θ, or all checkpoints are broken.
    """
    restored = checkpoints.restore_latest_arrays((BEST,))
    record = restored.metadata.meta_tests if restored else None
    if restored is None or record is None:
        return BestMetaParams(job)
    if job.evaluation.every_updates > 0 and record.tests != describe_periodic_tests(job):
        tell("the meta-tests during training differ from the earlier ones: the best θ is looked for anew")
        return BestMetaParams(job)
    arrays = {"/".join(keys): array for keys, array in restored.tree.items()}
    try:
        return BestMetaParams(job, record, filled(expected, arrays))
    except ValueError as error:
        raise InputError(
            f"the best θ in the checkpoint of update {restored.step} in {checkpoints.directory} does not fit the job: "
            f"{error}. Delete that checkpoint, and the one before it is taken"
        ) from error
