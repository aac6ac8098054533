"""Messages about a wrong key, type or name."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from podmeta.config.presets import is_file_name, list_options
from podmeta.config.schema import GROUPS, schema_fields
from podmeta.config.wrong_values import Field, explain_value, shown
from podmeta.errors import InputError

_MOST_SUGGESTED = 3
_ALSO_CALLED = {
    "num_updates": ("total_timesteps", "timesteps", "total_steps", "max_steps", "iterations", "generations", "epochs"),
    "run_dir": ("output_dir", "save_dir", "log_dir", "logdir"),
    "experiment_name": ("exp_name",),
    "init_from": ("load", "load_from", "pretrained"),
    "devices": ("device",),
    "environment": ("env", "env_name"),
    "environment.id": ("env_id",),
    "environment.lifetime_length": ("episode_length", "trial_length", "horizon"),
    "evaluation": ("eval", "test"),
    "evaluation.num_tasks": ("eval_episodes", "num_eval_episodes"),
    "learner": ("agent", "policy", "model", "network"),
    "learner.hidden_size": ("hidden_dim", "hidden_units", "num_hidden"),
    "outer": ("algo", "algorithm", "optimizer"),
    "outer.learning_rate": ("lr",),
    "outer.population_size": ("num_envs", "n_envs", "popsize", "pop_size", "population"),
    "outer.num_lifetimes": ("num_envs", "n_envs", "batch_size"),
    "outer.unroll_length": ("num_steps", "n_steps", "rollout_length"),
    "outer.noise_std": ("sigma", "std"),
    "outer.discount": ("gamma",),
    "outer.entropy_cost": ("ent_coef", "entropy_coef"),
    "architecture.actor_threads": ("num_actors", "num_workers"),
    "logging": ("log",),
}
"""By key, its names in other libraries."""

_SET_ONE = "Set its keys one by one, as in evaluation.num_tasks=100."

HOW_TO_OVERRIDE = "Write KEY=VALUE, with quotes around it where the value has brackets, braces or commas"


def check_form(override: str) -> None:
    """Checks that an override sets a key of podmeta's, and uses none of Hydra's other forms.

    Raises:
      InputError: it does not.
    """
    written, _, value = override.partition("=")
    key = written.lstrip("+~")
    if not key:
        raise InputError(f"{override!r} names no key. {HOW_TO_OVERRIDE}")
    if written.startswith("~"):
        raise InputError(f"{override!r} deletes a key, and every key has a value: leave it out to get its default")
    if "@" in key:
        without = f"{key.partition('@')[0]}={value}"
        raise InputError(f"{override!r} names a package, and podmeta does not use Hydra's packages: write {without}")
    if key.replace("/", ".").partition(".")[0] == "hydra":
        raise InputError(f"{key} is a key of Hydra's own, and podmeta does not use these. It has run_dir")
    if written.startswith("+") and (key in GROUPS or key == "experiment"):
        raise InputError(_adds_what_exists(override))


def explain_overrides(error: Exception, overrides: list[str]) -> str:
    """What was wrong with a command line, in a line or two, with the nearest names that exist."""
    for override in overrides:
        group, _, name = override.partition("=")
        if group == "evaluation" and not name.startswith("{"):
            return f"{override} sets all keys of the meta-test. {_SET_ONE} A suite is for `podmeta evaluate suite=…`"
        choices = list_options(group) if group.isidentifier() and "=" in override else {}
        if choices and name not in choices and not is_file_name(name) and not name.startswith("{"):
            return no_such_choice(group, name, choices)
    if str(error).startswith(("Ambiguous value", "Sweep parameters")):  # Hydra's words for several values of a key
        return has_several_values(next(override for override in overrides if _is_sweep(override)))
    if str(error).startswith("Could not append to config"):  # Hydra's words for + before a key that is there
        return _adds_what_exists(next(override for override in overrides if override.startswith("+")))
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read. {HOW_TO_OVERRIDE}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return no_such_choice(group, name, list_options(group))
    # Hydra links its error to the one behind it as a cause where the command line is wrong, but not where a file is.
    if isinstance(error, HydraException) and isinstance(error.__context__, OmegaConfBaseException):
        error = error.__context__
    where_to_look = "`podmeta train --help` lists the experiments and groups"
    fields: dict[str, Field] = {}
    for key, field in schema_fields():
        fields.setdefault(key, field)
    return explain(error, fields, where_to_look, overrides=overrides)


def explain(
    error: Exception,
    fields: Mapping[str, Field],
    where_to_look: str,
    prefix: str = "",
    overrides: Iterable[str] = (),
) -> str:
    """What was wrong with a key or its value, in a line or two.

    Args:
      error: what OmegaConf or Hydra raised.
      fields: the keys there are, and what the schema says of them.
      where_to_look: a sentence about them, for a user who has mistaken one.
      prefix: what the user writes before a key.
      overrides: what the user wrote.
    """
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ if isinstance(cause.__cause__, Exception) else error
    message = str(cause).splitlines()[0]
    key = str(getattr(cause, "full_key", None) or "")
    if not key:
        return str(error).splitlines()[0]
    if "not in" in message or "is not in struct" in message:
        if (owners := _owners(prefix + key)) is not None:
            return f"unknown config key {prefix + key!r}: {owners}"
        return f"unknown config key {prefix + key!r}.{_did_you_mean(_similar_keys(key, fields))} {where_to_look}"
    if not isinstance(cause, OmegaConfBaseException):
        return f"{prefix}{key}: {message}"
    return explain_value(cause, fields, prefix, _written(key, overrides))


def unknown_key(key: str) -> str:
    """That a key does not exist, and which choices of its group would have it."""
    return f"unknown config key {key!r}" + (
        f": {owners}" if (owners := _owners(key)) is not None else ", which is not in the schema: remove it"
    )


def has_several_values(override: str) -> str:
    """That an override gives several values to sweep over, where one is wanted."""
    return (
        f"{override} gives several values: write [1, 2] for a list, put quotes around text that has commas, or train a "
        "job for each of them: podmeta train … --multirun"
    )


def no_such_choice(key: str, name: str, choices: Iterable[str]) -> str:
    """That a choice does not exist, with the nearest and all that do."""
    return f"{key}={name} does not exist.{_did_you_mean(_nearest(name, choices))} Choose one of: {', '.join(choices)}"


def _adds_what_exists(override: str) -> str:
    return f"{override!r} adds a key that exists: write it without +"


def _is_sweep(override: str) -> bool:
    try:
        return OverridesParser.create().parse_overrides([override])[0].is_sweep_override()
    except OverrideParseException:
        return False


def _written(key: str, overrides: Iterable[str]) -> tuple[str, str] | None:
    """The key and value of the last override that sets a key, or something below it."""
    for override in reversed(list(overrides)):
        name, _, value = override.lstrip("+").partition("=")
        if name == key or name.startswith(f"{key}."):
            return name, shown(value)
    return None


def _owners(key: str) -> str | None:
    """Which choices of a key's group have it; None where none does."""
    group, _, name = key.partition(".")
    members = [
        f"{group}={choice}"
        for choice, schema in GROUPS.get(group, {}).items()
        if schema is not None and name in {field.name for field in dataclasses.fields(schema)}
    ]
    return f"only {', '.join(members)} can have it" if members else None


def _similar_keys(key: str, keys: Iterable[str]) -> list[str]:
    """What the user may have meant: the same name in another place, what others call it, or the nearest spelling."""
    known, name = list(dict.fromkeys(keys)), key.rpartition(".")[2]
    elsewhere = [each for each in known if each.rpartition(".")[2] == name]
    called_so = [each for each in known if name in _ALSO_CALLED.get(each, ())]
    return (elsewhere + called_so)[:_MOST_SUGGESTED] or _nearest(key, known)


def _nearest(word: str, choices: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(word, list(dict.fromkeys(choices)), n=_MOST_SUGGESTED)


def _did_you_mean(names: list[str]) -> str:
    return f" Did you mean {' or '.join(names)}?" if names else ""
