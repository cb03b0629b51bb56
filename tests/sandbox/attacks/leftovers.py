"""What one program leaves for the next. The trial after each looks whether it finds anything."""

from attacks.attack import Subject

# fmt: off
subject = Subject("leftovers")
add = subject.add

for name, body in (
    ("files in its box", "os.makedirs('a/b'); open('a/b/c', 'w').write('x'); open('.h', 'w')"),
    ("a locked folder", "os.mkdir('locked', 0); os.symlink('/', 'link')"),
    ("a folder full of links", "for n in range(100): os.symlink('..', str(n))"),
    ("names that are not text", "open(b'\\xff\\xfe', 'w').close(); open('\\n', 'w').close()"),
    ("an open file that was removed", "f = open('f', 'w'); os.unlink('f'); f.write('x')"),
    ("environment", "os.environ['LEFT'] = '1'"),
    ("a builtin", "import builtins; builtins.LEFT = 1"),
    ("an attribute of a module", "os.LEFT = sys.LEFT = 1"),
    ("a module", "sys.modules['left'] = sys"),
    ("a broken module", "sys.modules['json'] = None"),
    ("an import hook", "sys.meta_path.insert(0, None); sys.path.append('/box')"),
    ("a recursion limit", "sys.setrecursionlimit(50_000)"),
    ("a handler", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
    ("a seed", "import random; random.seed = None; random.random()"),
    ("a working folder", "os.mkdir('d'); os.chdir('d'); os.rmdir('../d')"),
    ("a mask of modes", "os.umask(0o777)"),
    ("a lock that is held", "import _imp; _imp.acquire_lock()"),
    ("a thread", "import threading; threading.Thread(target=time.sleep, args=(60,)).start()"),
    ("a time zone", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()"),
    ("a blocked signal",
     "import signal; signal.pthread_sigmask(0, [signal.SIGTERM, signal.SIGINT])"),
    ("its streams shut", "os.close(0); os.close(1); os.close(2)"),
):
    add(name, "fork", body + "\nreturn 2", "ok")
