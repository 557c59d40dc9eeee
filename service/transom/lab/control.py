"""How ``transom lab`` commands talk to the running lab: one JSON line each way over a Unix socket in the lab's folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transom import errors

Handler = Callable[[Mapping[str, Any]], Any]
"""Request → answer (JSON); errors of ours travel to the asker by their text."""


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """The socket's path by way of an open folder: a Unix socket's path may have 107 bytes only, the lab's folder more."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/control.sock"
    finally:
        os.close(handle)


class Server:
    """Answers until closed."""

    def __init__(self, folder: Path, handler: Handler) -> None:
        self._path = folder / "control.sock"
        self._path.unlink(missing_ok=True)

        class Talk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = json.loads(self.rfile.readline())
                self.wfile.write(json.dumps(_answer(handler, request)).encode() + b"\n")

        class Listen(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        with _short(folder) as path:
            self._server = Listen(path, Talk)
        self._path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops answering and removes the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def _answer(handler: Handler, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": handler(request)}
    except errors.TransomError as error:
        return {"error": str(error)}


def ask(folder: Path, **request: Any) -> Any:
    """The running lab's answer; Unreachable when none runs there, Rejected with its words when it refuses."""
    try:
        with _short(folder) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(path)
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as file:
                text = file.readline()
    except OSError as error:
        raise errors.Unreachable(f"no lab is running in {folder}", hint="transom lab up") from error
    if not text:
        raise errors.Unreachable(f"the lab in {folder} ended while it was asked")
    answer = json.loads(text)
    if "error" in answer:
        raise errors.Rejected(answer["error"])
    return answer["answer"]
