"""Every config key, its type, its default and its meaning.

Pure dataclasses: nothing here imports JAX, so that `podmeta --help` and messages about wrong keys are instant. The YAML
files in `configs/` are presets, which hold only what differs from these defaults.
"""

import dataclasses
import functools
from collections.abc import Iterator

from podmeta.config.schema.architectures import (
    AnakinConfig,
    SebulbaConfig,
)
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.host_environments import (
    BsuiteConfig,
    DmControlConfig,
    EnvpoolConfig,
    FactoryConfig,
    GymnasiumConfig,
    HostEnvironmentConfig,
    PythonEnvironmentConfig,
)
from podmeta.config.schema.jax_environments import (
    BanditConfig,
    BraxConfig,
    ContextualBanditConfig,
    DarkRoomConfig,
    GridWorldConfig,
    GymnaxConfig,
    JaxFactoryConfig,
    KeyToDoorConfig,
    LinearControlConfig,
    ObjectGridWorldConfig,
    OscillatorConfig,
    RandomMDPConfig,
    TabularMDPConfig,
    XLandConfig,
)
from podmeta.config.schema.job import (
    CheckpointConfig,
    DevicesConfig,
    DistributedConfig,
    EvaluationConfig,
    JobConfig,
    LoggingConfig,
    NumericsConfig,
    StageConfig,
)
from podmeta.config.schema.learners import (
    GTrXLConfig,
    LearnerConfig,
    LearnerFactoryConfig,
    MemoryConfig,
    OnlineActorCriticConfig,
    OnlineReinforceConfig,
    OnlineRuleConfig,
    RecurrentConfig,
    S5Config,
    SymmetricConfig,
)
from podmeta.config.schema.loose import loose, section_of
from podmeta.config.schema.mixtures import MixtureConfig, MixtureEntryConfig
from podmeta.config.schema.outer_loops import (
    ActorCriticConfig,
    DistillationConfig,
    EvolutionConfig,
    GradientConfig,
    MetaOptimiserConfig,
    OuterFactoryConfig,
    OuterLoopConfig,
    ScheduleConfig,
)
from podmeta.value_types import Json

__all__ = [
    "GROUPS",
    "ActorCriticConfig",
    "AnakinConfig",
    "BanditConfig",
    "BraxConfig",
    "BsuiteConfig",
    "CheckpointConfig",
    "ContextualBanditConfig",
    "DarkRoomConfig",
    "DevicesConfig",
    "DistillationConfig",
    "DistributedConfig",
    "DmControlConfig",
    "EnvironmentConfig",
    "EnvpoolConfig",
    "EvaluationConfig",
    "EvolutionConfig",
    "FactoryConfig",
    "GTrXLConfig",
    "GradientConfig",
    "GridWorldConfig",
    "GymnasiumConfig",
    "GymnaxConfig",
    "HostEnvironmentConfig",
    "JaxFactoryConfig",
    "JobConfig",
    "KeyToDoorConfig",
    "LearnerConfig",
    "LearnerFactoryConfig",
    "LinearControlConfig",
    "LoggingConfig",
    "MemoryConfig",
    "MetaOptimiserConfig",
    "MixtureConfig",
    "MixtureEntryConfig",
    "NumericsConfig",
    "ObjectGridWorldConfig",
    "OnlineActorCriticConfig",
    "OnlineReinforceConfig",
    "OnlineRuleConfig",
    "OscillatorConfig",
    "OuterFactoryConfig",
    "OuterLoopConfig",
    "PythonEnvironmentConfig",
    "RandomMDPConfig",
    "RecurrentConfig",
    "S5Config",
    "ScheduleConfig",
    "SebulbaConfig",
    "StageConfig",
    "SymmetricConfig",
    "TabularMDPConfig",
    "XLandConfig",
    "loose",
    "open_keys",
    "schema_fields",
    "section_of",
]

GROUPS: dict[str, dict[str, type]] = {
    "learner": {
        "symmetric": SymmetricConfig,
        "recurrent": RecurrentConfig,
        "s5": S5Config,
        "gtrxl": GTrXLConfig,
        "online_actor_critic": OnlineActorCriticConfig,
        "online_reinforce": OnlineReinforceConfig,
        "factory": LearnerFactoryConfig,
    },
    "environment": {
        "bandit": BanditConfig,
        "contextual_bandit": ContextualBanditConfig,
        "grid_world": GridWorldConfig,
        "object_grid_world": ObjectGridWorldConfig,
        "dark_room": DarkRoomConfig,
        "key_to_door": KeyToDoorConfig,
        "tabular_mdp": TabularMDPConfig,
        "linear_control": LinearControlConfig,
        "random_mdp": RandomMDPConfig,
        "oscillator": OscillatorConfig,
        "gymnax": GymnaxConfig,
        "xland": XLandConfig,
        "brax": BraxConfig,
        "envpool": EnvpoolConfig,
        "gymnasium": GymnasiumConfig,
        "bsuite": BsuiteConfig,
        "dm_control": DmControlConfig,
        "factory": FactoryConfig,
        "jax_factory": JaxFactoryConfig,
        "mixture": MixtureConfig,
    },
    "outer": {
        "evolution": EvolutionConfig,
        "actor_critic": ActorCriticConfig,
        "distillation": DistillationConfig,
        "factory": OuterFactoryConfig,
    },
    "architecture": {"anakin": AnakinConfig, "sebulba": SebulbaConfig},
}
"""The dataclass behind every `name` of every config group."""


def schema_fields() -> Iterator[tuple[str, dataclasses.Field[object]]]:
    """Every dotted key of the schema, and its field. A key that members of a group share occurs once for each."""

    def below(prefix: str, schema: type) -> Iterator[tuple[str, dataclasses.Field[object]]]:
        for field in dataclasses.fields(schema):
            yield prefix + field.name, field
            section = section_of(field)
            if section is not None:
                yield from below(f"{prefix}{field.name}.", section)

    yield from below("", JobConfig)
    for group, members in GROUPS.items():
        for schema in members.values():
            yield from below(f"{group}.", schema)


@functools.cache
def open_keys() -> frozenset[str]:
    """The keys that hold a mapping with arbitrary keys."""
    return frozenset(key for key, field in schema_fields() if field.type == dict[str, Json])
