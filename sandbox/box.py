"""The folder that programs write to: emptied after each, measured while one runs.

Hostile code wrote what lies in it: folders without permissions, nested deeper than any path is
long, links to anywhere. Nothing here follows a link or recurses.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def wipe(box: Path) -> None:
    """Empty a folder once nobody writes to it any more."""
    box.chmod(0o700)
    top = os.open(box, _FOLDER)
    try:
        serial = 0
        while entries := _list(top):
            for name, is_folder in entries:
                if is_folder:
                    serial = _dissolve(name, top, serial)
                else:
                    os.unlink(name, dir_fd=top)
    finally:
        os.close(top)


def _list(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]


def _dissolve(name: str, top: int, serial: int) -> int:
    """Remove a folder; the folders in it move up to the top, where their turn comes."""
    os.chmod(name, 0o700, dir_fd=top)
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        for inner, is_folder in _list(folder):
            if not is_folder:
                os.unlink(inner, dir_fd=folder)
                continue
            os.chmod(inner, 0o700, dir_fd=folder)
            serial += 1
            fresh = f".{time.monotonic_ns()}-{serial}"
            os.rename(inner, fresh, src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
    return serial


def used_bytes(box: Path) -> float:
    """Bytes of all files in it, now; infinite for a tree that cannot be measured."""
    total, folders = 0, [str(box)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return float("inf")
            continue  # removed or locked since it was listed
    return total
