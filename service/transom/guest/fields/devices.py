"""The smaller devices: ``serialN``, ``parallelN``, ``audio0``, ``rng0``, ``watchdog``, ``ivshmem``, ``virtiofsN``, ``numaN`` …"""

from __future__ import annotations

import ipaddress

from transom.guest import field, props
from transom.guest.fields import making


def _serial_route(value: str) -> field.Route:
    return field.Route.API if value == "socket" else field.Route.ROOT


def _address(value: str) -> str:
    """``2001:DB8::1/64`` in its usual form; ``dhcp``, ``auto`` and ``manual`` as they are. ValueError otherwise."""
    if value in {"dhcp", "auto", "manual"}:
        return value
    return str(ipaddress.ip_interface(value) if "/" in value else ipaddress.ip_address(value))


def _with_xattr(found: dict[str, str]) -> dict[str, str]:
    # "enabled ACL implies xattr" (qemu-server 9.2.6, the schema of virtiofs).
    return {**found, "expose-xattr": "1"} if found.get("expose-acl") == "1" else found


AUDIO = props.Schema(
    props={"device": props.Prop(), "driver": props.Prop(props.one_of("spice", "none"), "spice")}, needs=("device",)
)
RNG = props.Schema(
    props={
        "source": props.Prop(),
        "max_bytes": props.Prop(props.integer, "1024"),
        "period": props.Prop(props.integer, "1000"),
    },
    default_key="source",
    needs=("source",),
)
WATCHDOG = props.Schema(props={"model": props.Prop(default="i6300esb"), "action": props.Prop()}, default_key="model")
IVSHMEM = props.Schema(props={"size": props.Prop(props.integer), "name": props.Prop()}, needs=("size",))
VIRTIOFS = props.Schema(
    props={
        "dirid": props.Prop(),
        "cache": props.Prop(default="auto"),
        "direct-io": props.Prop(props.boolean, "0"),
        "expose-xattr": props.Prop(props.boolean, "0"),
        "expose-acl": props.Prop(props.boolean, "0"),
    },
    default_key="dirid",
    needs=("dirid",),
    finish=_with_xattr,
)
NUMA = props.Schema(
    props={
        "cpus": props.Prop(props.ranges(";")),
        "memory": props.Prop(props.number),
        "hostnodes": props.Prop(props.ranges(";")),
        "policy": props.Prop(props.one_of("preferred", "bind", "interleave")),
    },
    needs=("cpus",),
)
IPCONFIG = props.Schema(props=dict.fromkeys(("ip", "gw", "ip6", "gw6"), props.Prop(_address)))
STARTUP = props.Schema(props=dict.fromkeys(("order", "up", "down"), props.Prop(props.integer)), default_key="order")
SPICE = props.Schema(
    props={
        "foldersharing": props.Prop(props.boolean, "0"),
        "videostreaming": props.Prop(props.one_of("off", "all", "filter"), "off"),
    }
)
SEV = props.Schema(
    props={
        "type": props.Prop(props.one_of("std", "es", "snp")),
        **dict.fromkeys(("no-debug", "no-key-sharing", "kernel-hashes"), props.Prop(props.boolean, "0")),
        "allow-smt": props.Prop(props.boolean, "1"),
    },
    default_key="type",
    needs=("type",),
)
TDX = props.Schema(
    props={
        "type": props.Prop(props.one_of("tdx")),
        "attestation": props.Prop(props.boolean, "1"),
        "vsock-cid": props.Prop(props.integer, "2"),
        "vsock-port": props.Prop(props.integer, "4050"),
    },
    default_key="type",
    needs=("type",),
)

FIELDS = (
    making.plain("serial", r"serial\d+", props.text, route=_serial_route),
    making.plain("parallel", r"parallel\d+", props.text, route=making.root),
    making.property_string("audio", r"audio\d+", AUDIO),
    making.property_string("rng", r"rng\d+", RNG),
    making.property_string("watchdog", "watchdog", WATCHDOG),
    making.property_string("ivshmem", "ivshmem", IVSHMEM, route=making.root),
    making.property_string("virtiofs", r"virtiofs\d+", VIRTIOFS),
    making.property_string("numa", r"numa\d+", NUMA),
    making.property_string("ipconfig", r"ipconfig\d+", IPCONFIG),
    making.property_string("startup", "startup", STARTUP, live=True),
    making.property_string("spice_enhancements", "spice_enhancements", SPICE, route=making.root),
    making.property_string("amd-sev", "amd-sev", SEV, route=making.root),
    making.property_string("intel-tdx", "intel-tdx", TDX, route=making.root),
)
DEFAULTS = {"spice_enhancements": ""}
