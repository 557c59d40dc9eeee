"""What the node was emptied of for a reboot and has not got back yet."""

from __future__ import annotations

import json

from transom import model
from transom.host import probe

PATH = "/var/lib/transom/drained.json"
COMMAND = f"[ ! -e {PATH} ] || cat {PATH}"


def parse(body: bytes) -> model.Drained | None:
    """None when nothing is owed. ValueError for what no Transom has written."""
    text = body.decode("utf-8").strip()
    return model.from_json(model.Drained, json.loads(text)) if text else None


PROBE = probe.Probe("drained", COMMAND, parse)
