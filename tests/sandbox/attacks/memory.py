"""Memory of others, and calls that only an attack makes."""

from attacks.attack import CALL, Subject

# fmt: off
subject = Subject("memory inspection")
add = subject.add

add("maps of its keeper", "landlock", "open(f'/proc/{os.getppid()}/maps').read()")
add("memory of its keeper", "landlock", "open(f'/proc/{os.getppid()}/mem', 'rb')")
add("its own memory as a file", "landlock", "open('/proc/self/mem', 'r+b')", alone="L2")
add("becomes dumpable", "seccomp",
    "import ctypes\nif ctypes.CDLL(None).prctl(4, 1) != 0: raise PermissionError",
    alone="L3")

# x86-64 numbers of calls that end the process.
_DEADLY = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "mount": 165,
    "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308, "bpf": 321,
    "io_uring_setup": 425, "userfaultfd": 323, "perf_event_open": 298, "add_key": 248,
    "init_module": 175, "kexec_load": 246, "reboot": 169, "open_by_handle_at": 304, "iopl": 172,
    "clock_settime": 227, "modify_ldt": 154, "fsopen": 430,
}
for _name, _number in _DEADLY.items():
    add(f"calls {_name}", "seccomp",
        f"try: call({_number}, 0, 0, 0, 0, 0)\nexcept OSError: pass\nprint('THROUGH', flush=True)",
        "violation", top=CALL, machine="x86_64",
        alone="L3" if _name in ("ptrace", "kcmp", "io_uring_setup") else "")
add("second table of calls", "seccomp", "call(0x40000000 + 39)", "violation",
    top=CALL, machine="x86_64")
add("a call that nobody knows", "seccomp", "call(1999)", top=CALL)
