"""Proxmox's own ways to boot, as they are found on hosts, edited by people and by other tools: which loader, which file, what runs.

A case gives what the probes print of the boot (command line, LoaderInfo, ``efibootmgr -v``), files and ESPs, and the wanted tokens;
it expects loader and manager, the findings that hold, each file written, the next boot's command line and the commands that follow.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import pytest

from transom import model
from transom.host import loader
from transom.host.probes import boot
from transom.plan import actions as acts
from transom.plan import make, result
from transom.spec import wish

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "layouts"
CASES = sorted(GOLDEN.glob("*.json"))
COVERED = (
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/kernel/*",
    "/etc/modprobe.d/*.conf",
    "/boot/grub/grub.cfg",
)
ACCESS = wish.Access(
    ("https://pve1:8006",), "t", wish.SecretRef(env="X"), "", "", "pve1", 22, "root", wish.SecretRef(env="Y"), ""
)


def text_of(lines: Any) -> str:
    return lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)


def facts_of(given: dict[str, Any]) -> model.Facts:
    body = "".join(f"{name}={value}\n" for name, value in given["boot"].items())
    files = {
        path: model.HostFile(path, text_of(lines), hashlib.sha256(text_of(lines).encode()).hexdigest())
        for path, lines in given["files"].items()
    }
    esps = tuple(
        model.Esp(
            name,
            model.Unknown(there["unknown"])
            if "unknown" in there
            else {path: text_of(lines) for path, lines in there.items()},
        )
        for name, there in given.get("esps", {}).items()
    )
    parsed = boot.parse(f"boot_id=b\ntime=btime 1700000000\n{body}".encode())
    return model.Facts(
        node="pve1",
        boot=loader.settle(parsed, esps, listed=loader.UUIDS in files),
        files=files,
        covered=COVERED,
        modules=frozenset(),
        pci=(),
        packages={},
        guests={},
        states={},
        quorate=True,
        esps=esps,
        standing=model.Standing((), (), {}, None, (), (), (), ()),
        keeping=model.Keeping(),
    )


def boots(plan: result.Plan) -> str | None:
    """The kernel command line of the next boot; None where the plan does not change it."""
    if plan.next_boot is None:
        return None
    line = plan.next_boot.cmdline
    return f"not known: {line.unknown}" if isinstance(line, model.Unknown) else " ".join(line)


def outcome(given: dict[str, Any]) -> dict[str, Any]:
    facts = facts_of(given)
    wants = tuple(wish.Want(token, "Node/pve1") for token in given["wants"])
    node = wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, {"kernel_cmdline": wants}, {}, ())
    plan = make.make(node, facts, {})
    unknown = {
        name: value.unknown
        for name in ("loader", "manager")
        if isinstance(value := getattr(facts.boot, name), model.Unknown)
    }
    written = [action for action in plan.actions if isinstance(action, acts.WriteFile)]
    return {
        **{name: getattr(facts.boot, name) for name in ("loader", "manager") if name not in unknown},
        **({"unknown": unknown} if unknown else {}),
        "holds": [f"{one.id}: {one.summary}" for one in plan.findings if one.holds],
        "provided": [f"{noop.path}: {noop.reason}" for noop in plan.noops],
        "writes": {action.path: action.text.splitlines()[-1] for action in written},
        "boots": boots(plan),
        "runs": [action.describe() for action in plan.actions if isinstance(action, acts.RunStep)],
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_layout(path: pathlib.Path) -> None:
    case = json.loads(path.read_text())
    assert outcome(case["given"]) == case["want"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_is_written_to_the_boot_settles(path: pathlib.Path) -> None:
    """With the file written and every entry made from it, nothing is left to rebuild."""
    given = json.loads(path.read_text())["given"]
    plan = outcome(given)
    if plan["holds"] or not plan["writes"]:
        return
    facts = facts_of(given)
    again = {**given, "files": dict(given["files"]), "esps": dict(given.get("esps", {}))}
    for name, line in plan["writes"].items():
        again["files"][name] = [line]
    tokens = " ".join(given["wants"])
    grub = f"menuentry 'x' {{\n linux /boot/vmlinuz-{facts.boot.kernel} ro {tokens}\n}}\n"
    if "/boot/grub/grub.cfg" in again["files"]:
        again["files"]["/boot/grub/grub.cfg"] = grub
    for name, there in again["esps"].items():
        again["esps"][name] = {
            path: grub if path == loader.GRUB_CFG else f"{text_of(lines)}options {tokens}\n"
            for path, lines in there.items()
        }
    left = outcome(again)
    assert (left["writes"], left["runs"]) == ({}, [])
