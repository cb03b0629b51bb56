"""The system calls that a program may make, as a filter for the kernel (seccomp-bpf).

Everything is refused that is not named here. What a harmless program may try in passing (starting
a process, opening a socket) fails with EPERM and shows as a PermissionError; what only an attack
does (tracing, mounting, loading code into the kernel) kills the process with SIGSYS; what is in
no list does not exist (ENOSYS), which is how libc finds older ways of doing the same.

The policy is split in two filters, of which the kernel takes the stricter answer: one that a zygote
puts on itself once and its children inherit, and a small one that each child adds, against the
few calls that a zygote needs. Putting the whole of it on every child was measured to take an
eighth of the time of an execution.

Default-deny with a small allow-list follows the practice of OpenSSH's and Chromium's sandboxes.
"""

from __future__ import annotations

import ctypes
import errno
import signal
import struct
from typing import NamedTuple

from sandbox.kernel import syscalls
from sandbox.kernel.syscalls import Architecture


def _names(text: str) -> list[str]:
    return text.split()


ALLOWED = _names("""
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat close
close_range creat lseek dup dup2 dup3 pipe pipe2 flock fsync fdatasync fallocate ftruncate
sendfile copy_file_range splice tee
stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd chdir
fchdir getdents getdents64 statfs fstatfs
mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat umask
mmap munmap mprotect mremap madvise msync brk mincore membarrier mlock munlock
futex futex_waitv set_robust_list get_robust_list set_tid_address rseq arch_prctl sched_yield
sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
getcpu nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
timer_create timer_settime timer_gettime timer_getoverrun timer_delete
timerfd_create timerfd_settime timerfd_gettime alarm pause getitimer setitimer
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
restart_syscall signalfd4
poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
epoll_pwait2 eventfd2
sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername getsockopt setsockopt
getpid getppid gettid getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp getpgid
getsid capget getpriority getrlimit setrlimit getrusage sysinfo uname getrandom
exit exit_group wait4 waitid
""")

FORKING = ["fork", "vfork"]

# What a zygote does for its children, or a child before it is locked in.
KEEPING = _names("""
fork vfork clone kill tgkill prctl prlimit64 setsid pidfd_open chmod fchmod fchmodat fchmodat2
setpriority seccomp landlock_restrict_self
""")

REFUSED = _names("""
execve execveat socket connect bind listen accept accept4 tkill rt_sigqueueinfo rt_tgsigqueueinfo
setsid setpgid memfd_create memfd_secret shmget shmat shmctl shmdt semget semop semctl msgget
msgsnd msgrcv msgctl mq_open mq_unlink
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
truncate mknod mknodat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
setpriority sched_setaffinity sched_setscheduler sched_setparam sched_setattr ioprio_set
setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
sethostname setdomainname inotify_init1 fanotify_init personality chroot sync syncfs seccomp
pidfd_open pidfd_send_signal pidfd_getfd mlockall migrate_pages move_pages mbind
set_mempolicy
""")

DEADLY = _names("""
ptrace process_vm_readv process_vm_writev process_madvise kcmp mount umount2 pivot_root move_mount
open_tree fsopen fsconfig fsmount fspick mount_setattr bpf keyctl add_key request_key kexec_load
kexec_file_load init_module finit_module delete_module userfaultfd perf_event_open setns unshare
io_uring_setup io_uring_enter io_uring_register io_setup io_submit reboot swapon swapoff iopl
ioperm acct settimeofday clock_settime clock_adjtime adjtimex quotactl name_to_handle_at
open_by_handle_at syslog vhangup modify_ldt lookup_dcookie nfsservctl
""")

# Return values of a filter.
ALLOW = 0x7FFF0000
KILL = 0x80000000  # the whole process, with SIGSYS


def fail(number: int) -> int:
    """The return value that makes a call fail with this errno."""
    return 0x00050000 | number


_LOAD, _JEQ, _JGE, _JSET, _JUMP, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x05, 0x54, 0x06
_NR, _ARCH = 0, 4
_X32 = 0x40000000

_CLONE_THREAD = 0x00010000
_ISATTY_LIKE = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451, 0x541B)  # TCGETS ... FIONREAD
_FCNTL_SIGNALS = (8, 10, 15, 1024, 1026)  # SETOWN, SETSIG, SETOWN_EX, SETLEASE, NOTIFY
_PR_NAMES = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_O_ACCMODE, _O_TRUNC = 3, 0o1000
_AF_UNIX = 1

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
Block = list[Instruction]


def _argument(index: int) -> Instruction:
    # The low half of a 64-bit argument comes first: both architectures are little-endian.
    return (_LOAD, 0, 0, 16 + 8 * index)


def _is_in(index: int, values: tuple[int, ...], hit: int, miss: int) -> list[Instruction]:
    """Compare the low half of an argument: return `hit` if it is one of `values`, else `miss`."""
    block = [_argument(index)]
    block += [(_JEQ, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [*block, (_RETURN, 0, 0, miss), (_RETURN, 0, 0, hit)]


class Filter(NamedTuple):
    """A compiled filter. `pid_slots` are the places of its process's own id, known only later."""

    code: bytes
    pid_slots: tuple[int, ...]

    def packed(self, pid: int) -> bytes:
        """The program as the kernel reads it, for the process `pid`."""
        code = bytearray(self.code)
        for slot in self.pid_slots:
            struct.pack_into("=I", code, slot * 8 + 4, pid)
        return bytes(code)


_OWN_PID = -1  # stands for the pid until `Filter.packed`


def shared_filter(machine: Architecture) -> Filter:
    """All of the policy, but for the calls that a zygote needs."""
    blocks = _policy(machine, forks=False)
    for name in KEEPING:
        if name in machine.numbers:
            blocks[machine.numbers[name]] = [(_RETURN, 0, 0, ALLOW)]
    return _compile(machine, blocks, [(_RETURN, 0, 0, fail(errno.ENOSYS))])


def own_filter(machine: Architecture, *, forks: bool) -> Filter:
    """The policy for those calls; `forks` where an environment allows child processes."""
    policy = _policy(machine, forks=forks)
    blocks = {}
    for name in KEEPING:
        if name in machine.numbers:
            number = machine.numbers[name]
            blocks[number] = policy.get(number, [(_RETURN, 0, 0, fail(errno.ENOSYS))])
    return _compile(machine, blocks, [(_RETURN, 0, 0, ALLOW)])


def _policy(machine: Architecture, *, forks: bool) -> dict[int, Block]:
    """What becomes of each call that has a name here, by its number."""
    numbers = machine.numbers
    denied = fail(errno.EPERM)
    verdicts = {numbers[name]: ALLOW for name in ALLOWED if name in numbers}
    verdicts |= {numbers[name]: denied for name in REFUSED if name in numbers}
    verdicts |= {numbers[name]: KILL for name in DEADLY if name in numbers}
    for name in FORKING:
        if name in numbers:
            verdicts[numbers[name]] = ALLOW if forks else denied
    blocks: dict[int, Block] = {
        number: [(_RETURN, 0, 0, verdict)] for number, verdict in verdicts.items()
    }
    rules = _argument_rules(forks)
    return blocks | {numbers[name]: block for name, block in rules.items() if name in numbers}


def _compile(machine: Architecture, blocks: dict[int, Block], otherwise: Block) -> Filter:
    lines: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JEQ, 1, 0, machine.audit),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NR),
    ]
    if machine.name == "x86_64":
        lines += [(_JGE, 0, 1, _X32), (_RETURN, 0, 0, KILL)]
    lines += _search(_ranges(blocks, otherwise))
    slots = tuple(at for at, line in enumerate(lines) if line[3] == _OWN_PID)
    clean = [(c, t, f, 0 if k == _OWN_PID else k) for c, t, f, k in lines]
    return Filter(b"".join(struct.pack("=HBBI", *line) for line in clean), slots)


def _argument_rules(forks: bool) -> dict[str, list[Instruction]]:
    """Calls whose arguments decide. Each block ends in returns, whatever the arguments are."""
    denied = fail(errno.EPERM)
    allow, deny = (_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, denied)

    def signals(where: int) -> list[Instruction]:
        # Only to itself, and no SIGKILL: a death by SIGKILL then always comes from outside.
        return [
            _argument(0),
            (_JEQ, 1, 0, _OWN_PID),
            deny,
            _argument(where),
            (_JEQ, 0, 1, int(signal.SIGKILL)),
            deny,
            allow,
        ]

    def opening(flags: int) -> list[Instruction]:
        # Reading and truncating at once: old landlock versions do not see the truncation.
        return [
            _argument(flags),
            (_JSET, 0, 3, _O_TRUNC),
            (_AND, 0, 0, _O_ACCMODE),
            (_JEQ, 0, 1, 0),
            deny,
            allow,
        ]

    threads: list[Instruction] = [_argument(0), (_JSET, 0, 1, _CLONE_THREAD), allow, deny]
    return {
        "kill": signals(1),
        "tgkill": signals(2),
        "open": opening(1),
        "openat": opening(2),
        "clone": [allow] if forks else threads,
        "clone3": [(_RETURN, 0, 0, fail(errno.ENOSYS))],  # its flags are out of a filter's sight
        "fcntl": _is_in(1, _FCNTL_SIGNALS, denied, ALLOW),
        "ioctl": _is_in(1, _ISATTY_LIKE, ALLOW, fail(errno.ENOTTY)),
        "prctl": _is_in(0, _PR_NAMES, ALLOW, denied),
        "prlimit64": _is_in(0, (0,), ALLOW, denied),
        "socketpair": _is_in(0, (_AF_UNIX,), ALLOW, denied),
    }


def _ranges(blocks: dict[int, Block], otherwise: Block) -> list[tuple[int, Block]]:
    """Neighbouring numbers with one answer as one entry: where each begins, and its answer."""
    ranges: list[tuple[int, Block]] = []
    for number in range(max(blocks) + 2):
        block = blocks.get(number, otherwise)
        if not ranges or block != ranges[-1][1]:
            ranges.append((number, block))
    return ranges


def _search(ranges: list[tuple[int, Block]]) -> Block:
    """A binary search for the number: the kernel runs a new filter once for every call it has."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    low, high = _search(ranges[:middle]), _search(ranges[middle:])
    return [(_JGE, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def install(code: bytes) -> None:
    """Put a packed filter on this process. Needs no_new_privs; cannot be undone.

    Raises:
        OSError: if the kernel refuses.
    """
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    set_mode_filter = 1
    syscalls.call("seccomp", set_mode_filter, 0, ctypes.byref(program))
