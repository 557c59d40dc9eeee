"""``transom lab pve``: the server is the command's own process, so that a signal to it ends both."""

from __future__ import annotations

import socket
import subprocess
import sys

import httpx

from patience import PATIENCE


def test_it_serves_until_it_is_told_to_end(tmp_path):
    words = [sys.executable, "-m", "transom", "lab", "pve", "--root", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = httpx.URL(running.stdout.readline().split()[0])
        socket.create_connection((url.host, url.port), 5).close()
        running.terminate()
        assert running.wait(10) == 0
    with socket.socket() as line:
        assert line.connect_ex((url.host, url.port)) != 0


def test_a_port_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = [sys.executable, "-m", "transom", "lab", "pve", "--root", str(tmp_path), "--port", str(port)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (1, f"cannot serve on port {port}: Address already in use\n")
