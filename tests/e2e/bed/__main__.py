"""``python -m bed grub|uefi|boot-tool FOLDER``: a machine by hand; says how to log in, ends with Ctrl-C."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import threading

from bed import images

kind, folder = sys.argv[1:]
start = {"grub": images.grub, "uefi": images.uefi, "boot-tool": images.boot_tool}[kind]
with start(pathlib.Path(folder)) as one, contextlib.suppress(KeyboardInterrupt):
    print(f"ssh -p {one.port} -i {one.key.login} root@127.0.0.1", flush=True)
    threading.Event().wait()
