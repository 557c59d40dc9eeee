"""Any change of any VM on the lab's API: exactly that change, no key lost, MACs and UUIDs kept; and then nothing differs."""

from __future__ import annotations

import hashlib

import hypothesis
from hypothesis import strategies as st

from transom.guest import compare, conf, registry
from transom.plan import keys

CONF = "etc/pve/nodes/pve1/qemu-server/777.conf"
THERE = {
    "agent": "enabled=1,fstrim_cloned_disks=1",
    "cores": "2",
    "cpu": "host,hidden=1",
    "description": "mine",
    "hostpci1": "host=0000:00:1f.3,rombar=0",
    "memory": "1024",
    "name": "router",
    "net0": "virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1",
    "ostype": "l26",
    "smbios1": "uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f,product=eA==,base64=1",
    "tags": "a;b",
    "vmgenid": "0f5e6a52-0000-4000-8000-000000000001",
}
WANTS = {
    "agent": ["1", "0"],
    "args": ["-cpu host,-hypervisor", None],
    "cores": ["4", "02"],
    "cpu": ["x86-64-v2-AES", "cputype=host"],
    "hostpci0": ["00:02.0,x-vga=1", "0000:00:02.0"],
    "memory": ["2048", "current=512"],
    "name": ["other"],
    "net0": ["e1000,bridge=vmbr0", "virtio,bridge=vmbr0,tag=7"],
    "numa": ["1", "0"],
    "onboot": ["1", None],
    "smbios1": ["manufacturer=eQ==,base64=1"],
    "tags": ["c;a", None],
    "vga": ["none", "std"],
}


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, str | None]:
    chosen = draw(st.lists(st.sampled_from(sorted(WANTS)), min_size=1, max_size=6, unique=True))
    return {key: draw(st.sampled_from(WANTS[key])) for key in chosen}


@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(wanted=wishes(), there=st.sets(st.sampled_from(sorted(THERE)), min_size=4))
def test_any_change_is_exactly_that_change(here, root, wanted, there):
    path = here.place.path(CONF)
    path.parent.mkdir(parents=True, exist_ok=True)
    main = {key: THERE[key] for key in there if key != "description"}
    description = THERE["description"] if "description" in there else ""
    path.write_text(conf.render(conf.GuestConf(main=main, description=description)))
    parsed = conf.parse(path.read_text())
    before = parsed.persisted()
    named = {key: value for key, value in wanted.items() if value is not None}
    merged: dict[str, str | None] = {
        one.key: registry.field_for(one.key).merge(named[one.key], one.observed) if one.observed else named[one.key]
        for one in compare.differences(named, before)
    }
    merged |= {key: None for key, value in wanted.items() if value is None and key in before}
    action = keys.change(777, hashlib.sha1(path.read_bytes()).hexdigest(), merged, parsed)
    for values, gone in ((action.api, action.api_delete), (action.root, action.root_delete)):
        if values or gone:
            more = {"delete": ",".join(gone)} if gone else {}
            digest = hashlib.sha1(path.read_bytes()).hexdigest()
            root("PUT", "/nodes/pve1/qemu/777/config", **values, **more, digest=digest)
    after = conf.parse(path.read_text()).persisted()
    assert not compare.differences(named, after)
    assert {key: after.get(key) for key in before if key not in merged} == {
        key: value for key, value in before.items() if key not in merged
    }
    assert after.keys() - before.keys() <= merged.keys()
    assert all(key not in after for key, value in merged.items() if value is None)
    if "net0" in before:
        assert "F6:ED:C6:88:12:F6" in after["net0"]
    if "smbios1" in before:
        assert "1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f" in after["smbios1"]
