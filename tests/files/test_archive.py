"""Files of arrays: what was written comes back, and what was not is refused wherever it differs."""

import io
import json
import os
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxanneal._chain.keys import as_key
from jaxanneal._files import archive

ARRAYS = [
    np.arange(6.0).reshape(2, 3).T,
    jnp.ones((2, 2), jnp.bfloat16),
    jnp.zeros((0, 3)),
    np.float64(0.1),
    np.array(True),
    as_key(3),
    jax.random.split(jax.random.key(5), 4),
    np.zeros(2, np.dtype(jnp.bfloat16)),
]


def written(path, arrays=ARRAYS, **header):
    archive.write(path, {"format": "test", "version": 1, "jaxanneal": "0"} | header, arrays)
    return path.read_bytes()


def read(data, form="test", version=1):
    return archive.read(io.BytesIO(data), form, version, "a file", "Use another.")


def plain(array):
    typed = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if typed else array)


def test_arrays_of_every_kind_come_back(tmp_path):
    header, arrays = read(written(tmp_path / "file", about=[1, "two"]))
    assert header["about"] == [1, "two"]
    for one, other in zip(ARRAYS, arrays, strict=True):
        assert isinstance(one, jax.Array) == isinstance(other, jax.Array)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(plain(one), plain(other), strict=True)


def test_numpy_and_zipfile_alone_read_a_file(tmp_path):
    with zipfile.ZipFile(io.BytesIO(written(tmp_path / "file"))) as members:
        assert json.loads(members.read("header.json"))["format"] == "test"
        np.testing.assert_array_equal(np.load(io.BytesIO(members.read("0.npy"))), ARRAYS[0])


def damage_law(data):
    """Flip a bit of each byte, and cut the file at each: nothing of it is read."""
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        for damaged in (flipped, data[:place]):
            with pytest.raises(archive.Damaged):
                read(damaged)


def test_damage_anywhere_is_refused(tmp_path, monkeypatch):
    data = written(tmp_path / "file", [np.arange(3), jnp.ones(2)])
    read(data)
    damage_law(data)
    with pytest.raises(archive.Damaged):
        read(data + b"more")
    monkeypatch.setattr(archive, "_is_sealed", lambda file: True)  # a twin: zip's checksums alone
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        damage_law(data)


def test_other_formats_and_versions_are_refused(tmp_path):
    data = written(tmp_path / "file")
    with pytest.raises(archive.Damaged, match="its format is test"):
        read(data, "another")
    match = "^a file: expected version 2, got version 1, by jaxanneal 0. Use another.$"
    with pytest.raises(ValueError, match=match):
        read(data, version=2)


def durable_law(path, monkeypatch):
    """The bytes are on the disk before the name is, and then the name."""
    events, honest, replace = [], os.fsync, os.replace

    def fsync(handle):
        events.append("directory" if os.path.isdir(f"/dev/fd/{handle}") else "file")
        honest(handle)

    def renamed(*names):
        events.append("rename")
        replace(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", renamed)
        written(path)
    assert events == ["file", "rename", "directory"]


def test_a_power_cut_finds_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    durable_law(tmp_path / "file", monkeypatch)
    monkeypatch.setattr(archive, "_sync_directory", lambda path: None)  # a broken twin
    with pytest.raises(AssertionError):
        durable_law(tmp_path / "file", monkeypatch)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    before = written(tmp_path / "file")
    with pytest.raises(TypeError):
        written(tmp_path / "file", about=object())
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == before
