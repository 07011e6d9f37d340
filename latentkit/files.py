"""Write a file completely or not at all: to a temporary file first, which then replaces the target."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from latentkit.errors import FileError

try:
    import fcntl

    _CAN_LOCK = True
except ImportError:  # Windows
    _CAN_LOCK = False

__all__ = ["lock_file", "write_file"]

_ABANDONED_AFTER = 3600.0  # seconds; used if files cannot be locked


def write_file(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Write a file so that a crash, a full disk or an interrupt leaves the earlier file unchanged.

    Parameters
    ----------
    path : path
        The file. A symbolic link is followed.
    data : bytes or str
        The whole content; text is encoded as UTF-8.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    FileError
        If the file cannot be written: missing folder, no permission, no space.

    Notes
    -----
    The content goes into a file with a random name in the same folder, is flushed to the disk, and replaces
    the target in one step. A process that is killed in between leaves that file behind; the next call for
    the same target removes it. Locks distinguish abandoned files from files that are being written.
    """
    target = Path(os.path.realpath(path))
    content = data.encode("utf-8") if isinstance(data, str) else data
    try:
        _remove_abandoned(target)
        with _beside(target) as (file, unfinished):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if not _CAN_LOCK:  # Windows moves only closed files
                file.close()
            unfinished.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise FileError(
            f"Could not write '{path}': {error.strerror or error}. A file that was there is unchanged. "
            "Free some space, or pass a path in a folder that can be written to."
        ) from error
    return Path(path)


def lock_file(path: Path) -> IO[bytes] | None:
    """Lock a file, created if there is none, for as long as it stays open.

    Parameters
    ----------
    path : Path
        The file, which stays empty. Systems without locks never refuse it.

    Returns
    -------
    file or None
        None if another process holds the lock.
    """
    file = path.open("ab")
    if _CAN_LOCK:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:  # some network file systems have no locks
            pass
    return file


@contextmanager
def _beside(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Open a new locked file in the target's folder; remove it on exit unless it was moved."""
    unfinished = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o666), "wb") as file:
            if _CAN_LOCK:
                with suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield file, unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_abandoned(target: Path) -> None:
    """Remove unfinished files of writers that were killed."""
    prefix = f".{target.name[:200]}."
    for part in target.parent.iterdir():
        if part.name.startswith(prefix) and part.name.endswith(".part") and _is_abandoned(part):
            part.unlink(missing_ok=True)


def _is_abandoned(part: Path) -> bool:
    try:
        age = time.time() - part.stat().st_mtime
        if not _CAN_LOCK or age > _ABANDONED_AFTER:
            return age > _ABANDONED_AFTER
        if age < 1.0:  # its writer may not have locked it yet
            return False
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # removed in the meantime, or locked by its writer
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Flush the move to the disk, so that it survives a power cut, if the system supports this."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
