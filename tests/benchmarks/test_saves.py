"""What `podmeta bench saves` measures, on a small job."""

import json

import pytest

from podmeta.benchmarks.saves import LARGE, measure
from podmeta.config.compose import compose_job
from podmeta.storage.checkpoints import Checkpoints


@pytest.mark.long
def test_saves_in_the_background_and_waited_for_are_measured_against_none(tmp_path, capsys, monkeypatch):
    sound, saved = Checkpoints.save, []

    def save(checkpoints, step, tree, metadata):
        sound(checkpoints, step, tree, metadata)
        saved.append(step)

    monkeypatch.setattr(Checkpoints, "save", save)
    job = compose_job([*LARGE, "learner.hidden_size=4", "devices.cpu=1"])
    measure(job, tmp_path, seconds=0.1, turns=2)
    assert len(saved) == 5  # the first is not counted
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    values = {line["name"]: line["value"] for line in lines}
    for way in ("in_background", "waited_for"):
        lowest, median, highest = (
            values[f"throughput_with_saves_{way}{part}_speedup"] for part in ("_lowest", "", "_highest")
        )
        assert 0 < lowest <= median <= highest
    assert values["save_blocked"] >= 0 and values["save_in_background"] > 0
    assert lines[0]["setting"]["seconds_between"] == 0.1


def test_the_state_is_as_large_as_it_says():
    import jax

    from podmeta.training.build import build_programs, instance_settings

    job = compose_job(LARGE)
    state = jax.eval_shape(build_programs(job, 1)[0].init, instance_settings(job))
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)) == pytest.approx(100e6, rel=0.05)
