"""The jobs that a command line with several values for a key stands for."""

import itertools

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from podmeta.config.messages import explain_overrides
from podmeta.config.paths import PATH_KEYS
from podmeta.errors import InputError


def expand_sweep(overrides: list[str]) -> list[list[str]]:
    """Every combination of the values swept over, as the overrides of one job each; the last key changes fastest.

    Hydra's forms are understood: seed=0,1,2 and seed=range(0,3), learner=symmetric,recurrent. A path with a comma is
    one value, except for init_from.

    Raises:
      InputError: an override cannot be read, or none has several values.
    """
    choices = [_choices_of(override) for override in overrides]
    if all(len(values) == 1 for values in choices):
        raise InputError("--multirun needs a key with several values, such as seed=0,1,2")
    return [list(combination) for combination in itertools.product(*choices)]


def _choices_of(override: str) -> list[str]:
    """The overrides that one of a sweep stands for, each with one value."""
    key = override.partition("=")[0]
    if key in PATH_KEYS and key != "init_from":
        return [override]
    try:
        parsed = OverridesParser.create().parse_overrides([override])[0]
    except OverrideParseException as error:
        if key in PATH_KEYS:
            return [override]
        raise InputError(explain_overrides(error, [override])) from error
    if not parsed.is_sweep_override():
        return [override]
    return [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
