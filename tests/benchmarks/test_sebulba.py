"""The benchmark of Sebulba measures every part and the whole."""

import json

import pytest

from podmeta.benchmarks import sebulba

TINY = ["learner.cell=none", "learner.torso_layers=[4]", "outer.unroll_length=8", *sebulba.ONE_EPOCH]


@pytest.mark.long
def test_parts_and_whole_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(sebulba, "SECONDS_OF_A_PART", 0.05)
    sebulba._measure("sebulba_cartpole", 4, 1, TINY, turns=1)
    values = {line["name"]: line["value"] for line in map(json.loads, capsys.readouterr().out.splitlines())}
    whole = values["sebulba_env_steps_per_second"]
    for way in ("", "_from_python"):
        parts = [values[f"sebulba_{part}_alone{way}"] for part in ("environments", "inference", "learner")]
        assert min(*parts, whole) > 0
        fraction = values[f"sebulba_fraction_of_bound{way}"]
        assert fraction == values[f"sebulba_fraction_of_bound{way}_lowest"]
        assert fraction == pytest.approx(whole * sum(1 / part for part in parts), abs=1e-3)
