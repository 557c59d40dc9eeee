"""The one owner of paramiko: run a command, run a script, read and write files, on a host whose key is pinned.

Strings that a shell would split never cross this border: commands are argv, scripts take arguments.

    with ssh.connect(access) as host:
        host.run(["uname", "-r"], read_only=True)
        files.write(host, "/etc/modules-load.d/transom.conf", data, mode=0o644, expect=None, backup=folder)
"""

from transom.ssh.client import HostKey, Ssh, connect, host_key
from transom.ssh.line import Timeouts
from transom.ssh.pump import Completed

__all__ = ["Completed", "HostKey", "Ssh", "Timeouts", "connect", "host_key"]
