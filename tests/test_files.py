"""A file is written as a whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from latentkit.errors import FileError
from latentkit.files import write_file

WRITER = """
import sys
from latentkit.files import write_file
print("ready", flush=True)
while True:
    write_file(sys.argv[1], b"new" * 3_000_000)
"""


def parts(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_content_replaces_the_earlier_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    assert write_file(path, "née") == path
    assert path.read_bytes() == "née".encode()
    assert parts(tmp_path) == []


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError) as caught:
        write_file(path, b"new")
    assert str(caught.value) == (
        f"Could not write '{path}': No space left on device. A file that was there is unchanged. "
        "Free some space, or pass a path in a folder that can be written to."
    )
    assert path.read_text() == "old"
    assert parts(tmp_path) == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match="No such file or directory"):
        write_file(tmp_path / "absent" / "a.txt", b"")


def test_a_symbolic_link_stays_and_its_target_changes(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_killed_writers_leave_whole_files_and_their_remains_are_removed(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        while not parts(tmp_path):  # killed in the middle of writing
            time.sleep(0)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert len(path.read_bytes()) in (3, 9_000_000)
    for name in parts(tmp_path):  # younger than a second they may have a writer about to lock them
        os.utime(tmp_path / name, (time.time() - 5, time.time() - 5))
    write_file(path, b"whole")
    assert parts(tmp_path) == []
    assert path.read_bytes() == b"whole"


def test_a_writer_at_work_keeps_its_unfinished_file(tmp_path, monkeypatch):
    path, started, go_on = tmp_path / "a.txt", threading.Event(), threading.Event()
    real = os.fsync

    def slow(handle):
        if not started.is_set():
            started.set()
            for name in parts(tmp_path):
                os.utime(tmp_path / name, (time.time() - 5, time.time() - 5))
            go_on.wait()
        real(handle)

    monkeypatch.setattr(os, "fsync", slow)
    first = threading.Thread(target=write_file, args=(path, b"first"))
    first.start()
    started.wait()
    write_file(path, b"second")
    assert len(parts(tmp_path)) == 1
    go_on.set()
    first.join()
    assert path.read_bytes() == b"first"
    assert parts(tmp_path) == []
