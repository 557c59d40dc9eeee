"""``agent``: ``1`` is ``enabled=1,type=virtio``; of a disabled agent nothing else counts."""

from __future__ import annotations

from transom.guest import props
from transom.guest.fields import making

SCHEMA = props.Schema(
    props={
        "enabled": props.Prop(props.boolean, "0"),
        "fstrim_cloned_disks": props.Prop(props.boolean, "0"),
        "freeze-fs": props.Prop(props.boolean, "1"),
        "type": props.Prop(props.one_of("virtio", "isa"), "virtio"),
    },
    default_key="enabled",
    finish=lambda found: found if found.get("enabled") == "1" else {"enabled": "0"},
    aliases={"freeze-fs-on-backup": "freeze-fs", "guest-fsfreeze": "freeze-fs"},
)


FIELDS = (making.property_string("agent", "agent", SCHEMA),)
DEFAULTS = {"agent": "0"}
