"""Golden cases as values: the base, what a case lays over it, and the host that comes of it."""

from __future__ import annotations

import copy
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from transom import model
from transom.diagnose import view
from transom.spec import wish

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "diagnose"
Json = Any


def patched(base: Json, patch: Json) -> Json:
    """RFC 7396, but an object that says ``unknown`` replaces."""
    if not isinstance(patch, dict) or "unknown" in patch:
        return patch
    result = dict(base) if isinstance(base, dict) and "unknown" not in base else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


def facts_of(data: Json) -> model.Facts:
    data = copy.deepcopy(data)
    if "unknown" not in data["pci"]:
        data["pci"] = [{"address": address, **device} for address, device in sorted(data["pci"].items())]
    if "unknown" not in data["guests"]:
        data["guests"] = {vmid: _guest_file(int(vmid), text) for vmid, text in data["guests"].items()}
    return model.from_json(model.Facts, data)


def wish_of(data: Json) -> wish.NodeWish:
    data = copy.deepcopy(data)
    data["host"] = {key: [_want(value, data["document"]) for value in values] for key, values in data["host"].items()}
    data["guests"] = [_guest(name, guest) for name, guest in sorted(data["guests"].items())]
    return model.from_json(wish.NodeWish, data)


def _guest_file(vmid: int, lines: Json) -> Json:
    text = lines if isinstance(lines, dict) else "".join(f"{line}\n" for line in lines)
    raw = text if isinstance(text, str) else ""
    return {"vmid": vmid, "text": text, "digest": hashlib.sha1(raw.encode(), usedforsecurity=False).hexdigest()}


def _want(value: Json, document: str) -> Json:
    return {"value": value, "document": document} if isinstance(value, str) else value


def _guest(name: str, data: Json) -> Json:
    config = {key: _want(value, data["document"]) for key, value in data["config"].items()}
    return {**data, "name": name, "config": config}


def _json(path: pathlib.Path) -> Json:
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def host_of() -> Callable[[pathlib.Path], view.Host]:
    """A case's folder → its host."""

    def load(case: pathlib.Path) -> view.Host:
        facts = patched(_json(GOLDEN / "base" / "facts.json"), _json(case / "facts.json"))
        wanted = patched(_json(GOLDEN / "base" / "wish.json"), _json(case / "wish.json"))
        return view.Host(facts_of(facts), wish_of(wanted))

    return load
