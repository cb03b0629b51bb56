"""File access by allow-list (Linux's landlock): what is not named can be neither read nor written.

Works without privileges, and each version of the kernel's interface adds rights that we then
handle as well; what an old version does not see, the system call filter refuses.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from sandbox.kernel import syscalls

_CREATE_VERSION = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(1, 6))
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FS_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # number of rights; 16 from version 5 on

READ = _READ_FILE | _READ_DIR
WRITE = _WRITE_FILE | _READ_FILE | _TRUNCATE
OWN = WRITE | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER
_FILE_RIGHTS = WRITE


class _Attributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """The kernel's landlock version, at least 1.

    Raises:
        OSError: if there is none (not built in, or not enabled at boot).
    """
    return syscalls.call("landlock_create_ruleset", None, 0, _CREATE_VERSION)


def ruleset(rights: Iterable[tuple[str, int]]) -> int:
    """A descriptor of rules `(path, READ | WRITE | OWN)`; paths that do not exist are left out.

    Raises:
        OSError: if the kernel refuses.
    """
    abi = version()
    handled = (1 << _FS_RIGHTS_BY_VERSION.get(abi, 16)) - 1
    # Versions 4 and 6 add TCP ports, and signals and abstract sockets: none of them is allowed.
    attributes = _Attributes(handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    rules = syscalls.call("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    for path, allowed in rights:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                allowed &= _FILE_RIGHTS
            rule = _PathBeneath(allowed & handled, fd)
            syscalls.call("landlock_add_rule", rules, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(fd)
    return rules


def restrict(rules: int) -> None:
    """Apply a ruleset to this process and all that it starts. Needs no_new_privs."""
    syscalls.call("landlock_restrict_self", rules, 0)
