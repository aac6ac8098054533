"""The schema as Hydra composes it, and the classes that a job has afterwards."""

import dataclasses

from podmeta.config.compose import compose_job
from podmeta.config.schema import (
    GROUPS,
    BanditConfig,
    EvolutionConfig,
    JobConfig,
    MixtureConfig,
    MixtureEntryConfig,
    StageConfig,
    SymmetricConfig,
    loose,
)

MIXED = "environment.entries=[{environment: bandit}, {environment: bandit, num_arms: 3}]"
STAGES = "stages=[{environment: bandit, num_updates: 2}, {num_updates: 3, outer: {name: evolution}}]"


def test_a_composed_job_holds_the_classes_of_the_schema_and_nothing_loose():
    job = compose_job(["experiment=mixture", MIXED, STAGES])
    assert type(job) is JobConfig
    assert type(job.learner) is SymmetricConfig
    assert type(job.environment) is MixtureConfig
    assert [type(entry) for entry in job.environment.entries] == [MixtureEntryConfig] * 2
    assert [type(entry.environment) for entry in job.environment.entries] == [BanditConfig] * 2
    assert [type(stage) for stage in job.stages] == [StageConfig] * 2
    assert [type(stage.environment) for stage in job.stages] == [BanditConfig, MixtureConfig]
    assert type(job.stages[1].outer) is EvolutionConfig


def test_a_loose_schema_has_the_same_keys_in_the_same_order():
    for schema in (
        JobConfig,
        StageConfig,
        MixtureEntryConfig,
        *(s for group in GROUPS.values() for s in group.values()),
    ):
        assert issubclass(loose(schema), schema)
        assert [f.name for f in dataclasses.fields(loose(schema))] == [f.name for f in dataclasses.fields(schema)]
        assert [f.metadata for f in dataclasses.fields(loose(schema))] == [
            f.metadata for f in dataclasses.fields(schema)
        ]


def test_a_schema_of_plain_keys_is_not_copied():
    assert loose(SymmetricConfig) is SymmetricConfig
