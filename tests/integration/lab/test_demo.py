"""The demo's daemon and lab as a user meets them: they stay until somebody says enough, and nothing outlives them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from patience import PATIENCE, until
from transom import errors
from transom.lab import control, fleet
from transom.lab.demo import asking, keeping, place, serving, showing, staying

Processes = Callable[[str], list[str]]


def test_everything_stays_until_it_is_enough(tmp_path: Path, lab: fleet.Fleet, processes: Processes) -> None:
    said: list[str] = []
    with serving.started(tmp_path, keeping.SETTINGS) as daemon:
        daemon.wait()
        assert daemon.token_file.stat().st_mode & 0o777 == 0o600
        with contextlib.closing(asking.Api(daemon.url, daemon.token)) as api:
            assert api.get("/v1/whoami") == {"name": "demo", "scope": "approver"}
            assert "Nothing differs" in api.markdown("/v1/drift")
            with pytest.raises(errors.Rejected, match="was answered with 404"):
                api.get("/v1/plans/none")
            show = showing.Show(said.append)
            stays = threading.Thread(target=staying.stay, args=(tmp_path, lab, daemon, api.listen(), show))
            stays.start()
            until(lambda: said)
            assert control.ask(lab.folder, verb="break", kind="foreign-contradiction", node="pve1")
            assert stays.is_alive()
            control.ask(lab.folder, verb="down")
            stays.join(PATIENCE)
            assert not stays.is_alive()
    assert f'"Authorization: Bearer $(cat {tmp_path}/{place.TOKEN})" {daemon.url}/v1/nodes' in said[0]
    assert "Stopping" in said[-1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{daemon.url}/healthz", trust_env=False)
    assert not processes(str(tmp_path / place.STATE))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_nothing_running(
    tmp_path: Path, processes: Processes, number: signal.Signals
) -> None:
    folder = tmp_path / "demo"
    words = [sys.executable, "-m", "transom", "lab", "demo", "--dir", str(folder)]
    demo = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    until(lambda: (folder / place.STATE / "serve.json").exists())
    os.killpg(demo.pid, number)
    time.sleep(0.2)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(demo.pid, number)  # the impatient
    said, _ = demo.communicate(timeout=PATIENCE)
    until(lambda: not processes(str(folder)))
    if number is signal.SIGINT:
        assert demo.returncode == 130
        assert said.endswith("interrupted; run the same command again to go on from what is there\n")
        assert "Traceback" not in said
