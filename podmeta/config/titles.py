"""What environments are called where people read of them."""

from podmeta.config.schema import EnvironmentConfig, MixtureConfig
from podmeta.config.stages import environments_of


def environment_title(config: EnvironmentConfig) -> str:
    """An environment's id, such as CartPole-v1, or its function; the name of its config where it has neither."""
    return str(getattr(config, "id", "") or getattr(config, "factory", "") or config.name)


def environments_title(config: EnvironmentConfig | MixtureConfig) -> str:
    """The titles of an environment or of the entries of a mixture, each once."""
    return ", ".join(dict.fromkeys(environment_title(each) for each in environments_of(config)))
