"""The presets: the YAML files of `configs/`, over the typed schema."""

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from podmeta.config.schema import GROUPS, EnvironmentConfig, JobConfig, MixtureConfig, loose


def config_directory() -> Path:
    """The folder of the YAML files: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def list_options(group: str) -> dict[str, str]:
    """The choices of a config group, by name, each with the first comment line of its file.

    One that was registered without a file has the first line of its dataclass's docstring.
    """
    options = {}
    for path in sorted((config_directory() / group).glob("*.yaml")):
        comments = [
            line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if re.match("# [^@]", line)
        ]
        options[path.stem] = comments[0] if comments else ""
    for name, schema in GROUPS.get(group, {}).items():
        options.setdefault(name, (schema.__doc__ or "").partition("\n")[0])
    return options


def member_of(group: str, preset: str) -> type | None:
    """The dataclass that a preset is of; None where there is no such preset."""
    path = config_directory() / group / f"{preset}.yaml"
    if not path.exists():
        return GROUPS[group].get(preset)
    for below in OmegaConf.to_container(OmegaConf.load(path)).get("defaults", []):  # type: ignore[union-attr]  # a mapping
        name = str(below)
        member = GROUPS[group].get(name.removesuffix("_schema")) if name.endswith("_schema") else member_of(group, name)
        if member is not None:
            return member
    return None


@functools.cache
def environment_preset(name: str) -> EnvironmentConfig | MixtureConfig:
    """The config of configs/environment/<name>.yaml, which must exist. It is shared: do not change it."""
    with hydra_over_presets():
        environment = OmegaConf.to_object(hydra.compose(None, [f"+environment={name}"]).environment)
    assert isinstance(environment, EnvironmentConfig | MixtureConfig)
    return environment


@contextlib.contextmanager
def hydra_over_presets() -> Iterator[None]:
    """Hydra, ready to compose the presets."""
    store = ConfigStore.instance()
    store.store(name="job_schema", node=loose(JobConfig))
    for group, members in GROUPS.items():
        for name, schema in members.items():
            node = loose(schema)
            store.store(group=group, name=f"{name}_schema", node=node)
            if not (config_directory() / group / f"{name}.yaml").exists():
                store.store(group=group, name=name, node=node)  # its defaults are its preset
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        yield
