"""What edgebn does where there is no POSIX: run in a process of its own, `python without_posix.py FOLDER`; prints what it found.

Python's own modules and other people's packages are imported as they are. Then what Windows lacks is taken away, and edgebn is
imported and used. Nothing here is Windows: what its C library, its linker and its file system do otherwise is not seen.
"""

import getpass
import importlib
import io
import json
import os
import pkgutil
import platform
import signal
import sys
import threading
from pathlib import Path

import h5py  # noqa: F401
import numba  # noqa: F401
import numpy as np
import rich.console  # noqa: F401

MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
OF_OS = (
    *(
        "chown",
        "fchmod",
        "fork",
        "forkpty",
        "getegid",
        "geteuid",
        "getgid",
        "getgroups",
        "getloadavg",
        "getpgid",
        "getuid",
        "killpg",
    ),
    *(
        "mkfifo",
        "nice",
        "openpty",
        "pipe2",
        "posix_spawn",
        "register_at_fork",
        "sched_getaffinity",
        "sched_setaffinity",
        "sched_yield",
    ),
    *("setsid", "statvfs", "sysconf", "uname", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "WNOHANG"),
)
OF_SIGNAL = (
    *("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2", "alarm", "getitimer", "pthread_kill"),
    *("pthread_sigmask", "setitimer", "sigwait"),
)
NOWHERE = ("/proc", "/sys", "/dev", "/etc")
USER = ("LOGNAME", "USER", "LNAME", "USERNAME")


def take_away():
    """Make this process look like one on Windows."""
    for name in MODULES:
        sys.modules[name] = None  # importing it fails
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in USER:
        os.environ.pop(name, None)
    sys.platform = "win32"
    if platform.machine() == "x86_64":
        platform.machine = lambda: "AMD64"
    really_open, really_stat, opened = os.open, os.stat, io.open

    def open_file(path, *arguments, **options):
        if not isinstance(path, int) and Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))  # what Windows says of a folder
        return really_open(path, *arguments, **options)

    def refuse(path):
        if isinstance(path, str | os.PathLike) and str(path).startswith(NOWHERE):
            raise FileNotFoundError(2, "No such file or directory", str(path))

    def stat(path, *arguments, **options):
        refuse(path)
        return really_stat(path, *arguments, **options)

    def open_stream(path, *arguments, **options):
        refuse(path)
        return opened(path, *arguments, **options)

    os.open, os.stat, io.open = open_file, stat, open_stream


def import_all():
    """Import every module and return those that could not be, for want of something of POSIX."""
    failed = []
    for package in ("edgebn", "codegen", "boards"):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:  # a package that is not installed here
                if error.name in MODULES:
                    failed.append(f"{module.name}: {error}")
            except (AttributeError, ImportError) as error:
                failed.append(f"{module.name}: {error}")
    return failed


def write_at_once(folder):
    """Return whether a file that several threads write at once holds what one of them wrote, with nothing left beside it."""
    from edgebn.formats.whole_file import write_whole

    path = folder / "at_once"
    texts = [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return path.read_bytes() in texts and [one.name for one in folder.glob("*at_once*")] == ["at_once"]


def use(folder):
    """Load, quantise, run, adapt, save and generate; return what was found."""
    import codegen
    import edgebn
    from edgebn import reference
    from edgebn.cli.main import main
    from edgebn.kernels import cache, features, isa

    data = Path(edgebn.__file__).parent / "demo_data"
    images = np.load(data / "fashion_mnist_slice.npz")["images"][:40] / np.float32(255)
    program = edgebn.adaptable(edgebn.quantize(edgebn.load(data / "fashion_mnist.keras"), images), images)
    edgebn.save(program, folder / "model.edgebn")
    program = edgebn.load(folder / "model.edgebn")
    session = edgebn.Session(program)
    is_same = np.array_equal(session.run(images), reference.run(program, images))
    adapter = edgebn.Adapter(session)
    adapter.run(images)
    adapter.save(folder / "state.bnstate")
    edgebn.Adapter(edgebn.Session(program)).load(folder / "state.bnstate")
    codegen.emit(program, folder / "firmware")
    np.savez(folder / "images.npz", images=images)
    status = main(["run", str(folder / "model.edgebn"), str(folder / "images.npz"), "--key", "images", "--json"])
    return {
        "same": bool(is_same),
        "status": status,
        "firmware": (folder / "firmware" / "README.md").exists(),
        "set": isa.SELECTED.name,
        "machine": features.machine(),
        "threads": edgebn.Session(program, threads=2).run(images).tobytes() == session.run(images).tobytes(),
        "cache": str(cache.folder()),
        "state": (folder / "state.bnstate").stat().st_size,
    }


def tell(folder):
    """Print what was found, as one line of JSON, the last."""
    take_away()
    failed = import_all()
    try:
        user = getpass.getuser()
    except (ImportError, OSError):
        user = None
    print()
    print(json.dumps({"failed": failed, "at_once": write_at_once(folder), "user": user, **use(folder)}))


if __name__ == "__main__":
    tell(Path(sys.argv[1]))
