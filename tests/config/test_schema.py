"""The schema explains itself: every key says what it means, and every group's members go by their names."""

import dataclasses
import subprocess
import sys

import pytest

from podmeta.config.schema import GROUPS, JobConfig, MixtureEntryConfig, StageConfig, SymmetricConfig, schema_fields

KEYS = [
    *schema_fields(),
    *((f"mixture entry: {field.name}", field) for field in dataclasses.fields(MixtureEntryConfig)),
    *((f"stage: {field.name}", field) for field in dataclasses.fields(StageConfig)),
]


def is_section(field):
    return isinstance(field.type, type) and dataclasses.is_dataclass(field.type)


def default_of(field):
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def test_every_key_says_what_it_means():
    silent = [
        key for key, field in KEYS if not (field.type.__doc__ if is_section(field) else field.metadata.get("help"))
    ]
    assert not silent


def test_the_sections_of_a_job_are_walked_through():
    keys = [key for key, _ in KEYS]
    for key in ("seed", "checkpoint.keep", "learner.cell", "outer.learning_rate_schedule.name", "outer.ppo_clip"):
        assert key in keys


def test_every_default_is_one_of_its_choices_and_within_its_bounds():
    for key, field in KEYS:
        choices, minimum = field.metadata.get("choices"), field.metadata.get("minimum")
        above, maximum = field.metadata.get("above"), field.metadata.get("maximum")
        default = default_of(field)
        assert not choices or all(one in choices for one in (default if isinstance(default, list) else [default])), key
        # A number of updates of 0 is no default, but asks for one.
        if isinstance(default, int | float) and not isinstance(default, bool) and key != "stage: num_updates":
            assert minimum is None or default >= minimum, key
            assert above is None or default > above, key
            assert maximum is None or default <= maximum, key


@pytest.mark.parametrize("group", GROUPS)
def test_the_members_of_a_group_are_named_by_their_keys(group):
    for name, schema in GROUPS[group].items():
        assert schema().name == name
        assert schema.__doc__
    assert group in {field.name for field in dataclasses.fields(JobConfig)}


def test_mutable_defaults_are_not_shared():
    SymmetricConfig().hidden_layers.append(2)
    assert SymmetricConfig().hidden_layers == []


def test_neither_the_schema_nor_a_wrong_key_waits_for_jax():
    script = (
        "import sys\nfrom podmeta.config.compose import compose_job\nfrom podmeta.errors import InputError\n"
        "try:\n    compose_job(['sead=1'])\nexcept InputError:\n    print('jax' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert finished.stdout == "False\n"
