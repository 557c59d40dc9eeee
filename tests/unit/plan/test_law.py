"""The law: apply, observe, plan again: empty. On a node with state, for the seed and for what users do to it."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess

import pytest

from transom import model, resources
from transom.guest import conf, identity
from transom.plan import actions as acts
from transom.plan import guest_actions, make
from transom.spec import loader, resolve, wish

EXAMPLES = sorted((resources.recipes_dir().parent / "examples").glob("*.yaml"))
OWN_GRUB, OWN_MODPROBE = "/etc/default/grub.d/90-transom.cfg", "/etc/modprobe.d/zz-transom.conf"


def wanted(name: str = "seed.yaml") -> wish.NodeWish:
    (path,) = [path for path in EXAMPLES if path.name == name]
    (node,) = resolve.resolve(loader.load([pathlib.Path(path)]))
    return node


def without(node: wish.NodeWish, key: str, value: str) -> wish.NodeWish:
    kept = tuple(want for want in node.host[key] if want.value != value)
    return dataclasses.replace(node, host={**node.host, key: kept})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_settles(desk, path):
    (want,) = resolve.resolve(loader.load([path]))
    first = desk.apply(want)
    assert first.actions
    again = desk.plan(want)
    assert again.empty, (again.drifts, again.gates)


def test_seed_touches_only_its_own_files(desk):
    before = dict(desk.node.files)
    plan = desk.apply(wanted())
    written = {action.path for action in plan.actions if isinstance(action, acts.WriteFile)}
    assert written == {OWN_GRUB, OWN_MODPROBE, "/etc/modules-load.d/transom.conf"}
    assert all(desk.node.files[path] == was for path, was in before.items() if not path.startswith("/boot"))


def test_seed_orders_files_rebuilds_reboot_then_vm(desk):
    kinds = [type(action).__name__ for action in desk.plan(wanted()).actions]
    files = ["WriteFile"] * 3 + ["RunStep"] * 2 + ["PlaceRom"]
    around = ["Drain", "Reboot", "Confirm", "Undrain"]
    assert kinds == ["Simulate", "KeepBoot", "ArmRollback", *files, *around, "CreateGuest"]


def test_a_foreign_line_that_gives_it_satisfies(desk):
    plan = desk.plan(wanted())
    reasons = {noop.path: noop.reason for noop in plan.noops}
    assert reasons["host/kernel_cmdline/quiet"] == "provided by /etc/default/grub:4"
    (grub,) = [a for a in plan.actions if isinstance(a, acts.WriteFile) and a.path == OWN_GRUB]
    assert "quiet" not in grub.text


def test_foreign_vfio_ids_satisfy(desk):
    desk.node.write("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:9bc8\n")
    plan = desk.plan(wanted())
    (own,) = [a for a in plan.actions if isinstance(a, acts.WriteFile) and a.path == OWN_MODPROBE]
    assert "ids=" not in own.text


def test_a_contradiction_holds_and_take_over_settles_and_gives_back(desk):
    original = desk.node.files["/etc/default/grub"][0].replace('"quiet"', '"quiet intel_iommu=off"')
    desk.node.write("/etc/default/grub", original)
    held = desk.plan(wanted())
    assert [finding.id for finding in held.findings if finding.holds] == ["foreign-contradiction"]
    assert held.findings[0].subject == "/etc/default/grub:4"
    assert held.actions == ()
    desk.apply(wanted(), take_over=True)
    assert "# transom took over" in desk.node.files["/etc/default/grub"][0]
    assert desk.plan(wanted()).empty
    calm = wanted()
    desk.apply(dataclasses.replace(calm, host={}, guests=()))
    assert desk.node.files["/etc/default/grub"][0] == original


def test_a_switch_within_a_foreign_list_satisfies_and_stays(desk):
    original = desk.node.files["/etc/default/grub"][0].replace(
        '"quiet"', '"quiet intel_iommu=on,sm_on iommu=pt iommu=1"'
    )
    desk.node.write("/etc/default/grub", original)
    desk.node.step(model.Step.BOOTCONFIG)
    desk.apply(wanted())
    assert "iommu" not in desk.node.files[OWN_GRUB][0]
    assert desk.plan(wanted()).empty
    assert desk.node.files["/etc/default/grub"][0] == original


def wanting(node: wish.NodeWish, *tokens: str) -> wish.NodeWish:
    more = tuple(wish.Want(token, node.document) for token in tokens)
    return dataclasses.replace(node, host={**node.host, "kernel_cmdline": node.host["kernel_cmdline"] + more})


@pytest.mark.parametrize(
    ("default", "linux", "tokens"),
    [
        ("quiet mitigations=auto", "mitigations=auto", ["mitigations=off"]),
        ("quiet resume=/dev/sda1 intel_iommu=off", "", ["resume=/dev/sda2"]),
        ("quiet a=1 b=1", "c=1", ["a=2", "b=2", "c=2"]),
        ("quiet intel_iommu=off,sm_on iommu=nopt", "iommu=pt iommu=1", []),
        ("quiet", '"\nGRUB_CMDLINE_LINUX=a\\ b=1\\ c\nX="', ["b=2"]),
    ],
)
def test_lines_taken_over_come_back_to_the_byte(desk, default, linux, tokens):
    original = desk.node.files["/etc/default/grub"][0].replace('"quiet"', f'"{default}"')
    original = original.replace('GRUB_CMDLINE_LINUX=""', f'GRUB_CMDLINE_LINUX="{linux}"')
    desk.node.write("/etc/default/grub", original)
    want = wanting(wanted(), *tokens)
    desk.apply(want, take_over=True)
    assert desk.plan(want).empty
    desk.apply(want, take_over=True)
    assert desk.plan(want).empty
    bare = dataclasses.replace(wanted(), host={}, guests=())
    desk.apply(bare)
    assert desk.node.files["/etc/default/grub"][0] == original
    assert desk.plan(bare).empty


def test_two_ids_on_a_foreign_line_come_back(desk):
    desk.node.write("/etc/modprobe.d/zzz.conf", "options vfio-pci ids=10de:1b80,10de:10f0\n")
    desk.node.step(model.Step.INITRAMFS)
    before = desk.node.files["/etc/modprobe.d/zzz.conf"][0]
    desk.apply(wanted(), take_over=True)
    assert desk.plan(wanted()).empty
    desk.apply(dataclasses.replace(wanted(), host={}, guests=()))
    assert desk.node.files["/etc/modprobe.d/zzz.conf"][0] == before


def test_marks_are_worked_off_even_when_nothing_is_declared(desk):
    desk.node.dirty.add(model.Step.BOOTCONFIG)
    desk.node.reboot_from = f"boot-{desk.node.boots}"
    plan = desk.plan(dataclasses.replace(wanted(), host={}, guests=()))
    assert [type(action).__name__ for action in plan.actions] == [
        *("KeepBoot", "ArmRollback", "RunStep", "Drain", "Reboot", "Confirm", "Undrain")
    ]


def test_tags_taken_out_of_the_document_leave_the_mark(desk):
    node = wanted()
    (guest,) = node.guests
    tagged = {
        **guest.config,
        "tags": wish.Want("mine", guest.document),
        "description": wish.Want("notes", guest.document),
    }
    with_tags = dataclasses.replace(node, guests=(dataclasses.replace(guest, config=tagged),))
    desk.apply(with_tags)
    desk.apply(node)
    assert desk.plan(node).empty
    assert conf.parse(desk.node.guests[112]).persisted()["tags"] == "transom"


def test_a_vm_that_the_token_does_not_see_holds(desk):
    from transom.plan import make

    desk.apply(wanted())
    plan = make.make(wanted(), dataclasses.replace(desk.node.facts(), states={}), desk.ledger)
    assert plan.held
    assert plan.actions == ()


def test_a_vm_on_another_node_is_not_made_again(desk):
    from transom.plan import make

    facts = dataclasses.replace(desk.node.facts(), elsewhere={112: "pve2"})
    plan = make.make(wanted(), facts, desk.ledger)
    assert "vm-elsewhere" in {finding.id for finding in plan.findings if finding.holds}


def test_a_disk_that_would_have_to_grow_is_said_before_anything_is_written(desk):
    desk.apply(wanted())
    node = wanted()
    (guest,) = node.guests
    bigger = {**guest.config, "scsi0": wish.Want("local-lvm:64,iothread=1,discard=on", guest.document)}
    plan = desk.plan(dataclasses.replace(node, guests=(dataclasses.replace(guest, config=bigger),)))
    assert "vm-cannot-converge" in {finding.id for finding in plan.findings if finding.holds}
    assert plan.actions == ()


@pytest.mark.parametrize("key", ["efidisk0", "scsi0", "tpmstate0"])
def test_no_kind_of_disk_is_ever_detached(desk, key):
    node = wanted()
    (guest,) = node.guests
    disks = {"efidisk0": "local-lvm:1,efitype=4m", "tpmstate0": "local-lvm:1,version=v2.0"}
    config = {**guest.config, **{name: wish.Want(value, guest.document) for name, value in disks.items()}}
    desk.apply(dataclasses.replace(node, guests=(dataclasses.replace(guest, config=config),)))
    less = {name: want for name, want in config.items() if name != key}
    plan = desk.plan(dataclasses.replace(node, guests=(dataclasses.replace(guest, config=less),)))
    assert plan.empty
    assert any("never removed" in noop.reason for noop in plan.noops)


@pytest.mark.parametrize("fact", ["keeping", "modules", "pci"])
def test_as_declared_is_never_said_of_what_was_not_read(desk, fact):
    from transom.plan import make

    desk.apply(wanted())
    facts = dataclasses.replace(desk.node.facts(), **{fact: model.Unknown("no answer")})
    assert not make.make(wanted(), facts, desk.ledger).empty


def test_an_item_taken_out_of_the_document_goes_and_a_foreign_line_stays(desk):
    desk.apply(wanted())
    text, _ = desk.node.files[OWN_MODPROBE]
    desk.node.write(OWN_MODPROBE, text + "# mine\nblacklist nouveau\n")
    desk.node.step(model.Step.INITRAMFS)
    less = without(wanted(), "blacklist", "snd_hda_intel")
    plan = desk.apply(less)
    assert ("host/blacklist/snd_hda_intel", None) in [(drift.path, drift.desired) for drift in plan.drifts]
    text = desk.node.files[OWN_MODPROBE][0]
    assert "snd_hda_intel" not in text
    assert text.endswith("# mine\nblacklist nouveau\n")
    assert desk.plan(less).empty


NIC = model.PciDevice("0000:02:00.0", "8086", "15f3", "020000", "1849:15f3", "03", "igc", None)


def test_a_device_of_any_driver_is_taken_by_its_id_alone(desk):
    desk.node.devices = (*desk.node.devices, NIC)
    desk.node.reboot()
    before = {path: text for path, (text, _) in desk.node.files.items()}
    bare = dataclasses.replace(wanted(), host={}, guests=(), devices={})
    nic = {"nic": wish.DeviceWish("nic", "8086:15f3")}
    want = dataclasses.replace(bare, host={"vfio_ids": (wish.Want("8086:15f3", "Node/pve1"),)}, devices=nic)
    desk.apply(want)
    assert desk.node.facts().device(NIC.address).driver == "vfio-pci"
    assert desk.plan(want).empty
    desk.node.reboot()
    assert desk.node.facts().device(NIC.address).driver == "vfio-pci"
    desk.apply(bare)
    assert desk.node.facts().device(NIC.address).driver == "igc"
    assert {path: text for path, (text, _) in desk.node.files.items()} == before


def test_a_blacklisted_driver_leaves_its_device_to_vfio_without_a_list_of_modules(desk):
    node = wanted()
    host = {"vfio_ids": node.host["vfio_ids"], "blacklist": node.host["blacklist"]}
    want = dataclasses.replace(node, host=host, guests=())
    desk.apply(want)
    assert desk.node.facts().device("0000:00:02.0").driver == "vfio-pci"
    assert desk.plan(want).empty


def test_nothing_declared_any_more_leaves_no_file(desk):
    before = {path: text for path, (text, _) in desk.node.files.items()}
    desk.apply(wanted())
    bare = dataclasses.replace(wanted(), host={}, guests=(), devices={})
    desk.apply(bare)
    assert {path: text for path, (text, _) in desk.node.files.items()} == before
    assert desk.node.roms != {}, "the VM still names the ROM, so it stays"
    assert desk.plan(bare).empty


def test_a_dropin_removed_by_somebody_is_written_again(desk):
    desk.apply(wanted())
    del desk.node.files[OWN_GRUB]
    desk.node.step(model.Step.BOOTCONFIG)
    plan = desk.apply(wanted())
    assert {drift.path for drift in plan.drifts} >= {"host/kernel_cmdline/iommu=pt"}
    assert [type(action).__name__ for action in plan.actions] == ["Simulate", "WriteFile", "RunStep"], "it still runs"
    assert plan.impact is model.Impact.LIVE
    assert desk.plan(wanted()).empty


def test_a_stale_initramfs_is_rebuilt(desk):
    desk.apply(wanted())
    text, _ = desk.node.files[OWN_MODPROBE]
    desk.node.write(OWN_MODPROBE, text)  # newer than the image now
    plan = desk.plan(wanted())
    assert [type(action).__name__ for action in plan.actions] == ["RunStep"], "what runs is as wanted: no reboot"
    desk.apply(wanted())
    assert desk.plan(wanted()).empty


@pytest.mark.parametrize("menu", ["", "### BEGIN /etc/grub.d/00_header ###\n"])
def test_a_menu_without_an_entry_is_made_again(desk, menu):
    desk.apply(wanted())
    desk.node.write("/boot/grub/grub.cfg", menu)
    plan = desk.plan(wanted())
    assert [(one.path, one.why) for one in plan.drifts] == [
        ("boot/bootconfig", "/boot/grub/grub.cfg has no entry that boots")
    ]
    desk.apply(wanted())
    assert desk.plan(wanted()).empty


def test_an_interrupted_run_is_finished_by_the_marks_it_left(desk):
    desk.apply(wanted())
    desk.node.dirty.add(model.Step.INITRAMFS)
    plan = desk.plan(wanted())
    assert any(isinstance(action, acts.RunStep) for action in plan.actions)


def test_a_reboot_that_cannot_help_is_a_finding_and_no_action(desk):
    desk.apply(wanted())
    desk.node.cmdline = tuple(token for token in desk.node.cmdline if token != "iommu=pt")
    plan = desk.plan(wanted())
    assert "not-effective-after-boot" in {finding.id for finding in plan.findings if finding.holds}
    assert plan.actions == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off"\n'),
        ("/etc/default/grub.d/zz.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'),
        ("/etc/default/grub.d/zz.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=off"\n'),
    ],
)
@pytest.mark.parametrize("ours", [False, True])
def test_what_a_line_of_others_keeps_out_is_not_said_to_be_in_the_files(desk, path, text, ours):
    want = dataclasses.replace(
        wanted(), host={"kernel_cmdline": (wish.Want("intel_iommu=on", wanted().document),)}, guests=()
    )
    if ours:
        desk.apply(want)
    desk.node.write(path, text)
    desk.node.step(model.Step.BOOTCONFIG)
    desk.node.reboot()
    found = {finding.id for finding in desk.plan(want).findings if finding.holds}
    assert found == {"foreign-contradiction"}


def test_unread_files_hold_everything(desk):
    facts = desk.node.facts()
    files = {**facts.files, "/etc/default/grub": model.Unknown("permission denied")}
    from transom.plan import make

    plan = make.make(wanted(), dataclasses.replace(facts, files=files), {})
    assert plan.actions == ()
    assert "cannot-read" in {finding.id for finding in plan.findings if finding.holds}


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("/etc/default/grub", 'GRUB_TIMEOUT=5\nif true; then GRUB_CMDLINE_LINUX=""; fi\n', 2),
        ("/etc/default/grub.d/50-x.cfg", 'GRUB_TIMEOUT="5\n', 1),
    ],
)
def test_a_line_that_only_a_shell_could_follow_is_named_once_and_nobody_is_sent_after_rights(desk, path, text, line):
    desk.node.write(path, text)
    plan = desk.plan(wanted())
    (found,) = [one for one in plan.findings if one.id in ("cannot-judge", "cannot-read")]
    assert (found.subject, found.holds, plan.actions) == (f"{path}:{line}", True, ())
    assert found.summary.startswith(f"{path}:{line}: ")
    assert "plain assignments" in found.remedy
    assert "mint" not in found.remedy


@pytest.mark.parametrize("field", ["guests", "states", "pci", "roms"])
def test_unknown_facts_hold(desk, field):
    from transom.plan import make

    facts = dataclasses.replace(desk.node.facts(), **{field: model.Unknown("no answer")})
    plan = make.make(wanted(), facts, {})
    assert plan.held
    assert plan.actions == ()


def edit(desk, vmid: int, **changes: str | None) -> None:
    values = dict(conf.parse(desk.node.guests[vmid]).persisted())
    for key, value in changes.items():
        if value is None:
            del values[key]
        else:
            values[key] = value
    desk.node.set_guest(vmid, values)


def test_seeds_vm_is_the_seeds_configuration(desk):
    desk.apply(wanted())
    (rom,) = desk.node.roms
    values = conf.parse(desk.node.guests[112]).persisted()
    assert values["hostpci0"] == f"0000:00:02.0,legacy-igd=1,romfile={rom}"
    assert values["args"].startswith("-set device.hostpci0.addr=02.0")
    assert (values["vga"], values["machine"], values["memory"]) == ("none", "pc-i440fx-7.1", "8192")


def test_an_edit_in_the_web_ui_is_repaired(desk):
    desk.apply(wanted())
    edit(desk, 112, hostpci0="0000:00:02.0", args=None)
    plan = desk.plan(wanted())
    (change,) = plan.actions
    assert isinstance(change, guest_actions.ChangeGuest)
    assert set(change.root) == {"hostpci0", "args"}
    assert change.api == {}
    desk.apply(wanted())
    assert desk.plan(wanted()).empty


def test_the_same_in_other_words_is_no_drift(desk):
    desk.apply(wanted())
    values = conf.parse(desk.node.guests[112]).persisted()
    rom = values["hostpci0"].rpartition("romfile=")[2]
    edit(desk, 112, hostpci0=f"host=00:02.0,rombar=1,romfile={rom},legacy-igd=on", numa="yes")
    assert desk.plan(wanted()).empty


def test_a_key_no_document_names_any_more_goes_back(desk):
    node = wanted()
    desk.apply(node)
    (guest,) = node.guests
    config = {key: want for key, want in guest.config.items() if key != "usb1"}
    less = dataclasses.replace(node, guests=(dataclasses.replace(guest, config=config),))
    desk.apply(less)
    assert "usb1" not in conf.parse(desk.node.guests[112]).persisted()
    assert desk.plan(less).empty


def test_somebody_elses_vm_with_our_id_holds(desk):
    desk.node.set_guest(112, {"name": "router", "memory": "512"})
    plan = desk.plan(wanted())
    assert "vm-not-ours" in {finding.id for finding in plan.findings if finding.holds}
    assert plan.actions == ()


def test_a_lost_rom_comes_back(desk):
    desk.apply(wanted())
    desk.node.roms.clear()
    plan = desk.apply(wanted())
    assert [type(action).__name__ for action in plan.actions] == ["PlaceRom"]
    assert desk.plan(wanted()).empty


def test_hash_names_the_plan_and_moves_with_the_facts(desk):
    first, same = desk.plan(wanted()), desk.plan(wanted())
    assert first.hash == same.hash
    desk.node.write("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:9bc8\n")
    assert desk.plan(wanted()).hash != first.hash


def test_tags_and_notes_of_the_user_stay(desk):
    desk.apply(wanted())
    values = dict(conf.parse(desk.node.guests[112]).persisted())
    edit(desk, 112, tags="mine;transom", description="my notes\n\n" + values["description"])
    assert desk.plan(wanted()).empty
    edit(desk, 112, tags="mine")
    plan = desk.apply(wanted())
    assert {drift.path for drift in plan.drifts} >= {"qemu/112/tags"}
    values = conf.parse(desk.node.guests[112]).persisted()
    assert values["tags"] == "mine;transom"
    assert values["description"].startswith("my notes\n")
    assert desk.plan(wanted()).empty


def test_an_id_used_again_by_somebody_else_is_not_ours(desk):
    desk.apply(wanted())
    desk.node.set_guest(112, {"name": "router", "memory": "512", "vmgenid": "11111111-0000-4000-8000-000000000002"})
    plan = desk.plan(wanted())
    assert "vm-not-ours" in {finding.id for finding in plan.findings if finding.holds}


def other_rom(node: wish.NodeWish) -> wish.NodeWish:
    (guest,) = node.guests
    assert guest.rom is not None
    rom = dataclasses.replace(guest.rom, sha256="b" * 64)
    return dataclasses.replace(node, guests=(dataclasses.replace(guest, rom=rom),))


def test_another_rom_takes_the_old_ones_place_in_one_go(desk):
    desk.apply(wanted())
    (old,) = desk.node.roms
    plan = desk.apply(other_rom(wanted()))
    assert [type(action).__name__ for action in plan.actions] == ["PlaceRom", "ChangeGuest", "RemoveRom"]
    assert old not in desk.node.roms
    assert desk.plan(other_rom(wanted())).empty


def test_a_rom_that_a_snapshot_names_stays(desk):
    desk.apply(wanted())
    (old,) = desk.node.roms
    desk.node.guests[112] += f"\n[before]\nhostpci0: 0000:00:02.0,romfile={old}\n"
    desk.apply(other_rom(wanted()))
    assert old in desk.node.roms
    assert desk.plan(other_rom(wanted())).empty


UUID, OTHER = "1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f", "2e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f"


def made_with_a_uuid(desk) -> None:
    """PVE gives every VM that it makes a UUID; the ledger keeps it with the generation."""
    desk.apply(wanted())
    desk.node.guests[112] += f"smbios1: uuid={UUID}\n"
    kept = identity.known_as(conf.parse(desk.node.guests[112]))
    desk.ledger["qemu/112"] = dataclasses.replace(desk.ledger["qemu/112"], applied=kept)


def test_a_rolled_back_vm_is_still_ours(desk):
    made_with_a_uuid(desk)
    edit(desk, 112, vmgenid="11111111-0000-4000-8000-000000000002")
    assert desk.plan(wanted()).empty


def test_a_clone_under_a_reused_id_is_not_ours_for_all_its_mark(desk):
    made_with_a_uuid(desk)
    edit(desk, 112, vmgenid="11111111-0000-4000-8000-000000000002", smbios1=f"uuid={OTHER}")
    plan = desk.plan(wanted())
    assert [finding.id for finding in plan.findings if finding.holds] == ["vm-reused"]
    assert plan.actions == ()
    desk.apply(wanted(), take_over=True)
    assert desk.plan(wanted()).empty


def test_a_clone_beside_it_is_told_and_left_alone(desk):
    made_with_a_uuid(desk)
    desk.node.guests[120] = desk.node.guests[112].replace(UUID, OTHER)
    before = desk.node.guests[120]
    plan = desk.plan(wanted())
    assert "vm-mark-copied" in {finding.id for finding in plan.findings}
    assert plan.empty
    assert desk.node.guests[120] == before


def adopted(node: wish.NodeWish, who: str) -> wish.NodeWish:
    (guest,) = node.guests
    return dataclasses.replace(node, guests=(dataclasses.replace(guest, identity=who),))


@pytest.mark.parametrize(("there", "id"), [(None, "vm-gone"), ({"name": "router", "memory": "512"}, "vm-reused")])
def test_a_vm_that_a_document_took_over_is_only_that_very_vm(desk, there, id):
    if there:
        desk.node.set_guest(112, there)
    plan = desk.plan(adopted(wanted(), f"smbios:{UUID}"))
    assert id in {finding.id for finding in plan.findings if finding.holds}
    assert plan.actions == ()


def test_a_vm_that_a_document_took_over_gets_the_mark_with_its_first_change(desk):
    made_with_a_uuid(desk)
    desk.ledger.pop("qemu/112")
    edit(desk, 112, tags="mine", description="notes")
    want = adopted(wanted(), f"smbios:{UUID}")
    assert desk.plan(want).empty
    edit(desk, 112, memory="1024")
    desk.apply(want)
    assert conf.parse(desk.node.guests[112]).persisted()["tags"] == "mine;transom"
    assert desk.plan(want).empty


def test_what_could_not_be_read_of_the_host_holds_a_plan_that_changes_it_and_no_other(desk):
    blind = lambda: dataclasses.replace(desk.node.facts(), standing=model.Standing())  # noqa: E731
    held = make.make(wanted(), blind(), {})
    assert {"boot-full", "dpkg-unfinished", "job-running", "quorum-needs-node"} <= {
        one.id for one in held.findings if one.holds
    }
    desk.apply(wanted())
    edit(desk, 112, memory="4096")
    plan = make.make(wanted(), blind(), desk.ledger)
    assert [type(action).__name__ for action in plan.actions] == ["ChangeGuest"]


def test_the_host_that_transom_runs_on_is_rebooted_by_a_person(desk):
    plan = make.make(wanted(), dataclasses.replace(desk.node.facts(), here=True), {})
    (reboot,) = [action for action in plan.actions if isinstance(action, acts.Reboot)]
    assert reboot.by_hand
    assert "systemctl reboot" in reboot.describe()


def test_no_second_vm_is_made_beside_one_that_could_not_be_read(desk):
    """Looked for by its mark, it may be the very one."""
    (guest,) = wanted().guests
    want = dataclasses.replace(wanted(), guests=(dataclasses.replace(guest, vmid=None),))
    facts = desk.node.facts()
    unread = model.GuestFile(100, model.Unknown("the API answered nonsense"), "")
    plan = make.make(want, dataclasses.replace(facts, guests={**facts.guests, 100: unread}), {})
    assert plan.actions == ()
    assert [one.subject for one in plan.findings if one.holds] == ["VM 100, which may be VirtualMachine/win11-igd"]


def with_host(node: wish.NodeWish, **more: str) -> wish.NodeWish:
    extra = {key: (wish.Want(value, node.document),) for key, value in more.items()}
    return dataclasses.replace(node, host={**node.host, **extra})


def test_options_and_sysctl_settle_and_go_to_the_byte(desk):
    desk.apply(wanted())
    files = {path: text for path, (text, _) in desk.node.files.items() if not path.startswith("/boot")}
    more = with_host(wanted(), module_options="kvm.ignore_msrs=1", sysctl="vm.nr_hugepages=1024")
    plan = desk.apply(more)
    assert [action.step for action in plan.actions if isinstance(action, acts.RunStep)] == [
        model.Step.SYSCTL,
        model.Step.INITRAMFS,
    ]
    assert desk.plan(more).empty
    desk.node.sysctl["vm.nr_hugepages"] = "7"
    again = desk.apply(more)
    assert [type(action).__name__ for action in again.actions] == ["RunStep"]
    assert desk.plan(more).empty
    desk.apply(wanted())
    assert desk.plan(wanted()).empty
    assert {path: text for path, (text, _) in desk.node.files.items() if not path.startswith("/boot")} == files


def test_a_value_that_the_kernel_makes_something_else_of_is_set_once_a_boot_and_told(desk):
    """1024 huge pages where memory yields 1010. Another value is set again; so is one that took and that somebody changed since."""
    want, more = (with_host(wanted(), sysctl=f"vm.nr_hugepages={count}") for count in (1024, 2048))
    desk.node.sysctl_makes = {"vm.nr_hugepages=1024": "1010"}
    desk.apply(wanted())
    desk.apply(want)
    plan = desk.plan(want)
    assert plan.empty
    (finding,) = (one for one in plan.findings if one.id == "sysctl-shown-otherwise")
    assert ("1010" in finding.summary, "1024" in finding.summary, finding.holds) == (True, True, False)
    desk.node.reboot()
    assert [action.step for action in desk.apply(want).actions] == [model.Step.SYSCTL]
    assert desk.plan(want).empty
    desk.apply(more)
    assert "sysctl-shown-otherwise" not in {one.id for one in desk.plan(more).findings}
    desk.node.sysctl["vm.nr_hugepages"] = "7"
    assert [action.step for action in desk.apply(more).actions] == [model.Step.SYSCTL]
    assert desk.plan(more).empty


def test_what_is_set_at_once_is_looked_for_aside_and_comes_before_what_boots(desk):
    """A key or a value that the kernel refuses has then changed nothing of the boot."""
    want = with_host(wanted(), sysctl="net/ipv4/conf/eno1.10/forwarding=1", kernel_cmdline="intel_iommu=on")
    plan = make.make(want, desk.node.facts(), {})
    kinds = [action.kind for action in plan.actions]
    assert kinds[:5] == ["simulate", "keep-boot", "arm-rollback", "write-file", "run-step"]
    assert plan.actions[3].path == "/etc/sysctl.d/zz-transom.conf"
    assert plan.actions[4].step is model.Step.SYSCTL
    assert plan.actions[0].sysctl == ("/proc/sys/net/ipv4/conf/eno1.10/forwarding",)
    (look,) = [line for line in plan.actions[0].script().splitlines() if "/proc/sys" in line]
    assert subprocess.run(["sh", "-c", look], capture_output=True, text=True, check=False).stdout == (
        "the running kernel has no /proc/sys/net/ipv4/conf/eno1.10/forwarding: mistyped, or of a module that is not loaded yet\n"
    )


def test_sysctl_alone_needs_no_reboot(desk):
    bare = dataclasses.replace(wanted(), host={}, guests=())
    plan = desk.apply(with_host(bare, sysctl="vm.nr_hugepages=1024"))
    assert [type(action).__name__ for action in plan.actions] == ["WriteFile", "RunStep"]
    assert plan.impact is model.Impact.LIVE
    gone = desk.apply(bare)
    assert [type(action).__name__ for action in gone.actions] == ["RemoveFile", "RunStep"]
    assert desk.plan(bare).empty


def test_a_device_with_a_twin_is_bound_by_its_address_and_the_twin_stays(desk):
    igpu, audio = desk.node.devices
    twin = dataclasses.replace(igpu, address="0000:03:00.0", driver="i915", boot_vga=False)
    desk.node.devices = (igpu, audio, twin)
    desk.node.reboot()
    node = wanted()
    (guest,) = node.guests
    assert guest.device is not None
    device = dataclasses.replace(guest.device, address=igpu.address)
    host = {**node.host, "blacklist": ()}  # it would take the driver from the twin too, which is refused
    node = dataclasses.replace(
        node,
        host=host,
        devices={device.name: device},
        guests=(dataclasses.replace(guest, device=device),),
    )
    plan = desk.apply(node)
    (script,) = [one for one in plan.actions if isinstance(one, acts.WriteFile) and "init-top" in one.path]
    assert script.mode == 0o755
    assert {dev.address: dev.driver for dev in desk.node.pci} == {
        igpu.address: "vfio-pci",
        audio.address: "snd_hda_intel",
        twin.address: "i915",
    }
    refused = make.make(
        dataclasses.replace(node, host={**host, "blacklist": wanted().host["blacklist"]}), desk.node.facts(), {}
    )
    assert "driver-serves-host" in {one.id for one in refused.findings if one.holds}
