"""The page of config keys leaves nothing out, and says of each key what the schema says."""

import dataclasses
import html
import re

import pytest

from podmeta.config import reference
from podmeta.config.reference import config_reference
from podmeta.config.schema import MixtureEntryConfig, StageConfig, schema_fields


@pytest.fixture(scope="module")
def described():
    """What is said of every key, [(key, facts, meaning)], in the order of the page."""
    entries = re.findall(r"^`([\w.]+)`(?: — )?(.*)\n:   (.*)$", config_reference(), flags=re.MULTILINE)
    return [(key, facts, html.unescape(re.sub(r"\\(.)", r"\1", meaning))) for key, facts, meaning in entries]


def leaves():
    named = [*schema_fields(), *((f.name, f) for s in (MixtureEntryConfig, StageConfig) for f in dataclasses.fields(s))]
    return [(key, f) for key, f in named if "help" in f.metadata and not key.endswith(".name")]


def test_every_key_of_every_dataclass_is_described(described):
    said = {(key, meaning) for key, _, meaning in described}
    missing = [key for key, field in leaves() if (key, field.metadata["help"]) not in said]
    assert not missing
    assert len(leaves()) > 100


def test_no_key_is_described_that_does_not_exist(described):
    assert {key for key, _, _ in described} <= {key for key, _ in schema_fields()} | {
        f.name for s in (MixtureEntryConfig, StageConfig) for f in dataclasses.fields(s)
    }


def test_what_environments_share_is_said_once(described):
    assert [key for key, _, _ in described].count("environment.permute_actions") == 1


def test_the_default_and_the_bounds_are_told(described):
    facts = {key: fact for key, fact, _ in described}
    assert facts["outer.noise_std"] == "default `0.1`; above 0"
    assert facts["resume"] == "default `auto`; one of `auto`, `never`"
    assert facts["seed"] == "default `0`; at least 0; at most 4294967295"
    assert facts["run_dir"] == "not set"


def test_markdown_reads_nothing_into_a_meaning():
    assert "runs/&lt;experiment\\_name&gt;/" in config_reference()


def test_a_key_without_a_meaning_fails_the_page(monkeypatch):
    @dataclasses.dataclass
    class Silent:
        key: int = 0

    monkeypatch.setattr(reference, "StageConfig", Silent)
    with pytest.raises(KeyError):
        config_reference()
