"""One running node: bubblewrap around sshd, and inside it the private root where uid 0 is the lab's own user.

Two user namespaces, because sshd cannot run as uid 0 where only one uid is mapped: it would drop its privileges to uids that
do not exist. The outer has uid 1000, which sshd knows as ``root``; the inner, made once and entered by each session with
nsenter, has uid 0 with all capabilities over the node's own files. Needs no privilege on the host, and gains none when the
host user is root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from transom import errors
from transom.lab import espmenu, platform, sysctl

PROC = "/opt/lab/proc"
"""Where the real procfs is, inside a node."""
QEMUS = "/run/lab-qemu"
"""What ``/proc`` says of the lab's QEMUs, which are no processes, inside a node."""
QEMU_PIDS = range(2001, 2101)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SSHD_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey /lab/ssh/host_key
AuthorizedKeysFile /node/root/.ssh/authorized_keys
AllowUsers root
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
DisableForwarding yes
PermitUserRC no
PermitUserEnvironment no
PrintMotd no
PrintLastLog no
UseDNS no
PidFile none
MaxStartups 200
MaxSessions 100
LogLevel INFO
"""

# The fifo is read when the inner namespace stands; sshd starts only then. PID 1 is bubblewrap; when this script ends, all ends.
KEEPER = """\
#!/bin/sh
mkfifo /tmp/ready
bwrap --dev-bind /node / --unshare-user --uid 0 --gid 0 --die-with-parent -- \\
  /bin/sh -c 'cat /opt/lab/control/journal >>/var/log/syslog; echo $$; exec </dev/null >/dev/null 2>&1; exec sleep infinity' \\
  >/tmp/ready &
read -r inner </tmp/ready || exit 1
echo "$inner" >/lab/inner.pid
[ ! -d /node/etc/systemd/system/sysinit.target.wants ] || /lab/enter -c lab-timers &
{sshd} -D -e -f /lab/ssh/sshd_config 2>>/lab/sshd.log &
echo $$ >/lab/control/keeper.pid
wait $!
"""

# root's login shell as sshd sees it
ENTER = """\
#!/bin/sh
export SHELL=/bin/bash HOME=/root USER=root LOGNAME=root PATH={path}
read -r inner </lab/inner.pid
if [ $# = 0 ]; then
  exec nsenter -t "$inner" -U -m --preserve-credentials -- /bin/sh -c 'cd; exec /bin/bash -l'
fi
exec nsenter -t "$inner" -U -m --preserve-credentials -- /bin/sh -c 'cd; exec /bin/bash "$@"' bash "$@"
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one node lives on disk."""

    folder: Path

    @property
    def root(self) -> Path:
        """The node's private root."""
        return self.folder / "root"

    @property
    def proc(self) -> Path:
        """Files that lie over ``/proc``."""
        return self.folder / "proc"

    @property
    def lab(self) -> Path:
        """What sshd's own world needs; not visible inside the node."""
        return self.folder / "lab"

    @property
    def control(self) -> Path:
        """Where the node finds this boot's journal and asks for a reboot; visible inside as ``/opt/lab/control``."""
        return self.lab / "control"


def write_config(place: Place, *, port: int) -> None:
    """The files of sshd's world: its configuration, users, and the scripts that keep and enter the node."""
    ssh = place.lab / "ssh"
    for folder in (ssh, place.control):
        folder.mkdir(parents=True, exist_ok=True)
    (ssh / "sshd_config").write_text(SSHD_CONFIG.format(port=port))
    (place.lab / "passwd").write_text("root:x:1000:1000:root:/:/lab/enter\n")
    (place.lab / "group").write_text("root:x:1000:\n")
    for name, text in (
        ("keeper", KEEPER.format(sshd=platform.program("sshd"))),
        ("enter", ENTER.format(path=PATH)),
    ):
        (place.lab / name).write_text(text)
        (place.lab / name).chmod(0o755)


def write_proc(place: Place, texts: Mapping[str, str]) -> list[str]:
    """Makes the node's ``/proc``: ``texts`` by path, links to the real one for the rest. Returns the paths to be bound over it.

    Not a procfs with files over it, because a kernel without loadable modules has no ``/proc/modules`` to put one over.
    """
    if place.proc.exists():
        shutil.rmtree(place.proc)
    place.proc.mkdir()
    for pid in QEMU_PIDS:
        (place.proc / str(pid)).symlink_to(f"{QEMUS}/{pid}")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() and entry.name not in texts:
            (place.proc / entry.name).symlink_to(f"{PROC}/{entry.name}")
    over = []
    for path, text in texts.items():
        below = "/" in path
        (place.proc / path.replace("/", ".")).write_text(text)
        over += [path] if below else []
    return over


def argv(place: Place, usr: Path, hostname: str, over: Sequence[str]) -> list[str]:
    """The command that is the node. ``over``: what ``write_proc`` returned."""
    root, node = place.root, "/node"
    args = [
        platform.program("bwrap"),
        "--unshare-user",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--unshare-pid",
        "--unshare-ipc",
    ]
    args += ["--unshare-uts", "--hostname", hostname, "--die-with-parent"]
    args += ["--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr", "--dir", "/etc"]
    for name in ("bin", "sbin", "lib", "lib64"):
        args += _top(f"/{name}")
    args += ["--ro-bind", str(place.lab / "passwd"), "/etc/passwd", "--ro-bind", str(place.lab / "group"), "/etc/group"]
    args += ["--bind", str(place.lab), "/lab", "--bind", str(root), node, "--ro-bind", str(usr), f"{node}/usr"]
    for folder in platform.PRIVATE:
        args += ["--bind", str(root / "usr" / folder), f"{node}/usr/{folder}"]
    args += ["--ro-bind", "/usr", f"{node}{platform.HOST}", "--bind", str(place.control), f"{node}/opt/lab/control"]
    args += [f"{node}{arg}" if arg.startswith("/opt/lab/") else arg for arg in platform.python()[0]]
    args += ["--ro-bind", str(root / "sys"), f"{node}/sys", "--dev", f"{node}/dev"]
    args += ["--bind", str(place.folder / "vfio"), f"{node}/dev/vfio"]
    if (root / espmenu.FOLDER).is_dir():
        args += ["--symlink", f"/{espmenu.FOLDER}", f"{node}/dev/disk/by-uuid/{espmenu.UUID}"]
    args += ["--ro-bind", str(place.proc), f"{node}/proc", "--proc", "/proc", "--proc", f"{node}{PROC}"]
    for path in over:
        how = "--bind" if path in sysctl.DEFAULTS else "--ro-bind"
        args += [how, str(place.proc / path.replace("/", ".")), f"{node}{PROC}/{path}"]
    return [*args, "--symlink", "node/dev", "/dev", "--", "/lab/keeper"]


def _top(path: str) -> list[str]:
    """A top folder of the host: merged with /usr (a link) on today's systems, or one of its own."""
    if os.path.islink(path):  # noqa: PTH114 - the link itself is meant
        return ["--symlink", os.readlink(path), path]  # noqa: PTH115
    return ["--ro-bind", path, path] if os.path.isdir(path) else []  # noqa: PTH112


class Container:
    """A started node. Ends when its keeper ends, when ``kill`` is called, or with the thread that started it."""

    def __init__(self, args: list[str], place: Place) -> None:
        (place.lab / "inner.pid").unlink(missing_ok=True)
        (place.control / "request").unlink(missing_ok=True)
        read, write = os.pipe()
        with (place.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                [args[0], "--json-status-fd", str(write), *args[1:]],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env={"PATH": PATH}, pass_fds=(write,),
                start_new_session=True,
            )  # fmt: skip
        os.close(write)
        self._place = place
        with os.fdopen(read, "rb") as status:
            line = status.readline()
        self._child = int(json.loads(line)["child-pid"]) if line else 0

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Returns when sshd has been started; Unreachable with the console's end when it was not."""
        end = time.monotonic() + timeout
        keeper = self._place.control / "keeper.pid"
        while not (self._place.lab / "inner.pid").exists() or not keeper.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                console = (self._place.folder / "console.log").read_text(errors="replace")
                raise errors.Unreachable(f"the node did not start: {console[-400:].strip()}")
            time.sleep(0.005)

    @property
    def running(self) -> bool:
        """Whether the node is up."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Blocks until the node has ended, all its processes included."""
        self._process.wait()

    def kill(self) -> None:
        """Cuts the power: every process of the node is gone when this returns."""
        if self._child and self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        self._process.wait()
