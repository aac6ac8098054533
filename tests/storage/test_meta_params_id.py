"""Which θ a run directory holds, and which rows are of it."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.errors import InputError
from podmeta.storage.checkpoint_files import checksum_lines, step_name
from podmeta.storage.json_files import encode
from podmeta.storage.meta_params_id import MetaParamsId, current_rows, newest_meta_params, summary_of
from podmeta.storage.run_files import EvaluationRow, Summary, read_summary

PATH = Path("runs/a/evaluation.jsonl")


def save(run, step, metadata):
    """The files of a checkpoint without arrays."""
    path = run / "checkpoints" / step_name(step)
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(
        json.dumps({"step": step, "metadata": metadata, "arrays": []}), encoding="utf-8"
    )
    (path / "SHA256SUMS").write_text("".join(checksum_lines(path)), encoding="utf-8")
    return path


def summarise(run, num_updates, digest):
    summary = Summary("", 0, num_updates, 1, 1.0, 1.0, None, 1, digest, {})
    (run / "summary.json").write_text(json.dumps(encode(summary)), encoding="utf-8")
    return summary


def row(update, digest, instance=0):
    return dataclasses.replace(UNRECORDED, setting={"instance": instance}, update=update, meta_params_sha256=digest)


UNRECORDED = EvaluationRow("suite", "bandit", {}, "learner", "return", 0.0, 0.0, 0.0, 4)


def test_the_newest_good_checkpoint_says_which_it_is(tmp_path):
    assert newest_meta_params(tmp_path) is None
    save(tmp_path, 4, {"seconds": 1.0, "meta_params_sha256": ["a", "b"]})
    newest = save(tmp_path, 8, {"seconds": 2.0, "meta_params_sha256": ["c", "d"]})
    assert newest_meta_params(tmp_path) == (8, ("c", "d"), True)
    (newest / "manifest.json").write_text("{}", encoding="utf-8")  # not as saved: a job would go on from the one before
    assert newest_meta_params(tmp_path) == (4, ("a", "b"), True)


def test_a_checkpoint_without_a_digest_has_that_of_the_summary_of_its_update(tmp_path):
    save(tmp_path, 4, {"seconds": 1.0})
    assert newest_meta_params(tmp_path) == (4, None, False)
    summarise(tmp_path, 4, "a")
    assert newest_meta_params(tmp_path) == (4, ("a",), False)
    save(tmp_path, 8, {"seconds": 2.0})
    assert newest_meta_params(tmp_path) == (8, None, False)


def test_without_checkpoints_the_summary_says_it(tmp_path):
    summarise(tmp_path, 4, ["a", "b"])
    assert newest_meta_params(tmp_path) == (4, ("a", "b"), False)


def test_a_summary_counts_only_beside_its_own_meta_params(tmp_path):
    assert summary_of(tmp_path, MetaParamsId(4, ("a",), True)) is None
    summary = summarise(tmp_path, 4, "a")
    assert summary_of(tmp_path, MetaParamsId(4, ("a",), True)) == summary
    assert summary_of(tmp_path, MetaParamsId(4, ("b",), True)) is None
    assert summary_of(tmp_path, MetaParamsId(8, ("a",), True)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"num_updates": 3}'])
def test_a_damaged_summary_is_named(text, tmp_path):
    (tmp_path / "summary.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"summary\.json"):
        read_summary(tmp_path)


digests = st.sampled_from("abc")
rows = st.lists(st.builds(row, st.integers(0, 3), digests, st.integers(0, 1)), max_size=6)


@given(rows, st.integers(0, 3), st.tuples(digests, digests))
def test_exactly_the_rows_of_the_newest_digests_are_kept(rows, update, sha256):
    kept, notes = current_rows(rows, MetaParamsId(update, sha256, True), PATH)
    assert kept == [row for row in rows if row.meta_params_sha256 == sha256[row.setting["instance"]]]
    assert len(notes) == (len(kept) < len(rows))


def test_what_is_left_out_is_said_with_its_update_and_the_cure():
    kept, (note,) = current_rows([row(200, "a"), row(1660, "b")], MetaParamsId(1660, ("b",), True), PATH)
    assert kept == [row(1660, "b")]
    assert "1 of 2 rows are left out" in note and "of update 200" in note and "update 1,660" in note
    assert "podmeta evaluate run=runs/a" in note


@pytest.mark.parametrize(
    ("newest", "kept"),
    [
        (None, 1),  # only the rows were copied
        (MetaParamsId(4, ("a",), False), 1),  # the run ended at its newest checkpoint, which is as old
        (MetaParamsId(8, None, False), 0),  # it went on after its end
        (MetaParamsId(8, ("a",), True), 0),  # it went on with this podmeta
    ],
)
def test_rows_that_record_nothing_are_kept_where_nothing_speaks_against_them(newest, kept):
    rows, (note,) = current_rows([UNRECORDED], newest, PATH)
    assert len(rows) == kept
    assert ("do not record" in note) == (kept == 1)


def test_rows_by_themselves_are_those_of_the_largest_update():
    assert current_rows([UNRECORDED, row(1, "a"), row(3, "b")], None, PATH)[0] == [row(3, "b")]
