"""QEMU's control socket: commands, and the event that says why a machine ended."""

from __future__ import annotations

import json
import pathlib
import socket
import time
from typing import Any


class Qmp:
    """One connection. Events that come between answers are kept in ``events``."""

    def __init__(self, path: pathlib.Path, within: float = 30) -> None:
        end = time.monotonic() + within
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                self._socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self._file = self._socket.makefile("r")
        self.events: list[dict[str, Any]] = []
        self._file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """The command's answer; RuntimeError with QEMU's text when it refuses."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while line := self._file.readline():
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]
        raise EOFError(f"QEMU ended before it answered {command}")

    def until(self, command: str, field: str, wanted: str, within: float = 120) -> None:
        """Asks until the answer's field is as wanted; TimeoutError when it is not in time."""
        end = time.monotonic() + within
        while (answer := self.ask(command)).get(field) != wanted:
            if time.monotonic() > end or answer.get(field) == "failed":
                raise TimeoutError(f"{command}: {answer}, wanted {field}={wanted}")
            time.sleep(0.05)

    def rest(self) -> list[dict[str, Any]]:
        """All events until the connection ends, with those kept before."""
        try:
            while line := self._file.readline():
                self.events.append(json.loads(line))
        except (OSError, ValueError):
            pass
        return self.events

    def close(self) -> None:
        """Ends the connection; the machine goes on."""
        self._file.close()
        self._socket.close()
