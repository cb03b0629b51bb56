"""Where a journal may lie: SQLite's write-ahead log needs a disk of this machine."""

from __future__ import annotations

from pathlib import Path

from elm.journal.error import JournalError

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs",
            "beegfs", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.ceph"}  # fmt: skip


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Type of the file system that `path` lies on ("ext4"), or None where the system won't say."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    path = path.resolve()
    best, kind = -1, None
    for line in lines:
        _, where, found, *_ = line.split()
        point = Path(where.replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), found
    return kind


def refuse_network_disk(path: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raises JournalError where `path` lies on a network file system."""
    kind = file_system(path, mounts)
    if kind in _NETWORK:
        raise JournalError(
            f"{path}: lies on a network file system ({kind}), whose locks SQLite's write-ahead log "
            "cannot rely on; set run_dir to a folder on a local disk"
        )
