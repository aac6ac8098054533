"""What `podmeta bench learners` prints."""

import json

import pytest

from podmeta.benchmarks import learners


@pytest.mark.long
def test_every_learner_is_held_against_the_lstm(monkeypatch, capsys):
    monkeypatch.setattr(learners, "NUM_STEPS", (5,))
    monkeypatch.setattr(learners, "NUM_LIFETIMES", 2)
    learners.bench_learners()
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    times = {(line["name"], line["setting"]["learner"]): line["value"] for line in printed}
    for name in ("learners_unroll", "learners_update"):
        assert {learner for printed, learner in times if printed == name} == set(learners.LEARNERS)
        for learner in set(learners.LEARNERS) - {"lstm"}:
            assert times[f"{name}_over_lstm_speedup", learner] >= 0
