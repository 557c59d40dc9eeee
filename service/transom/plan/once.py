"""Booting a node once with a change on its kernel command line, before it is made permanent: the action and its scripts."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Literal

from transom.plan import bootnext, typed

KEEP = "/var/lib/transom/trial"
UNIT = "transom-trial.service"
ENTRY = "transom-trial"
MARK = "transom.trial="
"""Of the kernel parameter that only a trial boot has; its value names the trial."""
PANIC = "panic=30"
WITHIN = 600
"""Seconds after which a trial boot that nobody confirms goes back."""
_UNIT_PATH = f"/etc/systemd/system/{UNIT}"
_MENU = "/boot/grub/custom.cfg"
_BEGIN, _END = "# transom trial: begin\n", "# transom trial: end\n"
# `-i`: since systemd 257 block inhibitors hold for root too. What comes after it is for a shutdown that does
# not begin (257.4 refuses even `-i`, systemd issue 36786).
_GO_BACK = "systemctl -i reboot; sleep 300; systemctl --force reboot; sleep 60; systemctl --force --force reboot"
_WATCH = f"""\
# Only a boot with systemd.wants={UNIT} on its command line starts this.
[Unit]
Description=Go back from a trial boot that Transom does not confirm
DefaultDependencies=no
IgnoreOnIsolate=yes
Conflicts=shutdown.target
Before=shutdown.target

[Service]
RuntimeDirectory=transom-trial
Environment=SYSTEMCTL_SKIP_AUTO_KEXEC=1 SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1
ExecStart=/bin/sh -c 'sleep {WITHIN}; {_GO_BACK}'
"""
"""What a trial that cannot be reached is brought back by; it stands in no target's way, not even in that of emergency mode.
A shutdown that has begun ends it: guests have the time that PVE gives them. Without the environment ``systemctl reboot`` (since
systemd 254) starts a kernel that somebody has loaded with kexec, which is not what is gone back to."""
_UNWATCH = (
    f"systemctl stop {UNIT} 2>/dev/null || true\nrm -f {_UNIT_PATH}\nsystemctl daemon-reload 2>/dev/null || true\n"
)
_END_GRUB = f"""\
set -eu
keep={KEEP} menu={_MENU}
{_UNWATCH}\
if [ ! -e "$menu" ] || [ ! -e "$keep/left" ]; then :
elif [ "$(sha256sum <"$menu")" != "$(cat "$keep/left")" ]; then
  awk '/^# transom trial: begin$/ {{ ours = 1 }} !ours {{ print }} /^# transom trial: end$/ {{ ours = 0 }}' <"$menu" >"$menu.new"
  mv -f "$menu.new" "$menu"
elif [ -e "$keep/custom.cfg" ]; then
  mv -f "$keep/custom.cfg" "$menu"
else
  rm -f "$menu"
fi
case $(grub-editenv /boot/grub/grubenv list | grep '^next_entry=') in
next_entry= | next_entry={ENTRY}) grub-editenv /boot/grub/grubenv unset next_entry ;;
esac
rm -rf "$keep"
sync
"""
_ON_ESPS = """\
on_esps() {
  for esp in $esps; do
    case $esp in
    /*) (cd "$esp" && sh -euc "$1") ;;
    *) unshare --mount --propagation slave sh -euc \\
      'mount -t vfat -- "$1" /mnt; cd /mnt; sh -euc "$2"; cd /; umount /mnt' sh "/dev/disk/by-uuid/$esp" "$1" ;;
    esac
  done
}
"""
_NAMES = {"grub": "grub-reboot", "systemd-boot": "bootctl set-oneshot", "bootnext": "BootNext", "kexec": "kexec"}


@dataclasses.dataclass(frozen=True)
class TryBoot:
    """Boot once with the plan's settings as kernel parameters, see that they work, and go on; else all is as it was."""

    means: Literal["grub", "systemd-boot", "bootnext", "kexec"]
    boot_id: str
    kernel: str
    """The running one, which is known to boot here."""
    line: tuple[str, ...]
    """The kernel's whole command line in the trial."""
    drivers: Mapping[str, str]
    """PCI address → driver that must be bound then."""
    entry: str = ""
    """Of the boot loader, as text; empty for kexec and BootNext."""
    esps: tuple[str, ...] = ()
    """Where systemd-boot's entry is put, or BootNext's kernel: mounted folders, or UUIDs."""
    disk: str = ""
    part: int = 0
    """The ESP from which the firmware boots by BootNext, as efibootmgr names it."""
    kind: Literal["try-boot"] = "try-boot"

    @property
    def mark(self) -> str:
        """The parameter by which this very trial is known."""
        return next(token for token in self.line if token.startswith(MARK))

    def describe(self) -> str:
        return f"boot once, by {_NAMES[self.means]}, with {' '.join(self.line)}; if that does not come up it goes back by itself"

    @property
    def begin(self) -> str:
        """Makes the next boot the trial, this one time; ``end`` takes everything away again."""
        lines = ["set -eu", f"mkdir -p -m 0700 {KEEP}", typed.to_program(f"cat > {KEEP}/end", self.end, "END")]
        lines += [typed.to_file(_UNIT_PATH, _WATCH), *self._begin()]
        return "\n".join([*lines, "sync"]) + "\n"

    def _begin(self) -> list[str]:
        if self.means == "grub":
            return self._begin_grub()
        if self.means == "systemd-boot":
            put = f"cat > loader/entries/{ENTRY}.conf"
            script = shlex.quote(typed.to_program(put, self.entry) + "\n")
            return [self._on_esps, f"on_esps {script}", f"bootctl set-oneshot {ENTRY}.conf"]
        if self.means == "bootnext":
            return [self._on_esps, *bootnext.begin(KEEP, self.kernel, self.line, self.disk, self.part)]
        image, line = f"/boot/vmlinuz-{self.kernel}", shlex.quote(" ".join(self.line))
        return [f"kexec -l {image} --initrd=/boot/initrd.img-{self.kernel} --command-line={line}"]

    def _begin_grub(self) -> list[str]:
        entry = typed.to_program("cat", _BEGIN + self.entry + _END)
        return [
            f"rm -f {KEEP}/custom.cfg",
            f"[ ! -e {_MENU} ] || cp -a {_MENU} {KEEP}/custom.cfg",
            f"{{ [ ! -e {_MENU} ] || cat {_MENU}; printf '\\n'; {entry}\n}} > {_MENU}.new",
            f"sha256sum <{_MENU}.new >{KEEP}/left",
            f"mv -f {_MENU}.new {_MENU}",
            f"grub-reboot {ENTRY}",
        ]

    @property
    def end(self) -> str:
        """Takes away what ``begin`` made, whether the trial came about or not; may run again."""
        if self.means == "grub":
            return _END_GRUB
        if self.means == "kexec":
            return f"set -eu\n{_UNWATCH}kexec -u 2>/dev/null || true\nrm -rf {KEEP}\nsync\n"
        gone = f"on_esps 'rm -f loader/entries/{ENTRY}.conf'\nbootctl set-oneshot '' 2>/dev/null || true\n"
        if self.means == "bootnext":
            gone = bootnext.end(KEEP)
        return f"set -eu\n{_UNWATCH}{self._on_esps}{gone}rm -rf {KEEP}\nsync\n"

    @property
    def _on_esps(self) -> str:
        return f"esps={shlex.quote(' '.join(self.esps))}\n{_ON_ESPS}"

    @property
    def restart(self) -> str:
        return "systemctl kexec" if self.means == "kexec" else "systemctl reboot"

    def shell(self) -> tuple[str, ...]:
        return typed.to_program("sh", self.begin, "BEGIN"), self.restart

    def afterwards(self) -> tuple[str, ...]:
        """What a person types once the trial is up."""
        look = [
            f"readlink /sys/bus/pci/devices/{address}/driver | grep -x '.*/{name}'"
            for address, name in self.drivers.items()
        ]
        return f"grep -F {self.mark} /proc/cmdline", *look, f"sh {KEEP}/end"

    def undo_shell(self) -> tuple[str, ...]:
        return (f"[ ! -e {KEEP}/end ] || sh {KEEP}/end",)
