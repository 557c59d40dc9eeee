"""Keep, arm, and go back: to the byte and to the time, once, whenever the power goes."""

from __future__ import annotations

import time

import pytest

from transom.reconcile import deadman

ESP = "2A13-C6F9"
RUN = "20261122-170000-pve1-0001"
KERNEL = "6.8.12-1-pve"
CHANGED = (
    "/etc/modprobe.d/pve-blacklist.conf",
    "/etc/modprobe.d/zz-transom.conf",
    "/etc/default/grub.d/90-transom.cfg",
)


def installed(root, kind: str) -> None:
    root.write("etc/modprobe.d/pve-blacklist.conf", "blacklist nvidiafb\n")
    root.write(f"boot/initrd.img-{KERNEL}", "old image")
    root.write(f"boot/vmlinuz-{KERNEL}", "kernel")
    root.write("boot/grub/grub.cfg", "old menu")
    if kind == "grub":
        return
    where = "esp" if kind == "boot-tool" else "boot/efi"
    root.write(f"{where}/loader/entries/proxmox-{KERNEL}.conf", "options old")
    root.write(f"{where}/EFI/proxmox/{KERNEL}/initrd.img-{KERNEL}", "old image")
    root.write(f"{where}/loader/random-seed", "seed")
    if kind == "boot-tool":
        root.write("etc/kernel/proxmox-boot-uuids", f"{ESP}\n")


def changed(root, kind: str) -> None:
    root.write("etc/modprobe.d/pve-blacklist.conf", "# blacklist nvidiafb\n", 1_800_000_000)
    root.write("etc/modprobe.d/zz-transom.conf", "options vfio-pci ids=8086:9bc8\n", 1_800_000_000)
    root.write("etc/default/grub.d/90-transom.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=new\n", 1_800_000_000)
    root.write(f"boot/initrd.img-{KERNEL}", "new image", 1_800_000_001)
    root.write("boot/grub/grub.cfg", "new menu", 1_800_000_001)
    where = {"boot-tool": "esp", "kernel-install": "boot/efi"}.get(kind)
    if where:
        root.write(f"{where}/loader/entries/proxmox-{KERNEL}.conf", "options new", 1_800_000_001)
        root.write(f"{where}/loader/entries/proxmox-more.conf", "options new", 1_800_000_001)
        root.write(f"{where}/EFI/proxmox/{KERNEL}/initrd.img-{KERNEL}", "new image", 1_800_000_001)


def armed(root, kind: str) -> None:
    assert root.script("keep", RUN, "boot-1", KERNEL, *CHANGED, boot="boot-1").startswith("kept ")
    changed(root, kind)
    said = root.script(
        "arm", RUN, "boot-1", "60", "what changed\nand the way back", boot="boot-1", stdin=deadman.SCRIPT.encode()
    )
    assert said == "armed 60\n"
    assert root.script("left", RUN, boot="boot-1") == "left \n"


def test_what_booted_has_names_that_can_be_typed_at_a_prompt(root):
    """As long as the copies themselves: nothing is left of them once the boot is confirmed."""
    installed(root, "grub")
    armed(root, "grub")
    folder = root.folder / "var/lib/transom/rollback" / RUN
    assert [(folder / name).read_text() for name in ("vmlinuz", "initrd.img")] == ["kernel", "old image"]
    assert root.script("disarm", RUN, boot="boot-2") == "disarmed \n"
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["grub", "boot-tool", "kernel-install"])
def test_it_goes_back_to_the_byte_and_reboots_once(root, kind):
    installed(root, kind)
    before = root.state()
    armed(root, kind)

    assert root.script("roll", "unit", boot="boot-1") == ""
    assert root.reboots == 0

    root.script("roll", "unit", boot="boot-2")
    assert root.state() == before
    assert root.reboots == 1
    rollback = root.folder / "var/lib/transom/rollback"
    assert "run=20261122-170000-pve1-0001\n" in (rollback / "rolled-back").read_text()
    assert "boot=boot-2\nreason=not confirmed within 60 s\n" in (rollback / "rolled-back").read_text()
    assert "problem=" not in (rollback / "rolled-back").read_text()
    assert not (rollback / "../replaced").exists()
    assert (rollback / RUN / "journal").read_text() == "the failed boot of boot-2\n"

    assert "nothing" in root.script("roll", "unit", boot="boot-3")
    assert root.reboots == 1
    assert root.script("forget", RUN, boot="boot-3") == "forgotten \n"
    assert not rollback.exists()
    assert root.state() == before


def test_disarmed_nothing_is_left_and_nothing_happens(root):
    installed(root, "grub")
    armed(root, "grub")
    after = root.state()
    assert root.script("disarm", "another", boot="boot-2") == f"refused it is armed for run {RUN}\n"
    assert root.script("disarm", RUN, boot="boot-2") == "disarmed \n"
    assert root.script("disarm", RUN, boot="boot-2") == "disarmed \n"
    ours = {path for path in after if "systemd" in path and path != "etc/systemd" and path != "etc/systemd/system"}
    assert ours | {"root/transom-undo.sh"} == after.keys() - root.state().keys()
    assert not (root.folder / "var/lib/transom/rollback").exists()
    root.script("roll", "unit", boot="boot-2")
    assert root.reboots == 0


def test_by_hand_from_the_boot_that_armed(root):
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    card = (root.folder / "root/transom-undo.sh").read_text()
    assert card.startswith("#!/bin/sh\n# what changed\n# and the way back\nexec ")
    root.script("roll", "now", boot="boot-1")
    assert (root.state(), root.reboots) == (before, 1)


def test_another_run_in_the_same_boot_keeps_what_booted_not_what_was_written_since(root):
    installed(root, "grub")
    before = root.state()
    root.script("keep", "run-1", "boot-1", KERNEL, *CHANGED, boot="boot-1")
    (root.folder / "var/lib/transom/rollback/run-1/onboot").write_text("101\n")
    qm(root, QUORUM)
    changed(root, "grub")
    armed(root, "grub")
    assert (root.folder / f"var/lib/transom/rollback/{RUN}/onboot").exists()
    assert not (root.folder / "var/lib/transom/rollback/run-1").exists()
    root.script("roll", "unit", boot="boot-2")
    assert root.state() == before


def test_copies_that_a_later_run_took_over_bring_it_back_though_it_did_not_come_to_arm(root):
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    root.script("keep", "run-2", "boot-1", KERNEL, *CHANGED, boot="boot-1")
    root.script("roll", "unit", boot="boot-2")
    assert root.state() == before
    assert "run=run-2\n" in (root.folder / "var/lib/transom/rollback/rolled-back").read_text()


NEWER = "6.8.12-9-pve"


def newer_kernel(root, kind: str) -> set[str]:
    """As apt installs it while the change is on the disk: with that in its image and entry, and first in the menu. What stays."""
    root.write(f"boot/initrd.img-{NEWER}", "new image of a newer kernel")
    root.write(f"boot/vmlinuz-{NEWER}", "newer kernel")
    if kind == "grub":
        root.write("boot/grub/grub.cfg", "new menu with a newer kernel")
        return {f"boot/initrd.img-{NEWER}", f"boot/vmlinuz-{NEWER}"}
    where = "esp" if kind == "boot-tool" else "boot/efi"
    root.write(f"{where}/EFI/proxmox/{NEWER}/initrd.img-{NEWER}", "new image of a newer kernel")
    root.write(f"{where}/loader/entries/proxmox-{NEWER}.conf", "options new")
    images = f"{where}/EFI/proxmox/{NEWER}"
    return {f"boot/initrd.img-{NEWER}", f"boot/vmlinuz-{NEWER}", images, f"{images}/initrd.img-{NEWER}"}


@pytest.mark.parametrize("goes_on", [True, False], ids=["two runs", "one run"])
@pytest.mark.parametrize("kind", ["grub", "boot-tool", "kernel-install"])
def test_a_kernel_that_comes_after_the_change_is_not_booted_after_going_back(root, kind, goes_on):
    """Whether a second run goes on from there, or not: that kernel was never without the change."""
    installed(root, kind)
    before = root.state()
    if goes_on:
        root.script("keep", "run-1", "boot-1", KERNEL, *CHANGED, boot="boot-1")
        changed(root, kind)
    else:
        armed(root, kind)
    stays = newer_kernel(root, kind)
    if goes_on:
        armed(root, kind)
    assert "All else is as before" in root.script("roll", "unit", boot="boot-2")
    after = root.state()
    assert {path: one for path, one in after.items() if path not in stays} == before
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text()
    assert f"problem=kernel {NEWER} came later and is not in the boot menu: update-initramfs -u -k {NEWER}" in told


def test_a_second_run_adds_the_files_that_it_changes_to_what_was_kept(root):
    installed(root, "boot-tool")
    root.write("etc/kernel/cmdline", "root=ZFS=rpool\n")
    before = root.state()
    root.script("keep", "run-1", "boot-1", KERNEL, *CHANGED, boot="boot-1")
    changed(root, "boot-tool")
    root.script("keep", "run-2", "boot-1", KERNEL, "/etc/kernel/cmdline", "/etc/sysctl.d/zz.conf", boot="boot-1")
    root.write("etc/kernel/cmdline", "root=ZFS=rpool iommu=pt\n")
    root.write("etc/sysctl.d/zz.conf", "vm.swappiness=1\n")
    armed(root, "boot-tool")
    root.script("roll", "unit", boot="boot-2")
    assert root.state() == before


def test_an_esp_that_comes_after_the_change_is_told(root):
    installed(root, "grub")
    armed(root, "grub")
    root.write("etc/kernel/proxmox-boot-uuids", f"{ESP}\n")
    root.script("roll", "unit", boot="boot-2")
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text()
    assert f"problem=ESP {ESP} came later, and is as it was left\n" in told


def test_what_was_kept_in_an_earlier_boot_makes_room(root):
    installed(root, "grub")
    root.script("keep", "run-1", "boot-0", KERNEL, *CHANGED, boot="boot-0")
    armed(root, "grub")
    assert not (root.folder / "var/lib/transom/rollback/run-1").exists()


def test_without_room_nothing_is_kept(root):
    installed(root, "grub")
    root.write("fake/df", "#!/bin/sh\nprintf ' Avail\\n   100\\n'\n")
    (root.folder / "fake/df").chmod(0o755)
    assert root.script("keep", RUN, "boot-1", KERNEL, *CHANGED, boot="boot-1").startswith("short 164")


def test_what_is_no_file_is_refused(root):
    installed(root, "grub")
    (root.folder / "etc/modprobe.d/zz-transom.conf").symlink_to("/etc/elsewhere")
    said = root.script("keep", RUN, "boot-1", KERNEL, *CHANGED, boot="boot-1")
    assert said == "refused /etc/modprobe.d/zz-transom.conf is no regular file\n"


@pytest.mark.parametrize("end", ["roll", "disarm"])
def test_what_a_write_that_was_cut_off_has_left_goes(root, end):
    """Also where going back removes the folder that it lies in."""
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    root.write("etc/modprobe.d/.zz-transom.conf.transom", "half of ")
    root.write("etc/default/grub.d/.90-transom.cfg.transom", "")
    if end == "roll":
        root.script("roll", "unit", boot="boot-2")
        assert root.state() == before
    else:
        root.script("disarm", RUN, boot="boot-2")
        assert not [path for path in root.state() if path.endswith(".transom")]


def test_a_kernel_that_was_removed_meanwhile_is_there_for_the_menu_that_begins_with_it(root):
    """Installed and not booted yet when the node was armed; newer ones came, and it went."""
    installed(root, "grub")
    first = root.folder / "boot/vmlinuz-6.8.12-2-pve"
    root.write("boot/vmlinuz-6.8.12-2-pve", "the menu's first kernel")
    root.write("boot/initrd.img-6.8.12-2-pve", "its image")
    armed(root, "grub")
    first.unlink()
    (root.folder / "boot/initrd.img-6.8.12-2-pve").unlink()
    root.script("roll", "unit", boot="boot-2")
    assert first.read_text() == "the menu's first kernel"
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text()
    assert "problem=kernel 6.8.12-2-pve was removed meanwhile" in told
    assert root.reboots == 1


def test_one_goes_back_not_two(root):
    """A person at the console types the card's line while the unit is at it."""
    installed(root, "grub")
    armed(root, "grub")
    held = "exec 7>>/run/lock/transom.lock.roll; flock 7; exec 7>&7; "
    said = root.script("roll", "now", boot="boot-2", before="mkdir -p /run/lock; " + held)
    assert said == "The node is going back already.\n"
    assert root.reboots == 0
    root.script("roll", "now", boot="boot-2")
    assert root.reboots == 1


def test_a_damaged_copy_is_told_and_the_rest_goes_back(root):
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    kept = root.folder / f"var/lib/transom/rollback/{RUN}"
    image = next(path for path in kept.iterdir() if path.read_bytes() == b"old menu")
    image.write_bytes(b"rotten")
    root.script("roll", "unit", boot="boot-2")
    assert "problem=the kept copy of /boot/grub/grub.cfg is damaged" in (kept / "../rolled-back").read_text()
    after = root.state()
    assert {path for path in after if after[path] != before.get(path)} == {"boot/grub/grub.cfg"}


@pytest.mark.parametrize(("kind", "point"), [("kernel-install", "boot/efi"), ("grub", "boot")])
def test_what_cannot_be_mounted_is_told_once_and_its_mount_point_left_alone(root, kind, point):
    """And not as what became of the files on it."""
    installed(root, kind)
    root.write(f"{point}/.mounted", "")
    before = root.state()
    armed(root, kind)
    (root.folder / point).rename(root.folder / "away")
    (root.folder / point).mkdir()
    root.script("roll", "unit", boot="boot-2")
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text().splitlines()
    assert [line for line in told if line.startswith("problem=")] == [
        f"problem=/{point} could not be mounted, and what it boots from is as it was left"
    ]
    assert list((root.folder / point).iterdir()) == []
    (root.folder / point).rmdir()
    (root.folder / "away").rename(root.folder / point)
    after = root.state()
    assert all(path.startswith(f"{point}/") for path in after if after[path] != before.get(path))


MB = 1_000_000
OTHER = "boot/initrd.img-6.9.1-1-pve"


def images_of(root, booted: int, other: int) -> None:
    root.write(f"boot/initrd.img-{KERNEL}", "n" * booted)
    root.write(OTHER, "m" * other)


def test_an_image_goes_back_in_place_once_others_have_made_room(root, small):
    installed(root, "grub")
    images_of(root, 8 * MB, 1 * MB)
    before = root.state()
    armed(root, "grub")
    images_of(root, 3 * MB, 6 * MB)
    root.script("roll", "unit", boot="boot-2", small=small("/boot", 10 * MB))
    assert root.reboots == 1
    assert root.state() == before


def test_an_image_that_has_no_room_at_all_is_left_whole_and_told(root, small):
    installed(root, "grub")
    images_of(root, 8 * MB, 6 * MB)
    before = root.state()
    armed(root, "grub")
    images_of(root, 3 * MB, 6 * MB)
    root.script("roll", "unit", boot="boot-2", small=small("/boot", 10 * MB))
    after = root.state()
    assert {path for path in after if after[path] != before.get(path)} == {f"boot/initrd.img-{KERNEL}"}
    assert (root.folder / f"boot/initrd.img-{KERNEL}").read_text() == "n" * 3 * MB
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text()
    assert f"problem=/boot/initrd.img-{KERNEL} could not be written, and is as it was left\n" in told


def test_a_node_that_cannot_be_written_to_does_not_reboot_and_tries_again(root):
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    assert "Nothing can be written: no reboot." in root.script("roll", "unit", boot="boot-2", read_only=True)
    assert root.reboots == 0
    assert "Restart=on-failure\n" in (root.folder / "etc/systemd/system/transom-rollback.service").read_text()
    root.script("roll", "unit", boot="boot-2")
    assert (root.state(), root.reboots) == (before, 1)


def test_on_a_full_disk_it_goes_back_and_tells_so(root, small):
    installed(root, "grub")
    before = root.state()
    armed(root, "grub")
    root.script("roll", "unit", boot="boot-2", small=small("/var", 10 * MB, full=True))
    assert (root.state(), root.reboots) == (before, 1)
    marks = root.folder / "var/lib/transom/rollback"
    told = (marks / "rolled-back").read_text().rstrip("\n").splitlines()
    assert [line for line in told if not line.startswith("at=")] == [
        f"run={RUN}",
        "boot=boot-2",
        "reason=not confirmed within 60 s",
    ]
    assert not (marks / "armed").exists()


@pytest.mark.parametrize("kind", ["grub", "boot-tool"])
def test_what_others_wrote_after_the_run_is_not_lost(root, kind):
    installed(root, kind)
    before = root.state()
    armed(root, kind)
    root.write("etc/modprobe.d/pve-blacklist.conf", "blacklist nvidiafb\nblacklist somebody's\n")
    root.write("etc/modprobe.d/zz-transom.conf", "somebody's too\n")
    root.write("boot/grub/grub.cfg", "menu with a newer kernel")
    if kind == "boot-tool":
        root.write("esp/loader/entries/proxmox-6.9.1-1-pve.conf", "options of a newer kernel")
    root.script("roll", "unit", boot="boot-2")
    assert root.state() == before
    kept = root.folder / f"var/lib/transom/replaced/{RUN}"
    told = (root.folder / "var/lib/transom/rollback/rolled-back").read_text()
    found = {str(path.relative_to(kept)): path.read_text() for path in kept.rglob("*") if path.is_file()}
    assert all(f"problem=/{path} may not have been as the run left it: what it was is in" in told for path in found)
    assert found.pop("etc/modprobe.d/pve-blacklist.conf") == "blacklist nvidiafb\nblacklist somebody's\n"
    assert found.pop("etc/modprobe.d/zz-transom.conf") == "somebody's too\n"
    assert found.pop("boot/grub/grub.cfg") == "menu with a newer kernel"
    assert list(found.values()) == (["options of a newer kernel"] if kind == "boot-tool" else [])
    root.script("forget", RUN, boot="boot-3")
    assert (kept / "boot/grub/grub.cfg").exists()


NO_QUORUM = '#!/bin/sh\n[ "$1" = list ] || exit 1\n'
QUORUM = '#!/bin/sh\n[ "$1" = list ] || echo "$@" >>/cut/set\n'


def qm(root, text: str) -> None:
    root.write("fake/qm", text)
    (root.folder / "fake/qm").chmod(0o755)


def holding_starts(root, before: int) -> dict[str, object]:
    """Armed, with onboot taken from two VMs that long ago; the node's state before."""
    installed(root, "grub")
    state = root.state()
    armed(root, "grub")
    root.write(f"var/lib/transom/rollback/{RUN}/onboot", "101\n102\n", time.time() - before)
    root.write("etc/pve/nodes/pve1/lrm_status", "")
    for vmid in (101, 102):
        root.write(f"etc/pve/qemu-server/{vmid}.conf", "onboot: 0\n")
    return state


def are_given(root, boot: str, state: dict[str, object]) -> None:
    """By the unit, again and again until there is quorum; and of it nothing is left."""
    unit = (root.folder / "etc/systemd/system/transom-onboot.service").read_text()
    assert "ExecStart=/bin/sh /var/lib/transom/rollback/deadman.sh starts\n" in unit
    assert (root.folder / "etc/systemd/system/sysinit.target.wants/transom-onboot.timer").exists()
    script = (root.folder / "var/lib/transom/rollback/deadman.sh").read_bytes()
    assert script == deadman.SCRIPT.encode()
    root.script("starts", boot=boot)
    assert not (root.folder / "cut/set").exists()
    qm(root, QUORUM)
    root.script("starts", boot=boot)
    assert (root.folder / "cut/set").read_text() == "set 101 --onboot 1\nset 102 --onboot 1\n"
    assert [path for path in root.state() if "transom" in path] == [path for path in state if "transom" in path]
    assert not list((root.folder / "var/lib/transom/rollback").glob("**/onboot"))


def test_starts_that_cannot_be_given_back_without_quorum_come_later(root):
    state = holding_starts(root, 3600)
    qm(root, NO_QUORUM)
    root.script("roll", "unit", boot="boot-2")
    assert root.reboots == 1
    are_given(root, "boot-3", state)
    assert root.script("forget", RUN, boot="boot-3") == "forgotten \n"


def test_starts_that_nobody_gave_back_after_a_good_boot_come_a_while_later(root):
    holding_starts(root, 3600)
    changed = {path: "" for path in root.state() if "modprobe" in path or "grub.d" in path}
    assert root.script("disarm", RUN, boot="boot-2") == "disarmed \n"
    qm(root, QUORUM)
    root.script("starts", boot="boot-2")
    assert not (root.folder / "cut/set").exists()  # whoever confirmed does it at once, and to the byte
    qm(root, NO_QUORUM)
    root.write(f"var/lib/transom/rollback/{RUN}/onboot", "101\n102\n", time.time() - 1000)
    are_given(root, "boot-2", changed)
    assert not (root.folder / "var/lib/transom/rollback").exists()


def test_starts_that_are_given_back_by_the_daemon_are_owed_no_more(root):
    holding_starts(root, 3600)
    root.script("disarm", RUN, boot="boot-2")
    assert root.script("given", RUN, boot="boot-2") == "given \n"
    assert not (root.folder / "var/lib/transom/rollback").exists()
    assert not list((root.folder / "etc/systemd/system").iterdir())


def test_the_timer_starts_before_a_var_of_its_own_is_mounted(root):
    """What looks at the mark there is the service, which waits for it."""
    installed(root, "grub")
    armed(root, "grub")
    units = root.folder / "etc/systemd/system"
    assert "var/lib" not in (units / "transom-rollback.timer").read_text()
    service = (units / "transom-rollback.service").read_text()
    assert "ConditionPathExists=/var/lib/transom/rollback/armed\n" in service
    assert "After=local-fs.target\nRequiresMountsFor=/var/lib/transom/rollback\n" in service


def test_a_run_that_went_back_is_not_confirmed(root):
    installed(root, "grub")
    armed(root, "grub")
    (root.folder / "var/lib/transom/rollback/rolling").touch()
    assert root.script("disarm", RUN, boot="boot-2") == f"rolling {RUN}\n"
    root.script("roll", "unit", boot="boot-2")
    assert root.script("disarm", RUN, boot="boot-3") == f"rolled {RUN}\n"


@pytest.mark.parametrize(("kind", "every"), [("grub", 2), ("boot-tool", 5)])
def test_the_power_goes_at_any_step_of_going_back_and_it_ends_the_same(root, kind, every, tmp_path):
    installed(root, kind)
    before = root.state()
    armed(root, kind)
    whole = root.copy(tmp_path / "whole")
    whole.script("roll", "unit", boot="boot-2")
    assert whole.steps > 15
    for cut in range(1, whole.steps + 1, every):
        node = root.copy(tmp_path / f"cut-{cut}")
        node.script("roll", "unit", boot="boot-2", cut=cut)
        mark = node.folder / "var/lib/transom/rollback/armed"
        for boot in ("boot-3", "boot-4"):
            if mark.exists():
                node.script("roll", "unit", boot=boot)
        assert not mark.exists()
        if node.state() != before:  # its units may be left, which do nothing any more
            assert node.script("forget", RUN, boot="boot-5") == "forgotten \n"
        assert node.state() == before, f"cut before step {cut}"
        assert node.reboots <= 1, f"cut before step {cut}"


def test_the_power_goes_at_any_step_of_keeping_and_arming(root, tmp_path):
    installed(root, "grub")
    before = root.state()
    whole = root.copy(tmp_path / "whole")
    assert whole.script("keep", RUN, "boot-1", KERNEL, *CHANGED, boot="boot-1").startswith("kept")
    steps = whole.steps
    for cut in range(1, steps + 1, 9):
        node = root.copy(tmp_path / f"keep-{cut}")
        node.script(
            "keep", "cut-off", "boot-1", KERNEL, *CHANGED, boot="boot-1", cut=cut
        )  # by the line, say: no other boot
        assert node.state() == before
        armed(node, "grub")
        node.script("roll", "unit", boot="boot-2")
        assert node.state() == before
    args = ("arm", RUN, "boot-1", "60", "card")
    changed(whole, "grub")
    after = whole.state()
    scratch = whole.copy(tmp_path / "scratch")
    scratch.script(*args, boot="boot-1", stdin=deadman.SCRIPT.encode())
    for cut in range(1, scratch.steps + 1, 2):
        node = whole.copy(tmp_path / f"arm-{cut}")
        node.script(*args, boot="boot-1", stdin=deadman.SCRIPT.encode(), cut=cut)
        if not (node.folder / "var/lib/transom/rollback/armed").exists():
            node.script("roll", "unit", boot="boot-2")
            assert node.reboots == 0
            node.script("disarm", RUN, boot="boot-2")
            assert node.state() == after
