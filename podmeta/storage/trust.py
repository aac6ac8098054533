"""Trust in code that a run's config names: only the user may name code to run.

A run directory is data, but its environments, learner and outer loop may need code: a factory, a module that registers
them, a file. Such a key of a run's config is used only if the user has started the run, repeats the key on the command
line, or adds `--trust`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser

from podmeta.config.compose import job_from_content
from podmeta.config.paths import split_paths
from podmeta.config.resolve import EvaluationSetting, evaluation_settings
from podmeta.config.run_config import read_config_file
from podmeta.config.schema import JobConfig, LearnerConfig
from podmeta.config.shorthand import texts_of
from podmeta.config.stages import environments_of, stages_of
from podmeta.errors import InputError
from podmeta.storage.signature import is_signed

_GROUPS = ("learner", "environment", "outer", "stages", "evaluation")
_MAX_TEXT = 200  # characters
_CURE = "repeat the key on the command line, or add --trust"


class RunJob(NamedTuple):
    """The job of a run, and whether it may name code.

    Attributes:
      run_path: the run directory.
      job: its config, with the overrides of this command.
      written: its config as it was written.
      is_trusted: whether the user has started the run or trusts it.
      own_texts: the strings that the user has given to keys of environments in this command.
    """

    run_path: Path
    job: JobConfig
    written: bytes
    is_trusted: bool
    own_texts: frozenset[str]

    def check_whole(self) -> None:
        """Checks that all of the job may be made: learner, outer loops, and environments, the meta-test's included.

        Raises:
          InputError: one names code, and the run is not the user's.
        """
        for stage in stages_of(self.job):
            self._refuse(_foreign("outer.", stage.outer.code_texts(), self.own_texts), cure="add --trust")
        trained = [environment for stage in stages_of(self.job) for environment in environments_of(stage.environment)]
        settings = [EvaluationSetting(environment, {}) for environment in trained]
        self.check([*settings, *evaluation_settings(self.job)], cure="add --trust")

    def check(
        self, settings: Iterable[EvaluationSetting], cure: str = _CURE, own_texts: frozenset[str] = frozenset()
    ) -> None:
        """Checks that the learner and environments may be made.

        Args:
          settings: of the planned meta-test.
          cure: how a user who trusts the run can proceed.
          own_texts: further strings that come from the user.

        Raises:
          InputError: one names code, and the run is not the user's.
        """
        self.check_learner(cure)
        self._refuse(_named_code(settings, self.own_texts | own_texts), cure)

    def check_learner(self, cure: str = _CURE) -> None:
        """Checks that the learner may be made.

        Args:
          cure: how a user who trusts the run can proceed.

        Raises:
          InputError: it names code, and the run is not the user's.
        """
        self._refuse(_foreign("learner.", self.job.learner.code_texts(), self.own_texts), cure)

    def _refuse(self, named: str | None, cure: str) -> None:
        if named is not None and not self.is_trusted:
            raise InputError(
                f"{self.run_path}: {named} names code to run or a file to open, and the run is not one that you have "
                f"started here, or its config.yaml has changed. If you trust it, {cure}"
            )


def read_run(run_path: Path, overrides: Iterable[str] = (), trust: bool = False) -> RunJob:
    """Reads the config of a run.

    Args:
      run_path: the run directory.
      overrides: keys to change, as `compose_job` takes them.
      trust: whether the user trusts it, whoever made it.

    Raises:
      InputError: it is not a run directory, or a key or value is wrong.
    """
    path, given = run_path / "config.yaml", list(overrides)
    written = read_config_file(path)
    job = job_from_content(written, path, given)
    return RunJob(run_path, job, written, trust or is_signed(run_path, written), _texts_of(given))


def check_card(
    agent: str,
    learner: LearnerConfig,
    settings: Iterable[EvaluationSetting] = (),
    own_texts: frozenset[str] = frozenset(),
) -> None:
    """Checks that the learner and the environments may be made that the card of a learned algorithm describes.

    Args:
      agent: its name.
      learner: the learner on the card.
      settings: of the planned meta-test.
      own_texts: strings that come from the user.

    Raises:
      InputError: one names code.
    """
    named, cure = _foreign("learner.", learner.code_texts(), frozenset()), ""
    if named is None:
        named, cure = _named_code(settings, own_texts), "; or choose another suite"
    if named is not None:
        raise InputError(
            f"the card of {agent}: {named} names code to run or a file to open. If you trust it, add --trust (in "
            f"Python: trust=True){cure}"
        )


def _named_code(settings: Iterable[EvaluationSetting], own_texts: frozenset[str]) -> str | None:
    """The keys of the first environment that names code, and what they say; None if none does."""
    for environment, changes in settings:
        texts = environment.code_texts()
        place = "environment." if changes.keys().isdisjoint({"environment", *_fields(texts)}) else "a setting's "
        foreign = _foreign(place, texts, own_texts)
        if foreign is not None:
            return foreign
    return None


def _foreign(place: str, texts: Mapping[str, str], own_texts: frozenset[str]) -> str | None:
    """Keys and texts that the user has not given; None if there are none."""
    foreign = {key: text for key, text in texts.items() if text not in own_texts}
    return ", ".join(f"{place}{key}={_brief(text)}" for key, text in foreign.items()) or None


def _texts_of(overrides: list[str]) -> frozenset[str]:
    for_hydra, _ = split_paths(overrides)
    parsed = OverridesParser.create().parse_overrides(for_hydra)
    given = [override.value() for override in parsed if override.key_or_group.partition(".")[0] in _GROUPS]
    return texts_of(given)


def _fields(keys: Iterable[str]) -> set[str]:
    """The fields of an environment that dotted keys are of."""
    return {key.partition(".")[0] for key in keys}


def _brief(text: str) -> str:
    written = repr(text)
    return written if len(written) <= _MAX_TEXT else f"{written[:_MAX_TEXT]}…"
