"""Files of others: reading, changing, making, finding out."""

from attacks.attack import Subject

# fmt: off
subject = Subject("files")
add = subject.add

# Out of or into the box: another file system may stand in the way as well.
ACROSS = ("swaps two files", "moves a file into its box", "moves its file out")

# Landlock alone stands before these at L2, where the whole file system is there to be seen.
for name, body in (
    ("reads a file", "open(SECRET).read()"),
    ("reads by descriptor", "os.read(os.open(SECRET, os.O_RDONLY), 9)"),
    ("maps a file", "import mmap; mmap.mmap(os.open(SECRET, os.O_RDONLY), 0, prot=1)[:3]"),
    ("reads through a link", "os.symlink(SECRET, 'l'); open('l').read()"),
    ("reads relative to a folder",
     "d = os.open(OUTSIDE, os.O_PATH); os.open('secret.txt', os.O_RDONLY, dir_fd=d)"),
    ("reads after going there", "os.chdir(OUTSIDE); open('secret.txt').read()"),
    ("reads up from its box", "open(os.path.relpath(SECRET)).read()"),
    ("lists a folder", "os.listdir(OUTSIDE)"),
    ("walks a folder by descriptor", "os.listdir(os.open(OUTSIDE, os.O_RDONLY))"),
    ("overwrites a file", "open(SECRET, 'w')"),
    ("appends to a file", "open(SECRET, 'a').write('x')"),
    ("truncates a file", "os.ftruncate(os.open(SECRET, os.O_WRONLY), 0)"),
    ("writes beside its box", "open(OUTSIDE + '/leak', 'w')"),
    ("makes a folder outside", "os.mkdir(OUTSIDE + '/leak')"),
    ("links outside", "os.symlink('/', OUTSIDE + '/leak')"),
    ("removes a file", "os.unlink(SECRET)"),
    ("renames a file", "os.rename(SECRET, SECRET + '-leak')"),
    ("moves a file into its box", "os.rename(SECRET, 'x')"),
    ("moves its file out", "open('leak', 'w').close(); os.rename('leak', OUTSIDE + '/leak')"),
    ("swaps two files",
     "open('x', 'w').close(); import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
     "if libc.renameat2(-100, b'x', -100, SECRET.encode(), 2): raise PermissionError"),
    ("writes to /tmp", "open('/tmp/elm-leak', 'w')"),
    ("writes to shared memory's folder", "open('/dev/shm/elm-leak', 'w')"),
):
    alone = "L2" if name not in ACROSS else ""
    add(name, "landlock", body, alone=alone)

for name, body in (
    ("hard link to a file", "os.link(SECRET, 'l')"),
    ("writes into the library", "open(os.path.dirname(os.__file__) + '/elm-leak.py', 'w')"),
    ("opens a disk", "open('/dev/sda', 'rb')"),
    ("opens the memory of the machine", "open('/dev/mem', 'rb')"),
    ("opens a terminal", "open('/dev/tty', 'w')"),
    ("opens the kernel's log", "open('/dev/kmsg')"),
    ("makes a terminal", "os.openpty()"),
    ("reads the account file", "open('/etc/passwd').read()"),
    ("changes the kernel's settings", "open('/proc/sys/kernel/core_pattern', 'w')"),
):
    add(name, "landlock", body)

for name, body in (
    ("truncates while reading", "os.open(SECRET, os.O_RDONLY | os.O_TRUNC)"),
    ("truncates by name", "os.truncate(SECRET, 0)"),
    ("changes a mode", "os.chmod(SECRET, 0o777)"),
    ("changes an owner", "os.chown(SECRET, -1, -1)"),
    ("changes a time", "os.utime(SECRET)"),
):
    add(name, "seccomp", body)

for name, body in (
    ("sets user id on its own file", "open('f', 'w').close(); os.chmod('f', 0o4755)"),
    ("gives its own file away", "open('f', 'w').close(); os.chown('f', -1, -1)"),
    ("changes the time of its own file", "open('f', 'w').close(); os.utime('f', (1, 1))"),
    ("hides what it holds in a memory file", "os.memfd_create('leak')"),
    ("watches files", "import ctypes\nif ctypes.CDLL(None).inotify_init1(0) < 0: raise OSError"),
):
    add(name, "seccomp", body, alone="L3")

add("device node", "seccomp",
    "import stat; os.mknod('d', 0o600 | stat.S_IFCHR, os.makedev(1, 1))")
add("pipe with a name", "seccomp", "os.mkfifo('p')")
add("extended attribute", "seccomp", "os.setxattr('.', 'user.x', b'1')")
add("changes root", "seccomp", "os.chroot('.')")

# What landlock does not govern: names, sizes and times. Only another root hides them.
for name, body in (
    ("finds out a size", "os.stat(SECRET)"),
    ("finds out that a file is there", "if not os.path.exists(SECRET): raise PermissionError"),
    ("asks for permissions", "if not os.access(SECRET, os.F_OK): raise PermissionError"),
    ("measures a file system", "os.statvfs(OUTSIDE)"),
    ("goes to another folder", "os.chdir(OUTSIDE)"),
    ("reads where a link leads", "os.readlink(OUTSIDE + '/link')"),
):
    add(name, "namespaces", body, alone="L3")
