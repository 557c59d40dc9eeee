"""Which lines of a VM's file qemu-server drops at its next write, though they are well formed: keys that it does not know, values
that are not of their type. Source: qemu-server 9.2.6, ``check_type`` as ``parse_vm_config`` uses it (no minimum, no list of words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from transom.guest import conf, props, registry
from transom.spec import pvekeys

_INTEGER = re.compile(r"\d+", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def dropped(guest: conf.GuestConf) -> Iterator[tuple[str, str]]:
    """Each as ``(line, why)``; ``[PENDING] cores: two`` for a line of a section."""
    sections: list[tuple[str, Mapping[str, str]]] = [("", guest.main), ("[PENDING] ", guest.pending)]
    sections += [(f"[{one.name}] ", one.values) for one in guest.others if not one.name.startswith("special:")]
    for where, values in sections:
        for key, value in sorted(values.items()):
            if why := fault(key, value):
                yield f"{where}{key}: {value}", why


def fault(key: str, value: str) -> str:
    """Why PVE does not take the line; empty when it does, as far as is known here."""
    if key not in pvekeys.KEYS:
        return "PVE has no such key"
    try:
        _check(key, value)
    except ValueError as error:
        return str(error)
    return ""


def _check(key: str, value: str) -> None:
    if key in pvekeys.BOOLEANS:
        props.boolean(value)
    elif key in pvekeys.INTEGERS and not _INTEGER.fullmatch(value):
        raise ValueError(f"{value!r} is not a whole number")
    elif key in pvekeys.NUMBERS and not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not a number")
    elif key == "memory":
        registry.field_for(key).parse(value)
