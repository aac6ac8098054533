"""Files of named arrays, which may be somebody else's."""

import io
import zipfile

import numpy as np
import pytest

from podmeta.storage import named_arrays
from podmeta.storage.named_arrays import from_npz


def test_an_archive_that_unpacks_to_more_than_memory_is_refused(monkeypatch):
    content = io.BytesIO()
    np.savez_compressed(content, zeros=np.zeros(1_000_000))
    assert len(content.getvalue()) < 10_000 and from_npz(content.getvalue())["zeros"].size == 1_000_000
    monkeypatch.setattr(named_arrays, "most_array_bytes", lambda: 7_000_000)
    with pytest.raises(ValueError, match="more than half of this machine's memory"):
        from_npz(content.getvalue())


def test_a_header_that_claims_a_terabyte_is_refused():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**37,)})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("large.npy", header.getvalue() + b"\0" * 800)
    with pytest.raises(ValueError):
        from_npz(content.getvalue())
