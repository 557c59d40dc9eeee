"""The way back as a plan: exact where nobody came in between, refused with the reason where somebody did."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import actions as acts
from transom.reconcile import changed, undo
from transom.reconcile import effect as eff
from transom.report import plan_text
from transom.spec import wish

A, B, C = "a" * 64, "b" * 64, "c" * 64
CONF = "/etc/pve/qemu-server/112.conf"
MODPROBE = "/etc/modprobe.d/zz-transom.conf"
FACTS = model.Facts(
    node="pve1",
    boot=model.Boot("boot-2", "5.15", (), "grub", False, 0),
    files={},
    covered=("/etc/default/grub", "/etc/default/grub.d/*.cfg", "/etc/modprobe.d/*.conf"),
    states={112: model.GuestState(112, "stopped")},
    guests={},
    rom_users={},
    keeping=model.Keeping(),
)
WROTE = eff.Effect(MODPROBE, None, A, (model.Step.INITRAMFS,), reboot=True)
MADE = eff.Effect(CONF, None, None, vmid=112, wanted={"name": "x", "memory": "512", "args": "-foo"})
CREATED = "args: -foo\nmemory: 512\nmeta: creation-qemu=7.1.0,ctime=1\nname: x\nvmgenid: 0f5e6a52\n"


def plan(effects, present, images=None, facts=FACTS, **past):
    kept = {path: changed.Image(None) for path in present} if images is None else images
    given = {"same_boot": False} | past
    return undo.plan("pve1", changed.Past("run1", tuple(effects), present, kept, **given), facts)


def test_a_created_file_goes_and_what_was_built_from_it_is_rebuilt():
    made = plan([WROTE], {MODPROBE: changed.Present(A, None)})
    kinds = [type(action) for action in made.actions]
    assert kinds == [acts.RestoreFile, acts.RunStep, acts.Reboot]
    assert made.actions[0].before_sha256 is None
    assert made.impact is model.Impact.HOST_REBOOT


def test_no_reboot_when_the_change_never_booted():
    made = plan([WROTE], {MODPROBE: changed.Present(A, None)}, same_boot=True)
    assert [type(action) for action in made.actions] == [acts.RestoreFile, acts.RunStep]


def test_an_undo_that_nobody_boots_tells_what_the_next_boot_gets_by_it():
    grub, on, off = "/etc/default/grub", "GRUB_CMDLINE_LINUX=intel_iommu=on\n", "GRUB_CMDLINE_LINUX=intel_iommu=off\n"
    menu = "menuentry 'x' {\n\tlinux /boot/vmlinuz-5.15 root=/dev/sda1 ro intel_iommu=on\n}\n"
    files = {grub: model.HostFile(grub, on, B), "/boot/grub/grub.cfg": model.HostFile("/boot/grub/grub.cfg", menu, "")}
    running = dataclasses.replace(FACTS.boot, cmdline=("BOOT_IMAGE=x", "root=/dev/sda1", "ro", "intel_iommu=on"))
    covered = ("/etc/default/grub.d/*.cfg",)
    facts = dataclasses.replace(FACTS, boot=running, files=files, covered=covered, pci=())
    wrote = eff.Effect(grub, A, B, (model.Step.BOOTCONFIG,), reboot=True)
    made = plan([wrote], {grub: changed.Present(B, on)}, {grub: changed.Image(A, off)}, facts, same_boot=True)
    assert [(one.observed, one.desired) for one in made.drifts] == [("as the run left it", "as before the run")]
    access = wish.Access((), "", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), "")
    made = undo.guarded(made, facts, wish.NodeWish("pve1", "pve1", "Node/pve1", "home", access, {}, {}, ()))
    assert made.next_boot
    assert (made.next_boot.new, made.next_boot.gone) == (("intel_iommu=off",), ("intel_iommu=on",))
    (note,) = [one for one in made.findings if one.id == "later-boot"]
    assert "intel_iommu=off, which the running kernel was not given" in str(note.evidence)


def test_a_file_changed_since_holds_everything():
    made = plan([WROTE], {MODPROBE: changed.Present(B, None)})
    assert made.held
    assert made.actions == ()
    assert made.findings[0].subject == MODPROBE


def test_a_step_that_never_came_to_pass_needs_nothing():
    assert plan([WROTE], {MODPROBE: changed.Present(None, None)}).empty


def test_two_changes_of_one_path_go_back_to_the_first_image():
    second = dataclasses.replace(WROTE, before_sha256=A, after_sha256=B)
    made = plan([WROTE, second], {MODPROBE: changed.Present(B, None)})
    assert [action.path for action in made.actions if isinstance(action, acts.RestoreFile)] == [MODPROBE]
    assert made.actions[0].expect_sha256 == B


def test_a_created_vm_loses_its_configuration_and_keeps_its_disks():
    made = plan([MADE], {CONF: changed.Present(C, CREATED)}, {CONF: changed.Image(None)})
    (restore,) = made.actions
    assert restore.vmid == 112
    assert restore.before_sha256 is None
    assert "disks stay" in restore.describe()


@pytest.mark.parametrize(
    ("now", "culprit"),
    [
        (CREATED + "usb0: host=046d:c07e\n", "usb0"),
        (CREATED.replace("memory: 512", "memory: 1024"), "memory"),
    ],
)
def test_a_vm_that_somebody_changed_since_is_left(now, culprit):
    made = plan([MADE], {CONF: changed.Present(C, now)}, {CONF: changed.Image(None)})
    assert made.held
    assert culprit in made.findings[0].summary


@pytest.mark.parametrize(
    "state",
    [model.GuestState(112, "running"), model.GuestState(112, "stopped", "backup"), model.Unknown("no answer")],
)
def test_a_vm_that_runs_is_locked_or_cannot_be_asked_is_left(state):
    states = state if isinstance(state, model.Unknown) else {112: state}
    made = plan(
        [MADE],
        {CONF: changed.Present(C, CREATED)},
        {CONF: changed.Image(None)},
        dataclasses.replace(FACTS, states=states),
    )
    assert made.held
    assert made.actions == ()


def test_a_changed_vm_goes_back_to_its_image():
    change = eff.Effect(CONF, A, None, vmid=112, wanted={"vga": "none", "args": None})
    before = "args: -foo\nname: x\n"
    made = plan([change], {CONF: changed.Present(B, "name: x\nvga: none\n")}, {CONF: changed.Image(A, before)})
    assert made.actions[0].before_sha256 == A
    kept = plan(
        [change], {CONF: changed.Present(B, "args: -bar\nname: x\nvga: none\n")}, {CONF: changed.Image(A, before)}
    )
    assert kept.held, "args was set by somebody after the run deleted it"


# --- what an undo that was cut off left ---


def keeping(**marks):
    return dataclasses.replace(FACTS, keeping=model.Keeping(**marks))


def test_rebuilds_and_reboot_that_an_undo_before_still_owes():
    restored = {MODPROBE: changed.Present(None, None)}
    made = plan([WROTE], restored, facts=keeping(dirty=(model.Step.INITRAMFS,), reboot_from="boot-2"))
    assert [type(action) for action in made.actions] == [acts.RunStep, acts.Reboot]
    assert not made.empty
    assert made.impact is model.Impact.HOST_REBOOT
    made = plan([WROTE], restored, facts=keeping(reboot_from="boot-2"))
    assert [type(action) for action in made.actions] == [acts.Reboot]
    assert plan([WROTE], restored, facts=keeping(reboot_from="boot-1")).empty


def test_a_rebuild_that_was_owed_when_the_node_booted_needs_another_boot():
    made = plan(
        [WROTE],
        {MODPROBE: changed.Present(None, None)},
        facts=keeping(dirty=(model.Step.INITRAMFS,), reboot_from="boot-1"),
    )
    assert [type(action) for action in made.actions] == [acts.RunStep, acts.Reboot]


def test_marks_that_cannot_be_read_hold():
    facts = dataclasses.replace(FACTS, keeping=model.Unknown("denied"))
    assert plan([WROTE], {MODPROBE: changed.Present(A, None)}, facts=facts).held


@pytest.mark.parametrize(
    ("past", "mark", "stays"),
    [
        ({"same_boot": True}, "boot-2", False),
        ({"same_boot": True, "others_owe_reboot": True}, "boot-2", True),
        ({"same_boot": True}, "boot-1", True),
        ({"same_boot": False}, "boot-2", True),
    ],
)
def test_only_the_mark_of_this_runs_own_reboot_goes(past, mark, stays):
    seen = changed.Past("run1", (WROTE,), {}, {}, **past)
    assert undo.owes_reboot_still(seen, keeping(reboot_from=mark)) is stays


# --- what is not there ---


def test_a_missing_image_holds_by_itself_and_the_other_findings_are_told_too():
    change = eff.Effect(CONF, A, None, vmid=112, wanted={"memory": "1"})
    present = {CONF: changed.Present(B, "memory: 1\n"), MODPROBE: changed.Present(B, None)}
    made = plan([change, WROTE], present, {})
    assert {(one.id, one.subject) for one in made.findings} == {
        ("before-image-gone", CONF),
        ("changed-since-run", MODPROBE),
    }
    assert made.actions == ()


def test_a_step_that_was_cut_off_before_its_image_was_kept_needs_none():
    change = eff.Effect(CONF, A, None, vmid=112, wanted={"memory": "1"})
    assert plan([change], {CONF: changed.Present(A, "memory: 2\n")}, {}).empty


def test_a_vm_that_its_user_destroyed_stays_so():
    change = eff.Effect(CONF, A, None, vmid=112, wanted={"memory": "1"})
    made = plan([change], {CONF: changed.Present(None, None)}, {CONF: changed.Image(A, "memory: 2\n")})
    assert made.held
    assert "gone" in made.findings[0].summary


def test_a_vm_that_the_token_cannot_see_is_not_stopped():
    facts = dataclasses.replace(FACTS, states={})
    made = plan([MADE], {CONF: changed.Present(C, CREATED)}, facts=facts)
    assert made.held
    assert "not known" in made.findings[0].summary


# --- what came after ---

ROM = "/usr/share/kvm/igd-aaaa.rom"
PLACED = eff.Effect(ROM, None, A)


def with_guest(text):
    return dataclasses.replace(FACTS, guests={112: model.GuestFile(112, text, "")})


@pytest.mark.parametrize(
    "text",
    ["hostpci0: 00:02.0,romfile=igd-aaaa.rom\n", "x: y\n\n[s1]\nargs: igd-aaaa.rom\n", model.Unknown("not UTF-8")],
)
def test_a_rom_that_a_vm_names_stays(text):
    made = plan([PLACED], {ROM: changed.Present(A, None)}, facts=with_guest(text))
    assert made.held
    assert (made.findings[0].id, made.findings[0].subject) == ("rom-in-use", ROM)


@pytest.mark.parametrize("users", [{"igd-aaaa.rom": (113,)}, model.Unknown("no /proc")])
def test_a_rom_that_a_running_qemu_was_started_with_stays(users):
    made = plan([PLACED], {ROM: changed.Present(A, None)}, facts=dataclasses.replace(FACTS, rom_users=users))
    assert made.held
    assert made.findings[0].id == ("cannot-read" if isinstance(users, model.Unknown) else "rom-in-use")


def test_a_rom_goes_with_the_vm_that_named_it():
    named = CREATED + "hostpci0: 00:02.0,romfile=igd-aaaa.rom\n"
    made_vm = dataclasses.replace(MADE, wanted={**MADE.wanted, "hostpci0": "00:02.0,romfile=igd-aaaa.rom"})
    present = {ROM: changed.Present(A, None), CONF: changed.Present(C, named)}
    made = plan([PLACED, made_vm], present, facts=with_guest(named))
    assert [action.path for action in made.actions] == [CONF, ROM]
    blind = dataclasses.replace(FACTS, guests=model.Unknown("denied"))
    assert plan([PLACED, made_vm], present, facts=blind).held


def test_what_later_runs_left_is_ours_too_and_goes_with_it():
    repair = dataclasses.replace(WROTE, before_sha256=C, after_sha256=B)
    later = (changed.Later("run2", (repair,)),)
    for left in (A, B):
        made = plan([WROTE], {MODPROBE: changed.Present(left, None)}, later=later)
        assert [(one.id, one.holds) for one in made.findings] == [("later-runs", False)]
        assert made.actions[0].expect_sha256 == left
    held = plan([WROTE], {MODPROBE: changed.Present(C, None)}, later=later)
    assert held.held, "what the repair found there was somebody else's"
    assert "run2" in held.findings[0].summary


@pytest.mark.parametrize(("memory", "held"), [("512", False), ("1024", False), ("2048", True)])
def test_a_vm_that_later_runs_changed_goes_back_too(memory, held):
    later = (changed.Later("run2", (eff.Effect(CONF, A, None, vmid=112, wanted={"memory": "1024"}),)),)
    made = plan([MADE], {CONF: changed.Present(C, CREATED.replace("512", memory))}, later=later)
    assert made.held is held


# --- how it reads ---


def test_it_says_what_comes_back_and_names_the_very_image():
    change = eff.Effect(MODPROBE, A, B)
    image = changed.Image(A, "blacklist nouveau\n", 0o600, "0:4")
    made = plan([change], {MODPROBE: changed.Present(B, "blacklist i915\n")}, {MODPROBE: image})
    (restore,) = made.actions
    assert restore.backup == f"/var/lib/transom/backup/run1/{A}"
    assert restore.shell() == (f"install -m 0600 -o 0 -g 4 {restore.backup} {MODPROBE}",)
    assert restore.undo_shell() == (f"cat > {MODPROBE} <<'EOF'\nblacklist i915\nEOF",)
    shown = plan_text.text(made)
    assert "-blacklist i915" in shown
    assert "+blacklist nouveau" in shown


ACCESS = wish.Access((), "t", wish.SecretRef(env="X"), "", "", "pve1", 22, "root", wish.SecretRef(env="Y"), "")
NODE = wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, {}, {}, ())
CALM = model.Standing((), (), {}, None, (), (), (), ())


@pytest.mark.parametrize(
    ("standing", "holds"),
    [
        (CALM, []),
        (dataclasses.replace(CALM, ha=("vm:100 started",)), ["ha-service-active"]),
        (dataclasses.replace(CALM, jobs=("vzdump of 100, UPID",)), ["job-running"]),
        (dataclasses.replace(CALM, votes=model.Votes(2, 2, 1)), ["quorum-needs-node"]),
        (dataclasses.replace(CALM, dpkg=model.Unknown("not read")), ["dpkg-unfinished"]),
    ],
)
def test_the_way_back_is_held_by_what_holds_the_way_there(standing, holds):
    facts = dataclasses.replace(FACTS, standing=standing)
    held = undo.guarded(plan([WROTE], {MODPROBE: changed.Present(A, None)}, facts=facts), facts, NODE)
    assert [gate.name for gate in held.gates] == holds
    assert bool(held.actions) is not bool(holds)


def test_the_way_back_is_held_by_a_line_that_would_take_the_root_disk():
    root = model.Vital("mounted on /", ("0000:00:17.0",), "lsblk sda1", "mounted on /")
    sata = model.PciDevice("0000:00:17.0", "8086", "a382", "010601", driver="ahci")
    facts = dataclasses.replace(FACTS, standing=dataclasses.replace(CALM, disks=(root,)), pci=(sata,))
    line = "blacklist ahci\n"
    for path, holds in ((MODPROBE, []), ("/etc/modprobe.d/other.conf", ["line-takes-host-device"])):
        there = dataclasses.replace(facts, files={path: model.HostFile(path, line, A)})
        held = undo.guarded(plan([WROTE], {MODPROBE: changed.Present(A, line)}, facts=there), there, NODE)
        assert [gate.name for gate in held.gates] == holds  # what the run itself wrote goes with it


def test_a_vm_goes_back_whatever_stands_against_the_host():
    made = changed.Present("b" * 64, CREATED)
    back = plan([MADE], {CONF: made})
    assert undo.guarded(back, FACTS, NODE) == back
    assert back.actions


def test_the_host_that_transom_runs_on_goes_back_by_a_persons_reboot():
    facts = dataclasses.replace(FACTS, here=True)
    made = plan([WROTE], {MODPROBE: changed.Present(A, None)}, facts=facts)
    assert [action.by_hand for action in made.actions if isinstance(action, acts.Reboot)] == [True]
