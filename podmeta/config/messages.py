"""Messages about a wrong key, type or name."""

import difflib
from collections.abc import Iterable

from hydra.errors import OverrideParseException
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from podmeta.config.presets import is_file_name, list_options
from podmeta.config.schema import schema_fields

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

HOW_TO_OVERRIDE = "Write KEY=VALUE, with quotes around it where the value has brackets, braces or commas"


def explain_overrides(error: Exception, overrides: list[str]) -> str:
    """What was wrong with a command line, in a line or two, with the nearest names that exist."""
    for override in overrides:
        group, _, name = override.partition("=")
        choices = list_options(group) if group.isidentifier() and "=" in override else {}
        if choices and name and name not in choices and not is_file_name(name):
            return no_such_choice(group, name, choices)
    if str(error).startswith("Ambiguous value"):  # Hydra's words for a list of values to sweep
        return f"{error}. Quote a value that has commas, or sweep over its parts: podmeta train … --multirun"
    if str(error).startswith("Could not append to config"):  # Hydra's words for + before a key that is there
        added = next(override for override in overrides if override.startswith("+"))
        return f"{added!r} adds a key that exists: write it without +"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read. {HOW_TO_OVERRIDE}"
    # Hydra links its error to the one behind it as a cause where the command line is wrong, but not where a file is.
    if error.__cause__ is None and isinstance(error.__context__, ConfigKeyError):
        error = error.__context__
    return explain(
        error, [key for key, _ in schema_fields()], "`podmeta train --help` lists the experiments and groups"
    )


def explain(error: Exception, keys: Iterable[str], where_to_look: str, prefix: str = "") -> str:
    """What was wrong with a key or its value, in a line or two.

    Args:
      error: what OmegaConf or Hydra raised.
      keys: the keys there are.
      where_to_look: a sentence about them, for a user who has mistaken one.
      prefix: what the user writes before a key.
    """
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ if isinstance(cause.__cause__, Exception) else error
    message = str(cause).splitlines()[0]
    key = str(getattr(cause, "full_key", None) or "")
    if not key:
        return str(error).splitlines()[0]
    if "not in" in message or "is not in struct" in message:
        return f"unknown config key {prefix + key!r}.{_did_you_mean(_similar_keys(key, keys))} {where_to_look}"
    return f"{prefix}{key}: {message}"


def no_such_choice(key: str, name: str, choices: Iterable[str]) -> str:
    """That a choice does not exist, with the nearest and all that do."""
    return f"{key}={name} does not exist.{_did_you_mean(_nearest(name, choices))} Choose one of: {', '.join(choices)}"


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
