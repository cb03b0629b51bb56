"""A small world of its own for a zygote: user, process, network, mount, IPC and host names.

Made once for a slot, not once for a candidate: with the system call filter on top, a namespace
per child was measured to cost a third of the throughput and to stop nothing more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
from collections.abc import Iterable
from pathlib import Path

from sandbox.kernel import syscalls

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET, _NEWCGROUP = 0x10000000, 0x20000000, 0x40000000, 0x02000000

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_NOATIME, _NODIRATIME, _RELATIME = 1024, 2048, 1 << 21
_DETACH = 2

# Options of a mount that a user namespace may not take away, as statvfs and as mount spell them.
_KEEP = {2: _NOSUID, 4: _NODEV, 8: _NOEXEC, 1024: _NOATIME, 2048: _NODIRATIME, 4096: _RELATIME}

BOX = "/box"  # the only place to write to, inside
_INSIDE_ID = 1000


def enter(
    readable: Iterable[str], devices: Iterable[str], hidden: Iterable[str], box_bytes: int
) -> None:
    """Move this process into new namespaces; returns in a child of it, as process 1 in there.

    The calling process stays outside as a shim: it waits for the child and exits as it did.

    Args:
        readable: files and folders to be seen inside, read-only, under the same names.
        devices: character devices to be seen inside, to be read and written.
        hidden: folders below `readable` that are covered by an empty one.
        box_bytes: size of the temporary file system at `BOX`, the only place to write to.

    Raises:
        OSError: with the step that this machine refuses.
    """
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {group} 1")
    syscalls.unshare(_NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS | _NEWCGROUP)
    _build_root(readable, devices, hidden, box_bytes)
    _become_first_process()


def _build_root(
    readable: Iterable[str], devices: Iterable[str], hidden: Iterable[str], box_bytes: int
) -> None:
    syscalls.mount("none", "/", None, _REC | _PRIVATE)
    sources = [(path, _open_path(path)) for path in readable if os.path.lexists(path)]
    nodes = [(path, _open_path(path)) for path in devices if Path(path).exists()]
    # Everything is mounted from descriptors, so the new root may cover what it is built from.
    root = "/tmp"
    syscalls.mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=4096,mode=755")
    os.chdir(root)
    for path, fd in sorted(sources):
        _show(path, fd, root, read_only=True)
    for path in hidden:
        if Path(root + path).is_dir():
            flags = _NOSUID | _NODEV | _NOEXEC | _RDONLY
            syscalls.mount("tmpfs", root + path, "tmpfs", flags, "size=4k,mode=755")
    for path, fd in nodes:
        _show(path, fd, root, read_only=False)
    Path(root + BOX).mkdir(exist_ok=True)
    options = f"size={box_bytes},nr_inodes=2048,mode=700"
    syscalls.mount("tmpfs", root + BOX, "tmpfs", _NOSUID | _NODEV | _NOEXEC, options)
    here = ctypes.c_char_p(b".")
    syscalls.call("pivot_root", here, here)
    syscalls.unmount(".", _DETACH)
    os.chdir("/")
    syscalls.mount("none", "/", None, _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)


def _open_path(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


def _show(path: str, fd: int, root: str, *, read_only: bool) -> None:
    """Make `path` visible under the new root; closes `fd`. Parents that are links stay links."""
    target = Path(root + path)
    mode = os.fstat(fd).st_mode
    try:
        if target.exists() or target.is_symlink():
            return  # below something that is already there
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            target.symlink_to(os.readlink("", dir_fd=fd))
            return
        if stat.S_ISDIR(mode):
            target.mkdir()
        else:
            target.touch()
        source = f"/proc/self/fd/{fd}"
        syscalls.mount(source, str(target), None, _BIND | (_REC if read_only else 0))
        found = os.statvfs(target).f_flag
        flags = _BIND | _REMOUNT | _NOSUID | (_RDONLY | _NODEV if read_only else _NOEXEC)
        for seen, wanted in _KEEP.items():
            if found & seen and not (seen == _NODEV and not read_only):
                flags |= wanted
        syscalls.mount("none", str(target), None, flags)
    finally:
        os.close(fd)


def _become_first_process() -> None:
    child = os.fork()
    if child == 0:
        # Dies with the shim; end of file on the control socket covers what this cannot.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    os.closerange(0, 4096)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
