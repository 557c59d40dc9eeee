"""``netN``: ``virtio=F6:…,bridge=vmbr0`` is ``model=virtio,macaddr=F6:…,bridge=vmbr0``; a MAC left out is made by PVE."""

from __future__ import annotations

import re

from transom.guest import field, props
from transom.guest.fields import making

_MODELS = frozenset({"ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3"}) | {
    *("e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b", "i82559er"),
}
_MAC = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")


def _mac(value: str) -> str:
    raised = value.upper()
    if not _MAC.fullmatch(raised):
        raise ValueError(f"{value!r} is not a MAC address")
    return raised


def _queues(value: str) -> str:
    # 0 and 1 are what a card has without the property (qemu-server 9.2.6, print_netdevice_full).
    return str(max(1, int(props.integer(value))))


SCHEMA = props.Schema(
    props={
        "model": props.Prop(props.one_of(*sorted(_MODELS))),
        "macaddr": props.Prop(_mac, made=True),
        "bridge": props.Prop(),
        "queues": props.Prop(_queues, "1"),
        "rate": props.Prop(props.number, "0"),
        "tag": props.Prop(props.integer),
        "trunks": props.Prop(props.ranges(";")),
        "firewall": props.Prop(props.boolean, "0"),
        "link_down": props.Prop(props.boolean, "0"),
        "mtu": props.Prop(props.integer),
        "host-tunnel": props.Prop(props.boolean),
    },
    default_key="model",
    needs=("model",),
)


def long(value: str) -> str:
    """``virtio=MAC`` written as ``model=virtio,macaddr=MAC``."""
    parts = (part.partition("=") for part in value.split(","))
    return ",".join(
        f"model={key},macaddr={rest}" if key in _MODELS and eq else key + eq + rest for key, eq, rest in parts
    )


def _parse(value: str) -> dict[str, str]:
    return props.parse(SCHEMA, long(value))


def _same(wanted: str, observed: str) -> bool:
    return props.same(SCHEMA, long(wanted), long(observed))


def _merge(wanted: str, observed: str) -> str:
    """The observed MAC in PVE's own short form: ``virtio,bridge=vmbr0`` → ``virtio=F6:…,bridge=vmbr0``. A value that PVE would
    refuse stays as it is written."""
    try:
        want, got = props.split(SCHEMA, long(wanted)), props.split(SCHEMA, long(observed))
        props.complete(SCHEMA, want)
    except ValueError:
        return wanted
    kept = {key: value for key, value in got.items() if SCHEMA.foreign(key, want)}
    mac = kept.pop("macaddr", "") if "model" in want else ""
    if not mac and not kept:
        return wanted
    head = [f"{want.pop('model')}={mac}"] if mac else []
    return ",".join([*head, *(f"{key}={value}" for key, value in {**want, **dict(sorted(kept.items()))}.items())])


FIELDS = (field.VmField("net", re.compile(r"net\d+"), _parse, _same, _merge, making.api),)
