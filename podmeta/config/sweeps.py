"""The jobs that a command line with several values for a key stands for."""

import itertools

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from podmeta.config.messages import explain_overrides
from podmeta.errors import InputError


def expand_sweep(overrides: list[str]) -> list[list[str]]:
    """Every combination of the values swept over, as the overrides of one job each; the last key changes fastest.

    Hydra's forms are understood: seed=0,1,2 and seed=range(0,3), learner=symmetric,recurrent.

    Raises:
      InputError: an override cannot be read, or none has several values.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException as error:
        raise InputError(explain_overrides(error, overrides)) from error
    if not any(override.is_sweep_override() for override in parsed):
        raise InputError("--multirun needs a key with several values, such as seed=0,1,2")
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in parsed
    ]
    return [list(combination) for combination in itertools.product(*choices)]
