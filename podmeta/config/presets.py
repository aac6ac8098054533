"""The presets, over the typed schema: the YAML files of `configs/`, of folders of the user's, and of packages."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from podmeta.config.plugins import config_folders, named_factories
from podmeta.config.schema import GROUPS, EnvironmentConfig, JobConfig, MixtureConfig, loose
from podmeta.errors import InputError
from podmeta.value_types import Json


def config_directory() -> Path:
    """The folder of the YAML files: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


# This is a context, and not an argument. Mixtures, stages and settings of meta-tests name presets, and a setting is
# resolved wherever it is traced, tested, checked for trust, judged to be done or drawn. So evaluation, its reports and
# storage/trust.py would have to take the folders, only to pass them on to `resolve.settings_of`. A ContextVar keeps to
# the block that sets it and to its thread.
_added_folders: ContextVar[tuple[Path, ...]] = ContextVar("added_folders", default=())


@contextlib.contextmanager
def config_folders_added(folders: Iterable[Path]) -> Iterator[None]:
    """Takes presets and experiments from further folders too, laid out as `configs/` is, within the block.

    Args:
      folders: the folders. Where several have a preset of the same name, the first counts.

    Raises:
      InputError: one is not a folder.
    """
    added = list(_added_folders.get())
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"--config-dir {folder} is not a folder: name one with files such as experiment/my_job.yaml"
            )
        added.append(folder.absolute())
    token = _added_folders.set(tuple(dict.fromkeys(added)))
    try:
        yield
    finally:
        _added_folders.reset(token)


def find_preset(group: str, name: str) -> Path | None:
    """The file of a preset: podmeta's own, or one of the user's folders or of an installed package."""
    paths = (folder / group / f"{name}.yaml" for folder in _folders())
    return next((path for path in paths if path.exists()), None)


def list_options(group: str) -> dict[str, str]:
    """The choices of a config group, by name, each with the first comment line of its file.

    One that was registered without a file has the first line of its dataclass's docstring, and a factory of an
    installed package its name.
    """
    options: dict[str, str] = {}
    for folder in _folders():
        for path in sorted((folder / group).glob("*.yaml")):
            comments = [
                line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if re.match("# [^@]", line)
            ]
            options.setdefault(path.stem, comments[0] if comments else "")
    for name, schema in GROUPS.get(group, {}).items():
        options.setdefault(name, (schema.__doc__ or "").partition("\n")[0])
    for name, factory in named_factories(group).items():
        options.setdefault(name, f"{factory}, of an installed package")
    return options


def member_of(group: str, preset: str) -> type | None:
    """The dataclass that a preset is of; None if there is no such preset."""
    path = find_preset(group, preset)
    if path is None:
        return GROUPS[group].get("factory" if preset in named_factories(group) else preset)
    for below in OmegaConf.to_container(OmegaConf.load(path)).get("defaults", []):  # type: ignore[union-attr]  # a mapping
        name = str(below)
        member = GROUPS[group].get(name.removesuffix("_schema")) if name.endswith("_schema") else member_of(group, name)
        if member is not None:
            return member
    return None


def environment_preset(name: str) -> EnvironmentConfig | MixtureConfig:
    """The config of a preset, which must exist. It is shared: do not change it."""
    return _environment_preset(name, _added_folders.get())


@functools.cache
def _environment_preset(name: str, added_folders: tuple[Path, ...]) -> EnvironmentConfig | MixtureConfig:
    with hydra_over_presets() as compose:
        environment = OmegaConf.to_object(compose(None, [f"+environment={name}"]).environment)
    assert isinstance(environment, EnvironmentConfig | MixtureConfig)
    return environment


def is_file_name(name: str) -> bool:
    """Whether the user names a file of their own, such as ./my_job.yaml, and not a preset."""
    return name.endswith((".yaml", ".yml"))


def read_mapping(path: Path, what: str) -> dict[str, Json]:
    """The content of a YAML file.

    Args:
      path: the file.
      what: the key that names it, for messages.

    Raises:
      InputError: it cannot be read, or holds something else than a mapping.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise InputError(f"{what}={path} cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise InputError(f"{what}={path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{what}={path} is not a mapping of keys to values")
    return {str(key): value for key, value in content.items()}


@contextlib.contextmanager
def hydra_over_presets() -> Iterator[Callable[[str | None, list[str]], DictConfig]]:
    """Composes over the presets: yields a function of the root file, or None, and the overrides."""
    _store(None, "job_schema", JobConfig)
    for group, members in GROUPS.items():
        for name, schema in members.items():
            _store(group, f"{name}_schema", schema)
            if find_preset(group, name) is None:
                _store(group, name, schema)  # its defaults are its preset
        for name, factory in named_factories(group).items():
            if name not in members and find_preset(group, name) is None:
                node = loose(members["factory"])(factory=factory)
                ConfigStore.instance().store(group=group, name=name, node=node)
    further = ", ".join("'file://" + str(folder).replace("'", "\\'") + "'" for folder in _folders()[1:])
    searched = [f"hydra.searchpath=[{further}]"] if further else []
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        yield lambda root, overrides: hydra.compose(root, [*searched, *overrides])


def _folders() -> list[Path]:
    return [config_directory(), *_added_folders.get(), *config_folders()]


def _store(group: str | None, name: str, schema: type) -> None:
    """Makes the schema known to Hydra, unless it is already: that is what takes longest of a composition."""
    store = ConfigStore.instance()
    folder = store.repo if group is None else store.repo.get(group, {})
    stored = folder.get(f"{name}.yaml")
    if stored is None or OmegaConf.get_type(stored.node) is not loose(schema):
        store.store(group=group, name=name, node=loose(schema))
