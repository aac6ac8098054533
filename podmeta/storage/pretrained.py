"""Learned algorithms as files: θ in NAME.npz, and its card in NAME.json.

`init_from` also reads the .npz file. Those that ship with podmeta are in podmeta/pretrained/.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import OmegaConf

from podmeta.config.messages import no_such_choice
from podmeta.config.run_config import literal
from podmeta.config.schema import GROUPS, LearnerConfig
from podmeta.config.validate import check_fields
from podmeta.data_files import most_array_bytes, read_named_data
from podmeta.errors import InputError
from podmeta.learners.base import MetaParams
from podmeta.storage.files import reason, write_atomically
from podmeta.storage.json_files import read_object
from podmeta.storage.named_arrays import filled, from_npz, to_npz
from podmeta.value_types import Json

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Card:
    """The card of a learned algorithm.

    Attributes:
      description: its purpose, in a sentence.
      limits: its known limits.
      learner: the learner's config.
      trained_on: the environments, each with the keys in which it differs from its defaults.
      command: what trained it.
      seed: of the training.
      revision: git revision that it was trained at; with a + where files differed from it; None outside a checkout.
      versions: of the packages that computed it.
      devices: that it was trained on, in words.
      num_updates: of θ.
      env_steps: of the training, all instances together.
      seconds: that training took, compilation left out.
      results: rows of the run's evaluation.jsonl: headline metrics, and the learner's gain within lifetimes.
      meta_params_sha256: of θ, as in the run's summary.json.
      file_sha256: of the .npz file, as `sha256sum` prints it.
      format: of card and file.
    """

    description: str
    limits: str
    learner: dict[str, Json]
    trained_on: list[dict[str, Json]]
    command: str
    seed: int
    revision: str | None
    versions: dict[str, str]
    devices: list[str]
    num_updates: int
    env_steps: int
    seconds: float
    results: list[dict[str, Json]]
    meta_params_sha256: str
    file_sha256: str
    format: int = FORMAT


@dataclasses.dataclass(frozen=True)
class _Format:
    """What cards of every format have."""

    format: int


class Pretrained(NamedTuple):
    """A learned algorithm, read from its files.

    Attributes:
      name: the files' name without an ending.
      card: what is known about it.
      learner_config: the learner that its θ belongs to.
      arrays: θ, by path.
    """

    name: str
    card: Card
    learner_config: LearnerConfig
    arrays: dict[str, np.ndarray]

    def meta_params(self, expected: MetaParams) -> MetaParams:
        """θ in the structure that a learner expects.

        Args:
          expected: a θ of that learner, or its shapes.

        Raises:
          InputError: it does not fit, because a recurrent learner's θ is tied to its sizes.
        """
        try:
            return filled(expected, self.arrays)
        except ValueError as error:
            raise InputError(
                f"the θ of {self.name} does not fit these observations and actions ({error}): that of "
                f"learner.name={self.learner_config.name} is tied to the sizes it was trained on. Take an algorithm of "
                "learner.name=symmetric, which fits any"
            ) from error


def pretrained_directory() -> Path:
    """The folder of the learned algorithms that ship with podmeta."""
    return Path(__file__).resolve().parents[1] / "pretrained"


def list_pretrained() -> list[str]:
    """The names of the learned algorithms that ship with podmeta."""
    return sorted(path.stem for path in pretrained_directory().glob("*.npz"))


def load_pretrained(source: str) -> Pretrained:
    """Reads a learned algorithm.

    Args:
      source: the name of one that ships with podmeta, or the path of an .npz file that `podmeta export` has made.

    Raises:
      InputError: there is none of that name, or a file is missing or damaged.
    """
    path = Path(source)
    if path.suffix != ".npz":
        if source not in list_pretrained():
            raise InputError(
                no_such_choice("agent", source, list_pretrained())
                + ". Or name an .npz file, which `podmeta export run=DIR to=FILE.npz` makes of a run"
            )
        path = pretrained_directory() / f"{source}.npz"
    card, learner_config = _read_card(path.with_suffix(".json"))
    try:
        content = read_named_data(path, most_array_bytes())
    except OSError as error:
        raise InputError(f"agent={path} cannot be read: {reason(error)}") from error
    if hashlib.sha256(content).hexdigest() != card.file_sha256:
        raise InputError(
            f"{path} is damaged: its SHA-256 is not the file_sha256 of its card, {path.with_suffix('.json').name}. "
            "Install podmeta again, or export the run again"
        )
    try:
        arrays = from_npz(content)
    except ValueError as error:
        raise InputError(f"{path} holds no θ: {reason(error)}. Export the run again") from error
    return Pretrained(path.stem, card, learner_config, arrays)


def save_pretrained(path: Path, meta_params: MetaParams, card: Card) -> None:
    """Writes a learned algorithm, its card last; the card's `file_sha256` is put right.

    Args:
      path: the .npz file; the card goes to the same folder.
      meta_params: θ.
      card: what is known about it.

    Raises:
      PodmetaError: a file could not be written.
    """
    content = to_npz(meta_params)
    card = dataclasses.replace(card, file_sha256=hashlib.sha256(content).hexdigest())
    write_atomically(path, content)
    text = json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False)
    write_atomically(path.with_suffix(".json"), text + "\n")


def _read_card(path: Path) -> tuple[Card, LearnerConfig]:
    cure = "A learned algorithm needs its card: export the run again"
    found = read_object(path, _Format, cure).format
    if found != FORMAT:
        raise InputError(f"{path} is of format {found}, and this podmeta reads format {FORMAT}: export it again")
    card = read_object(path, Card, cure)
    try:
        schema = GROUPS["learner"][card.learner["name"]]
        learner_config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), literal(card.learner)))
    except Exception as error:  # OmegaConf raises a different one for every way in which a config is none
        raise InputError(f"{path} is damaged: learner: {reason(error)}. {cure}") from error
    assert isinstance(learner_config, LearnerConfig)
    try:
        check_fields(learner_config, "learner.")
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}. {cure}") from error
    return card, learner_config
