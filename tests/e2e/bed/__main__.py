"""``python -m bed``: a machine by hand; says how to log in, ends with Ctrl-C."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import threading

from bed import images

with images.grub(pathlib.Path(sys.argv[1])) as one, contextlib.suppress(KeyboardInterrupt):
    print(f"ssh -p {one.port} -i {one.key.login} root@127.0.0.1", flush=True)
    threading.Event().wait()
