"""What the node does about its guests by itself: shut down before it goes back, but for HA's; held starts given back either way."""

from __future__ import annotations

from transom.reconcile import deadman

RUN = "20261122-170000-pve1-0001"
KERNEL = "6.8.12-1-pve"
QM = """#!/bin/sh
echo "$*" >>/cut/qm
case $1 in
list)
    printf '      VMID NAME  STATUS     MEM(MB)    BOOTDISK(GB) PID\\n'
    printf '       101 plain running    512              0.00 11\\n'
    printf '       102 ha    running    512              0.00 12\\n'
    printf '       103 off   stopped    512              0.00 0\\n'
    printf '       104 VM 104 running   512              0.00 13\\n'
    printf '       105 running stopped  512              0.00 0\\n' ;;
set) [ "$2" != 153 ] ;;
esac
"""


def armed(root) -> None:
    qm = root.folder / "fake/qm"
    qm.write_text(QM)
    qm.chmod(0o755)
    root.write("etc/pve/ha/resources.cfg", "vm: 102\n\tstate started\n")
    root.write("boot/grub/grub.cfg", "old menu")
    assert root.script("keep", RUN, "boot-1", KERNEL, boot="boot-1").startswith("kept ")
    root.write(f"var/lib/transom/rollback/{RUN}/onboot", "152\n153\n")
    root.script("arm", RUN, "boot-1", "60", "card", boot="boot-1", stdin=deadman.SCRIPT.encode())


def asked(root) -> list[str]:
    return (root.folder / "cut/qm").read_text().splitlines()


def test_going_back_it_shuts_down_what_ha_does_not_keep_and_gives_held_starts_back(root):
    armed(root)
    root.script("roll", "unit", boot="boot-2")
    assert root.reboots == 1
    first, *at_once, last, after = asked(root)
    assert (first, last, after) == ("list", "set 152 --onboot 1", "set 153 --onboot 1")
    assert sorted(at_once) == [f"shutdown {vmid} --timeout 60 --forceStop 1" for vmid in (101, 104)]
    assert (root.folder / "var/lib/transom/rollback" / RUN / "onboot").read_text() == "153\n", "for the next look"


def test_confirmed_it_gives_held_starts_back_whoever_dies_then(root):
    armed(root)
    assert root.script("disarm", RUN, boot="boot-2") == "disarmed \n"
    assert asked(root) == ["set 152 --onboot 1", "set 153 --onboot 1"]
    left = root.folder / "var/lib/transom/rollback" / RUN
    assert [path.name for path in left.iterdir()] == ["onboot"]
    assert (left / "onboot").read_text() == "153\n"


def test_a_pve_that_hangs_does_not_keep_it_from_going_back(root):
    """As with /etc/pve or a storage gone: neither the command nor its parents end at a signal."""
    armed(root)
    (root.folder / "fake/qm").write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1000; done\n")
    root.write("boot/grub/grub.cfg", "new menu")
    quick = 'sleep() { command sleep 0.001; }; timeout() { shift 3; "$@"; }; '
    root.script("roll", "unit", boot="boot-2", before=quick)
    assert root.reboots == 1
    assert (root.folder / "boot/grub/grub.cfg").read_text() == "old menu"
    left = root.folder / "var/lib/transom/rollback"
    assert "problem=PVE did not shut the guests down in time" in (left / "rolled-back").read_text()
    assert (left / RUN / "onboot").read_text() == "152\n153\n"
    assert (root.folder / "etc/systemd/system/transom-onboot.timer").exists(), "gives them back in the next boot"


def test_a_confirmation_stands_before_starts_are_given_back(root):
    """That takes its time, and the unit that goes back does not wait for it for ever."""
    armed(root)
    (root.folder / "fake/qm").write_text('#!/bin/sh\n[ ! -f /var/lib/transom/rollback/armed ] && echo "$*" >>/cut/qm\n')
    root.script("disarm", RUN, boot="boot-2")
    assert asked(root) == ["set 152 --onboot 1", "set 153 --onboot 1"]
