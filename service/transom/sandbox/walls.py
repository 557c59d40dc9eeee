"""The command line that puts a worker behind walls: what it can see, and nothing else."""

from __future__ import annotations

import functools
import importlib.util
import os
import pathlib
import sys
import sysconfig

import transom
from transom import errors

CODE = "/code"
_NEEDED = ("__init__.py", "errors.py", "rom", "sandbox")  # of the package: the worker imports no more
_LIBRARIES = ("brotli", "_brotli", "zstandard", "uefi_firmware")
_LOADER = ("/lib", "/lib64", "/lib32", "/libx32", "/usr/lib", "/usr/lib64")
_BUBBLEWRAP = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap")
_START = f"import sys; sys.path.append({CODE!r}); from transom.sandbox import worker; worker.main()"

_WAY_OUT = (
    "install bubblewrap (apt install bubblewrap) and allow user namespaces: sysctl kernel.unprivileged_userns_clone=1; in a "
    "container run the worker outside it or give it the right to create namespaces"
)


def bubblewrap() -> str:
    """Path of bwrap; ``errors.SandboxError`` with the way out when it is not installed."""
    found = next((path for path in _BUBBLEWRAP if os.access(path, os.X_OK)), None)
    if found is None:
        raise errors.SandboxError(
            "no bubblewrap on this machine: nothing is parsed without it", stage="walls", hint=_WAY_OUT
        )
    return found


def refused(reason: str) -> errors.SandboxError:
    """The error for a bwrap that could not build the walls."""
    text = f"the sandbox cannot be built: {reason}: nothing is parsed without it"
    return errors.SandboxError(text, stage="walls", hint=_WAY_OUT)


def command(seccomp_fd: int, job_fd: int) -> list[str]:
    """The whole argv. The filter comes by one descriptor, the job by another; inputs are further ones, open for reading only."""
    return [
        bubblewrap(),
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--uid", "65534", "--gid", "65534", "--hostname", "worker", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session"),
        *_view(),
        *("--remount-ro", "/", "--chdir", "/", "--seccomp", str(seccomp_fd)),
        # -I, -S: no environment, no user or site folders; -B: nothing is writable
        *("--", _python(), "-I", "-S", "-B", "-c", _START, str(job_fd)),
    ]


@functools.cache
def _view() -> tuple[str, ...]:
    """Mounts: the interpreter with its libraries, and this package's own files; all read-only."""
    arguments: list[str] = []
    for path in _roots():
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    package = pathlib.Path(transom.__file__).parent
    _compile(package)
    for name in _NEEDED:
        arguments += ["--ro-bind", str(package / name), f"{CODE}/transom/{name}"]
    for place in _libraries():
        arguments += ["--ro-bind", str(place), f"{CODE}/{place.name}"]
    return tuple(arguments)


def _roots() -> list[pathlib.Path]:
    """Folders of the loader, of the C library and of the interpreter, without those inside another."""
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    wanted = [pathlib.Path(path) for path in (*_LOADER, _python(), *standard)]
    shared = sysconfig.get_config_var("LIBDIR")
    if shared and sysconfig.get_config_var("Py_ENABLE_SHARED"):
        wanted.append(pathlib.Path(shared))
    return [path for path in dict.fromkeys(wanted) if not set(path.parents) & set(wanted)]


def _python() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


def _libraries() -> list[pathlib.Path]:
    """Where the decompressors are: module files or package folders. One that is missing shows when a file needs it."""
    places = []
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            origin = pathlib.Path(spec.origin)
            places.append(origin.parent if spec.submodule_search_locations else origin)
    return places


def _compile(package: pathlib.Path) -> None:
    """Byte-code, where it may be written: inside the walls nothing can be, and compiling each time costs 0.2 s."""
    for source in (*package.glob("*.py"), *(package / "rom").glob("*.py"), *(package / "sandbox").glob("*.py")):
        cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
        if source.name in ("__init__.py", "errors.py") or source.parent != package:
            try:
                if not cached.exists() or cached.stat().st_mtime < source.stat().st_mtime:
                    import py_compile  # only when it is needed: half of what starting costs beside click is imports

                    py_compile.compile(str(source))
            except OSError:
                return  # a read-only installation was compiled when it was installed
