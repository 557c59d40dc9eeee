"""A settled sheet as the text of documents, with comments that say what was found where and what is left out. Deterministic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transom.plan.adopt import sheet as sheets
from transom.spec import bundle, problems

_PLAIN = re.compile(r"[A-Za-z0-9/~][\w./@+=;,:~*^-]*(?: [\w./@+=;,~^-]+)*", re.ASCII)
_ODD = re.compile(r"-?\d+|true|false|null|~.*|.*:|.*[^\x20-\x7e].*", re.IGNORECASE)
Path = tuple[str | int, ...]
Comments = Mapping[Path, str]


def header(clusters: Iterable[bundle.Loaded], what: str) -> str:
    """The first lines of the file, and the Cluster documents that it stands on."""
    lines = [
        f"# What was found on {problems.printable(what)}, as documents: `transom plan -f` of this file finds nothing to do.",
        "# Take out of it what Transom shall not keep; what is not named is left alone.",
    ]
    plain = [bundle.content(item) for item in clusters]
    return "\n".join(lines) + "\n" + "\n---\n".join(_document(one, {}, ()).rstrip("\n") for one in plain) + "\n"


def node(sheet: sheets.Sheet, declared: Mapping[int, str], aside: Iterable[str]) -> str:
    """The documents of one node. ``declared``: VMs that other documents have already; ``aside``: what else is to be said."""
    plain = sheet.documents()
    notes = [*_left(sheet, "host/"), *(f"VM {vmid} is declared already: {title}" for vmid, title in declared.items())]
    notes += [f"VM {path.partition('/')[2]}: {why}" for path, why in sheet.left.items() if _is_vm(path)]
    parts = [_document(plain[0], _node_comments(sheet), [*aside, *notes])]
    for vm in sheet.kept:
        document = next(one for one in plain if one["kind"] == "VirtualMachine" and one["metadata"]["name"] == vm.name)
        parts.append(_document(document, {}, [*vm.notes, *_left(sheet, f"{vm.path}/"), *_hashes(sheet, vm)]))
    for rom in sheet.named_roms:
        document = next(one for one in plain if one["kind"] == "Rom" and one["metadata"]["name"] == rom.name)
        parts.append(_document(document, {}, [f"/usr/share/kvm/{rom.filename} of {sheet.node.name}, copied"]))
    return "".join(f"---\n{part}" for part in parts)


def _is_vm(path: str) -> bool:
    return bool(re.fullmatch(r"qemu/\d+", path))


def _left(sheet: sheets.Sheet, prefix: str) -> Iterator[str]:
    """What is not in the documents, and why."""
    places = {item.path: item.place for item in sheet.items}
    for path, reason in sorted(sheet.left.items()):
        if path.startswith(prefix):
            place = f" ({places[path]})" if path in places else ""
            yield f"left out: {path.removeprefix('qemu/').removeprefix('host/')}{place}: {reason}"


def _hashes(sheet: sheets.Sheet, vm: sheets.Vm) -> Iterator[str]:
    """The bytes of the option ROMs that only ``raw`` names."""
    for rom in sheet.roms:
        if rom.name != vm.rom and any(f"romfile={rom.filename}" in value for value in vm.values.values()):
            yield f"romfile {rom.filename} has sha256 {rom.sha256}"


def _node_comments(sheet: sheets.Sheet) -> Comments:
    spec = sheet.node_spec()
    found: dict[Path, str] = {}
    for item in sheet.items:
        values = spec.get("host", {}).get(item.setting, [])
        if item.value in values:
            found["spec", "host", item.setting, values.index(item.value)] = item.place
    for one in sheet.devices:
        found["spec", "devices", one.name, "id"] = one.says
    return found


def _document(plain: sheets.Plain, comments: Comments, notes: Iterable[str]) -> str:
    above = "".join(f"# {_comment(note)}\n" for note in notes)
    return above + "".join(f"{line}\n" for line in _lines(plain, comments, (), 0))


def _comment(text: str) -> str:
    return problems.printable(" ".join(text.split()))


def _lines(value: Mapping[str, Any], comments: Comments, at: Path, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for key, part in value.items():
        here = (*at, key)
        head = f"{pad}{_scalar(key)}:"
        if isinstance(part, Mapping):
            yield f"{head} {{}}" if not part else head
            yield from _lines(part, comments, here, depth + 1)
        elif isinstance(part, list | tuple):
            yield f"{head} []" if not part else head
            for index, item in enumerate(part):
                yield f"{pad}  - {_flow(item)}{_tail(comments, (*here, index))}"
        else:
            yield f"{head} {_scalar(part)}{_tail(comments, here)}"


def _tail(comments: Comments, at: Path) -> str:
    return f"  # {_comment(comments[at])}" if at in comments else ""


def _flow(value: Any) -> str:
    """An item of a list; one with fields of its own as JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else _scalar(value)


def _scalar(value: Any) -> str:
    """As YAML 1.2 reads it back: plain where that is certain, else as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and not _ODD.fullmatch(value) and ": " not in value:
        return value
    return json.dumps(value, ensure_ascii=False)
