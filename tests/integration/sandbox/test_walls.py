"""Attempts to get out of the worker, or to use more than it may: each runs inside the real walls, and each must fail."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from patience import until
from transom import errors
from transom.sandbox import limits, run, seccomp, walls

SMALL = limits.Limits(memory=256 << 20, cpu=2, wall=20)


def walled(code: str, *, before: limits.Limits | None = None, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run Python in the worker's place, behind the same walls; ``before`` has the worker's own limits set first."""
    start = ""
    if before:
        given = {"memory": before.memory, "cpu": before.cpu, "input": before.input}
        start = f"from transom.sandbox import worker; worker._limit({given})\n"
    with contextlib.ExitStack() as stack:
        filter_fd = run._memory(stack, seccomp.program())
        argv = walls.command(filter_fd, filter_fd)
        argv[argv.index(walls._START)] = f"import sys; sys.path.append({walls.CODE!r})\n{start}{textwrap.dedent(code)}"
        return subprocess.run(
            argv,
            env={},
            pass_fds=(filter_fd,),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )


def outcome(code: str, *, before: limits.Limits | None = None) -> str:
    """What the code says: it prints one word for what happened."""
    done = walled(code, before=before)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def tried(statement: str, *, before: limits.Limits | None = None) -> str:
    """The name of the error that a statement ends with, or ``worked``."""
    code = f"""
    import os, socket, ctypes, sys
    try:
        {statement}
        print("worked")
    except OSError as wrong:
        print(type(wrong).__name__)
    """
    return outcome(code, before=before)


def test_the_walls_let_plain_python_work() -> None:
    assert tried("open('/code/transom/errors.py').read()") == "worked"


@pytest.mark.parametrize(
    "statement",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socketpair()",
    ],
)
def test_no_network(statement: str) -> None:
    assert tried(statement) == "PermissionError"


def test_a_listener_on_the_host_is_never_reached() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.5)
        code = f"socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}), 2)"
        assert tried(code) == "PermissionError"
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/shadow",
        "/home",
        "/proc/1/environ",
        "/proc",
        "/sys",
        "/dev/null",
        "/var",
        "/run",
    ],
)
def test_host_files_are_not_there(path: str) -> None:
    assert tried(f"os.stat({path!r})") == "FileNotFoundError"


def test_files_of_the_hosts_tmp_are_not_there(tmp_path: pathlib.Path) -> None:
    """The folder itself may be: as a mere mount point, when the interpreter lies below it."""
    file = tmp_path / "secret"
    file.write_text("x")
    assert tried(f"os.stat({str(file)!r})") == "FileNotFoundError"


def test_a_secret_beside_the_input_is_not_there(tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert tried(f"open({str(tmp_path / 'secret')!r})") == "FileNotFoundError"


def test_only_the_workers_own_code_is_there() -> None:
    shown = outcome("import os; print(sorted(os.listdir('/code/transom')), sorted(os.listdir('/')))")
    package, root = shown.split("] [")
    assert package == "['__init__.py', 'errors.py', 'rom', 'sandbox'"
    assert "etc" not in root or outcome("import os; print(os.listdir('/etc'))") == "['ld.so.cache']"


def test_environment_is_empty() -> None:
    os.environ["TRANSOM_SECRET"] = "hidden"
    try:
        shown = outcome("import os; print({k: v for k, v in os.environ.items() if k not in ('PWD', 'LC_CTYPE')})")
    finally:
        del os.environ["TRANSOM_SECRET"]
    assert shown == "{}"


@pytest.mark.parametrize("path", ["/x", "/code/x", "/code/transom/rom/pe.py", "/usr/lib/x", "/lib/x"])
def test_nothing_can_be_written(path: str) -> None:
    assert tried(f"open({path!r}, 'ab')") in ("OSError", "PermissionError")


def test_an_input_cannot_be_written(tmp_path: pathlib.Path) -> None:
    kept = tmp_path / "in"
    kept.write_bytes(b"before")
    with contextlib.ExitStack() as stack:
        given = run._open(stack, kept, 100)
        filter_fd = run._memory(stack, seccomp.program())
        argv = walls.command(filter_fd, given)
        argv[argv.index(walls._START)] = "import os, sys; os.write(int(sys.argv[1]), b'after')"
        done = subprocess.run(argv, env={}, pass_fds=(filter_fd, given), capture_output=True, text=True)
    assert "Bad file descriptor" in done.stderr
    assert kept.read_bytes() == b"before"


@pytest.mark.parametrize(
    "statement",
    [
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.symlink('/etc', '/x')",
        "os.link('/code/transom/errors.py', '/x')",
        "os.kill(1, 9)",
        "os.chroot('/')",
        "os.mkfifo('/x')",
        "os.setuid(0)",
    ],
)
def test_calls_that_are_filtered(statement: str) -> None:
    assert tried(statement) in ("PermissionError", "OSError", "FileNotFoundError")


@pytest.mark.parametrize(
    ("name", "number"),
    [("mount", 165), ("unshare", 272), ("setns", 308), ("ptrace", 101), ("bpf", 321), ("io_uring_setup", 425),
     ("clone", 56), ("keyctl", 250), ("process_vm_readv", 310), ("userfaultfd", 323), ("perf_event_open", 298)],
)  # fmt: skip
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
def test_raw_system_calls_are_refused(name: str, number: int) -> None:
    assert name
    code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    assert outcome(code) == "-1 1"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is x86_64's")
def test_the_x32_door_is_shut() -> None:
    code = "import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall(0x40000000 + 57), ctypes.get_errno())"
    assert outcome(code) == "-1 1"


def test_threads_cannot_be_made() -> None:
    code = """
    import _thread
    try:
        _thread.start_new_thread(print, ("x",))
        print("worked")
    except RuntimeError:
        print("refused")
    """
    assert outcome(code) == "refused"


def test_memory_ends() -> None:
    code = """
    try:
        bytearray(400 << 20)
        print("worked")
    except MemoryError:
        print("refused")
    """
    assert outcome(code, before=SMALL) == "refused"


def test_cpu_ends() -> None:
    started = time.monotonic()
    done = walled("while True: pass", before=limits.Limits(cpu=1))
    assert done.returncode in (128 + signal.SIGXCPU, 128 + signal.SIGKILL)
    assert time.monotonic() - started < 15


def test_dies_with_its_parent(tmp_path: pathlib.Path) -> None:
    script = f"""
import contextlib, os, pathlib, subprocess, sys
from transom.sandbox import run, seccomp, walls
with contextlib.ExitStack() as stack:
    fd = run._memory(stack, seccomp.program())
    argv = walls.command(fd, fd)
    argv[argv.index(walls._START)] = "import time; print('up', flush=True); time.sleep(600)"
    child = subprocess.Popen(argv, env={{}}, pass_fds=(fd,), stdout=subprocess.PIPE)
    child.stdout.readline()
    pathlib.Path({str(tmp_path / "pids")!r}).write_text(" ".join(map(str, [child.pid, os.getpid()])))
    child.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        pids = until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().split())
        below = until(lambda: children(int(pids[0])))
        workers = [*below, *(grand for one in below for grand in children(one))]
        assert any(alive(pid) for pid in workers)
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(alive(pid) for pid in workers))


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_filter_is_for_known_machines_only() -> None:
    for machine in ("x86_64", "aarch64"):
        program = seccomp.program(machine)
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096
    with pytest.raises(errors.SandboxError, match="no system call filter for riscv64"):
        seccomp.program("riscv64")


def test_no_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.efi").write_bytes(b"MZ")
    monkeypatch.setattr(walls, "_BUBBLEWRAP", (str(tmp_path / "bwrap"),))
    with pytest.raises(errors.SandboxError, match="apt install bubblewrap") as wrong:
        run.run("inspect", (run.Input(tmp_path / "x.efi"),))
    assert wrong.value.stage == "walls"


@pytest.mark.skipif(os.geteuid() != 0, reason="limits namespaces of a user namespace that it makes")
def test_forbidden_namespaces_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.efi").write_bytes(b"MZ")
    code = (
        "import pathlib; from transom import errors; from transom.sandbox import run\n"
        f"try: run.run('inspect', (run.Input(pathlib.Path({str(tmp_path / 'x.efi')!r})),))\n"
        "except errors.SandboxError as wrong: print(wrong)\n"
    )
    inside = f'echo 0 > /proc/sys/user/max_user_namespaces; exec "{sys.executable}" -c "$0"'
    done = subprocess.run(["unshare", "-U", "-r", "sh", "-c", inside, code], capture_output=True, text=True)
    if "unshare" in done.stderr:
        pytest.skip("user namespaces are not allowed here at all")
    assert "the sandbox cannot be built" in done.stdout
    assert "nothing is parsed without it" in done.stdout
    assert "kernel.unprivileged_userns_clone" in done.stdout


def test_answers_are_plain_json(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"nothing")
    answer = run.run("inspect", (run.Input(tmp_path / "x.bin"),))
    assert json.loads(json.dumps(answer.result))["kind"] == "unknown"
