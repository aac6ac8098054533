"""The keys of mixtures of environments."""

import dataclasses

from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.option import option


@dataclasses.dataclass
class MixtureEntryConfig:
    """One environment of a mixture: {environment: bandit, num_arms: 10, lifetimes: 4, weight: 2.0}.

    `environment` names a preset, and further keys change it.
    """

    environment: EnvironmentConfig = option(None, "the environment")
    lifetimes: int = option(
        0,
        "lifetimes per member (evolution) or per slot (actor-critic) in this environment; "
        "0: as in a job on it alone, which is outer.lifetimes_per_member or 1",
        minimum=0,
    )
    weight: float = option(1.0, "its share in the update, relative to the other entries", minimum=0)
    label: str = option(
        "", "name in metrics; default: the preset's name, with the changed keys if several entries have the same preset"
    )


@dataclasses.dataclass
class MixtureConfig:
    """Several environments in every update, of any sizes and lengths."""

    name: str = option("mixture", "mixture")
    entries: list[MixtureEntryConfig] = option(
        [], "the environments: a list of entries such as {environment: bandit, num_arms: 10}"
    )

    @property
    def is_whole(self) -> bool:
        """Whether the entries are typed, as in a composed job, and not as the user wrote them."""
        return bool(self.entries) and all(isinstance(entry, MixtureEntryConfig) for entry in self.entries)
