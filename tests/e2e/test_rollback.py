"""A machine goes back by itself, and without a hand, from a boot that nobody confirms: two sabotages, and in ``make e2e-long`` what
may come on top of them."""

from __future__ import annotations

import pathlib
import random
import shlex
import time
from collections.abc import Iterator, Sequence

import pytest

from bed import follow, images, needs, recipe, subject

pytestmark = needs.MARKS

WITHIN = 60
"""Seconds from its start in which a boot is to be confirmed."""
LINE_ONLY = {"kernel_cmdline": ["iommu=pt", "bochs.modeset=0"]}
"""Takes the display from its driver without another initramfs, which takes a minute to build."""
STEP = 1800
"""Seconds that one step may take on a busy machine."""
KEPT = "/var/lib/transom/rollback"
IMAGES = r"""
for uuid in $(cat /etc/kernel/proxmox-boot-uuids 2>/dev/null); do
  trap 'umount /mnt' EXIT && mount -o ro "/dev/disk/by-uuid/$uuid" /mnt || exit
done
find /boot /mnt -type f \( -name 'initrd.img-*' -o -name grub.cfg \) -printf '%p %Ts\n' -exec sha256sum {} + | sort
"""


class Before:
    """What a machine was before anybody touched it."""

    def __init__(self, host: subject.Subject) -> None:
        self.host, self.boot, self.starts = host, host.node.up(), host.node.starts
        self.files, self.images, self.line = host.files(), self._images(), self._line()
        assert host.driver() == "bochs-drm"

    def _images(self) -> str:
        """What a rebuild would give other bytes or times."""
        return self.host.node.ssh(IMAGES)

    def _line(self) -> str:
        return self.host.node.ssh("cat /proc/cmdline")

    def is_back(self, boots: int = 2) -> None:
        """The machine answers, is what it was to the byte, and has started that often in between, the last one included."""
        assert self.host.node.up() != self.boot
        assert self.host.node.starts == self.starts + boots
        assert self._line() == self.line
        assert self.host.driver() == "bochs-drm"
        assert self.host.files() == self.files
        assert self._images() == self.images


@pytest.fixture
def start() -> images.Start:
    return images.grub


@pytest.fixture
def host(start: images.Start, tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    with start(tmp_path / "machine") as node, subject.serve(node, tmp_path / "transom") as one:
        yield one


@pytest.fixture
def before(host: subject.Subject) -> Before:
    return Before(host)


def declared(host: subject.Subject, wanted: dict[str, list[str]], *tokens: str, within: int = WITHIN) -> Sequence[str]:
    """The command that makes it so."""
    path = host.declare(**{**wanted, "kernel_cmdline": [*wanted["kernel_cmdline"], *tokens]})
    path.write_text(path.read_text().replace("  host: {", f"  confirm_within: {within}\n  host: {{", 1))
    return ("apply", "-f", str(path), "--yes")


def die_after_the_reboot(command: follow.Command, host: subject.Subject) -> None:
    """Kills the command when the machine has begun to start again, long before anybody could confirm."""
    starts = host.node.starts
    try:
        assert command.until(lambda: host.node.starts > starts, 2 * STEP), command.text
    finally:
        command.stop()
    assert "confirm the boot" not in command.said[-1]


def journal(host: subject.Subject, run: str) -> str:
    """Of the boot that failed, as the machine kept it."""
    return host.node.ssh(f"cat {KEPT}/{run}/journal")


def is_told(host: subject.Subject, reason: str = f"not confirmed within {WITHIN} s") -> str:
    """The run has failed, with evidence; its id."""
    (run,) = host.json("run", "ls")
    assert run["state"] == "failed"
    assert f"the node went back by itself: {reason}" in host.transom("run", "show", run["id"])
    assert "Starting transom-rollback.service" in host.transom("run", "logs", run["id"])
    found: str = run["id"]
    return found


def is_tried_no_more(host: subject.Subject) -> None:
    """Not before a person says so; and what is declared no more needs nothing."""
    boot = host.node.up()
    assert "HOLDS [rolled-back]" in host.transom("apply", "--yes", code=3)
    assert host.node.up() == boot
    host.transom("resume", recipe.NAME)
    host.transom("plan", "-f", str(host.declare()), "--detailed-exitcode")


def test_a_change_that_kills_the_network_is_taken_back(host: subject.Subject, before: Before) -> None:
    host.transom(*declared(host, subject.GIVEN_AWAY, "net.ifnames=0"), code=1)

    before.is_back()
    failed = journal(host, is_told(host))
    assert "net.ifnames=0" in failed
    assert "vfio_pci: add [1234:1111" in failed
    assert "renamed from eth0" not in failed
    is_tried_no_more(host)


def test_a_daemon_that_dies_before_it_confirms_leaves_the_old_configuration(
    host: subject.Subject, before: Before
) -> None:
    command = follow.Command(host.command(*declared(host, LINE_ONLY)), host.env)
    assert command.until(lambda: command.step[0] > 2, STEP), command.text
    hold_a_start(host)
    assert "… reboot the node" not in command.text
    die_after_the_reboot(command, host)
    host.node.started(before.starts + 2, STEP)

    before.is_back()
    assert host.node.ssh("cat /root/asked; rm /root/asked") == "set 100 --onboot 1\n"
    assert "HOLDS [rolled-back]" in host.transom("apply", "--yes", code=3)
    failed = journal(host, is_told(host))
    assert "bochs.modeset=0" in failed
    assert "Initialized bochs-drm" not in failed
    is_tried_no_more(host)


QM = '#!/bin/sh\n[ "$1" = list ] || echo "$@" >>/root/asked\n'


def hold_a_start(host: subject.Subject, qm: str = QM) -> None:
    """As emptying a node does it that has a VM 100 with the display; ``qm`` notes what it is asked for."""
    host.node.ssh(
        f"printf %s {shlex.quote(qm)} >/usr/local/sbin/qm; chmod 755 /usr/local/sbin/qm; echo 100 >$(ls -d {KEPT}/*-*)/onboot"
    )


QM_WITHOUT_QUORUM = '#!/bin/sh\n[ "$1" = list ] && exit\n[ -e /root/quorum ] && echo "$@" >>/root/asked\n'
FAILS_ONCE = "[Service]\nExecStartPre=/bin/sh -c 'test -e /root/failed || { touch /root/failed; exit 1; }'\n"


@pytest.mark.long
def test_what_fails_while_it_goes_back_is_tried_again_by_the_node(host: subject.Subject) -> None:
    """The unit that goes back fails the first time; a start at boot cannot be given back before the cluster has quorum."""
    units = "/etc/systemd/system"
    own = f"{units}/transom-rollback.service.d"
    host.node.ssh(f"mkdir {own}; printf %s {shlex.quote(FAILS_ONCE)} >{own}/fails.conf")
    before = Before(host)
    command = follow.Command(host.command(*declared(host, LINE_ONLY)), host.env)
    assert command.until(lambda: command.step[0] > 2, STEP), command.text
    hold_a_start(host, QM_WITHOUT_QUORUM)
    guests = "/etc/pve/qemu-server"  # a VM without a file there is owed nothing
    host.node.ssh(f"mkdir {guests} && echo 'onboot: 0' >{guests}/100.conf")
    die_after_the_reboot(command, host)
    host.node.started(before.starts + 2, STEP)
    host.node.up()

    assert host.node.ssh(f"cat {KEPT}/*/onboot") == "100\n"
    host.node.ssh(f"touch /root/quorum; touch -d '16 minutes ago' {KEPT}/*/onboot")
    host.node.ssh("until [ -e /root/asked ]; do sleep 1; done", within=STEP)
    assert host.node.ssh("cat /root/asked; rm /root/asked") == "set 100 --onboot 1\n"
    host.node.ssh(f"while ls {units}/transom-onboot.*; do sleep 1; done; rm -r {guests}", within=STEP)
    before.is_back()
    host.transom("apply", "--yes", code=3)
    assert "Scheduled restart job, restart counter is at 1" in journal(host, is_told(host))
    is_tried_no_more(host)


@pytest.mark.long
@pytest.mark.parametrize("start", [images.uefi, images.boot_tool], ids=["uefi", "boot-tool"])
def test_what_systemd_boot_starts_from_an_esp_is_put_back(host: subject.Subject, before: Before) -> None:
    die_after_the_reboot(follow.Command(host.command(*declared(host, subject.GIVEN_AWAY)), host.env), host)
    host.node.started(before.starts + 2, STEP)

    before.is_back()
    assert "HOLDS [rolled-back]" in host.transom("apply", "--yes", code=3)
    is_told(host)
    is_tried_no_more(host)


ON_DEMAND = """
set -e
sed -i 's%umask=0077%umask=0077,x-systemd.automount,x-systemd.idle-timeout=5%' /etc/fstab
systemctl daemon-reload
umount /boot/efi
systemctl start boot-efi.automount
"""
IDLE = "while grep -q '/boot/efi vfat' /proc/mounts; do sleep 1; done; grep -q '/boot/efi autofs' /proc/mounts"


@pytest.mark.long
@pytest.mark.parametrize("start", [images.uefi])
def test_an_esp_that_is_mounted_when_it_is_asked_for_is_put_back(host: subject.Subject) -> None:
    """Nothing has asked for it when it is kept, nor in the boot that fails."""
    host.node.ssh(ON_DEMAND)
    before = Before(host)
    host.node.ssh(IDLE, within=STEP)
    command = follow.Command(host.command(*declared(host, subject.GIVEN_AWAY)), host.env)
    die_after_the_reboot(command, host)
    host.node.started(before.starts + 2, STEP)

    before.is_back()
    host.transom("apply", "--yes", code=3)
    is_told(host)


@pytest.mark.long
def test_a_person_at_the_console_goes_back_without_the_daemon(host: subject.Subject, before: Before) -> None:
    die_after_the_reboot(follow.Command(host.command(*declared(host, subject.GIVEN_AWAY, within=3600)), host.env), host)
    host.node.up()
    assert host.driver() == "vfio-pci"

    host.node.ssh("setsid -f sh /root/transom-undo.sh >/dev/null 2>&1 </dev/null")
    host.node.started(before.starts + 2, STEP)

    before.is_back()
    host.transom("apply", "--yes", code=3)
    (run,) = host.json("run", "ls")
    assert "the node went back by itself: by hand" in host.transom("run", "show", run["id"])


@pytest.mark.long
def test_what_the_card_says_to_type_boots_it_with_its_display(host: subject.Subject, before: Before) -> None:
    """Though the files, and the first time the initramfs too, still give the display away; a blacklist no words can help."""
    wanted = {**subject.GIVEN_AWAY, "blacklist": []}
    die_after_the_reboot(follow.Command(host.command(*declared(host, wanted, within=3600)), host.env), host)
    host.node.up()
    assert host.driver() == "vfio-pci"
    (run,) = host.json("run", "ls")
    card = [line.strip() for line in host.transom("run", "show", run["id"], "--card").splitlines()]
    words = card[next(n for n, line in enumerate(card) if line.startswith("In the menu of GRUB press e")) + 1]
    first = next(n for n, line in enumerate(card) if line.startswith("search "))
    release = host.node.ssh("uname -r").strip()
    menus = (
        (
            f"search --set=root --file /boot/vmlinuz-{release}",
            f"linux /boot/vmlinuz-{release} {words}",
            f"initrd /boot/initrd.img-{release}",
        ),
        card[first : first + 3],
    )

    for menu in menus:
        typed(host, menu)

        assert host.driver() == "bochs-drm"
        given = host.node.ssh("cat /proc/cmdline").split()
        assert given[-1] == "vfio-pci.ids="
        assert not set(subject.GIVEN_AWAY["kernel_cmdline"]) & set(given)
        assert recipe.DISPLAY in host.node.ssh("cat /etc/modprobe.d/zz-transom.conf")

    host.node.ssh("rm /boot/grub/custom.cfg; setsid -f sh /root/transom-undo.sh >/dev/null 2>&1 </dev/null")
    host.node.started(before.starts + 4, STEP)
    before.is_back(boots=4)


def typed(host: subject.Subject, lines: Sequence[str]) -> None:
    """Boots once with these lines of GRUB, as if a person had typed them there."""
    entry = "\n".join(["menuentry typed {", *lines, "}", ""])
    host.node.ssh(f"echo {shlex.quote(entry)} >/boot/grub/custom.cfg && grub-reboot typed && sync")
    host.node.reboot()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
def test_the_power_goes_while_it_goes_back(seed: int, tmp_path: pathlib.Path) -> None:
    dice = random.Random(seed)
    with images.grub(tmp_path / "machine", dice) as node, subject.serve(node, tmp_path / "transom") as host:
        before = Before(host)
        die_after_the_reboot(follow.Command(host.command(*declared(host, subject.GIVEN_AWAY)), host.env), host)
        node.up()
        node.ssh(f"while [ ! -e {KEPT}/rolling ]; do sleep 0.1; done", within=STEP)
        assert node.cache
        wanted, end = node.cache.written + dice.randrange(40), time.monotonic() + 20
        while node.cache.written < wanted and time.monotonic() < end:
            time.sleep(0.01)
        node.power_cut()
        node.power_on()
        node.started(before.starts + 3, STEP)

        before.is_back(boots=3)
        host.transom("apply", "--yes", code=3)
        is_told(host)


@pytest.mark.long
def test_a_boot_that_ends_in_emergency_mode_is_taken_back(host: subject.Subject) -> None:
    """A mount in fstab needs a module that the change keeps from being loaded."""
    host.node.ssh(
        "set -e; truncate -s 1M /root/disk; mke2fs -q /root/disk; mkdir /mnt/disk\n"
        "echo '/root/disk /mnt/disk ext2 loop 0 0' >>/etc/fstab; mount /mnt/disk; umount /mnt/disk"
    )
    before = Before(host)
    host.transom(*declared(host, LINE_ONLY, "module_blacklist=loop"), code=1)

    before.is_back()
    assert "Reached target emergency.target" in journal(host, is_told(host))
    host.node.ssh("mountpoint /mnt/disk")
