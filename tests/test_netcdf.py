"""Files are inspected before they are read: checksum, links, sizes."""

from __future__ import annotations

import io
import signal

import h5py
import numpy as np
import pytest
import xarray as xr

from latentkit import netcdf
from latentkit.errors import FileError

PACKED = {"zlib": True, "complevel": 4, "shuffle": True}


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "distance": (("token", "iteration"), rng.normal(size=(20, 30)).astype("f4")),
            "zeros": (("token", "hidden"), np.zeros((20, 4000), "f4")),
            "text": ("token", np.array(["x"] * 20, dtype=object)),
        },
        {"token": np.arange(20)},
        {"model": "nano"},
    )


@pytest.fixture(scope="module")
def data(dataset):
    return netcdf.to_netcdf(dataset, {"distance": PACKED, "zeros": PACKED})


def made(change):
    """The bytes of an HDF5 file that `change` has written into."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        change(file)
    return netcdf.seal(buffer.getvalue())


def test_a_dataset_comes_back_identical(dataset, data):
    xr.testing.assert_identical(netcdf.read_netcdf(data), dataset)


def test_any_netcdf_reader_opens_the_bytes(dataset, data):
    with xr.open_dataset(io.BytesIO(data), engine="h5netcdf") as plain:
        np.testing.assert_array_equal(plain.distance, dataset.distance)


def test_every_changed_byte_is_seen(data):
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(data) - netcdf._SEALED, 200):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(FileError, match=r"is damaged|no netCDF-4 file"):
            netcdf.read_netcdf(bytes(changed))


def test_a_file_that_lost_its_checksum_is_refused(data):
    with pytest.raises(FileError) as caught:
        netcdf.read_netcdf(data[:-1])
    assert str(caught.value) == "The file is damaged: the checksum at its end is missing."


def test_a_file_that_is_cut_off_is_refused_without_reading_it(dataset, monkeypatch):
    monkeypatch.setattr(netcdf, "_read_apart", lambda _body: pytest.fail("was read"))
    old = bytes(dataset.to_netcdf(engine="h5netcdf"))
    for size in (len(old) - 1, 100):
        with pytest.raises(FileError) as caught:
            netcdf.read_netcdf(old[:size])
        assert str(caught.value) == f"The file is cut off: it has {size:,} of {len(old):,} bytes."


def test_a_file_without_a_checksum_that_never_had_one_opens(dataset):
    old = bytes(dataset.to_netcdf(engine="h5netcdf"))
    xr.testing.assert_identical(netcdf.read_netcdf(old), dataset)


def test_a_reader_that_does_not_end_is_stopped(dataset, monkeypatch):
    monkeypatch.setattr(netcdf, "_WALL_SECONDS", 0)
    with pytest.raises(FileError, match="reading it takes more than 0 s"):
        netcdf.read_netcdf(bytes(dataset.to_netcdf(engine="h5netcdf")))


@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="Windows has no limit on processor time")
def test_a_reader_that_loops_is_stopped_by_a_limit_on_processor_time(dataset, monkeypatch):
    endless = "n._SECONDS = 0; n._limit_process(0)\nwhile True: pass"
    monkeypatch.setattr(netcdf, "_READER", netcdf._READER.replace("n._read_limited()", endless))
    with pytest.raises(FileError, match="reading it does not end"):
        netcdf.read_netcdf(bytes(dataset.to_netcdf(engine="h5netcdf")))


def test_a_reader_imports_nothing_from_the_current_folder(dataset, tmp_path, monkeypatch):
    (tmp_path / "h5py.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    xr.testing.assert_identical(netcdf.read_netcdf(bytes(dataset.to_netcdf(engine="h5netcdf"))), dataset)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/secret"), h5py.SoftLink("/text")])
def test_links_are_refused(link):
    def change(file):
        file["text"] = np.zeros(3)
        file["token_text"] = link

    with pytest.raises(FileError, match="'token_text' is a link to something else"):
        netcdf.read_netcdf(made(change))


def test_data_in_another_file_is_refused(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret!!")

    def change(file):
        file.create_dataset("token_text", (1,), "S8", external=[(str(secret), 0, 8)])

    with pytest.raises(FileError, match="'token_text' takes its data from another file"):
        netcdf.read_netcdf(made(change))


def test_a_virtual_dataset_is_refused():
    def change(file):
        layout = h5py.VirtualLayout((3,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "data", (3,))
        file.create_virtual_dataset("distance", layout)

    with pytest.raises(FileError, match="'distance' takes its data from another file"):
        netcdf.read_netcdf(made(change))


def test_a_filter_that_is_never_written_is_refused():
    def change(file):
        file.create_dataset("distance", data=np.zeros(1000), compression="lzf")

    with pytest.raises(FileError, match="'distance' is compressed by HDF5 filter 32000"):
        netcdf.read_netcdf(made(change))


def test_a_group_is_refused():
    with pytest.raises(FileError, match="'inner' is a group"):
        netcdf.read_netcdf(made(lambda file: file.create_group("inner")))


@pytest.mark.parametrize("chunks", [None, (1 << 10, 1 << 10)])
def test_a_claim_that_the_file_cannot_hold_is_refused(chunks):
    def change(file):
        file.create_dataset("state", (1 << 20, 1 << 20), "f4", chunks=chunks)

    with pytest.raises(FileError, match="'state' claims 4,398,046,511,104 bytes"):
        netcdf.read_netcdf(made(change))
