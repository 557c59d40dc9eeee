"""Rebooting a node and waiting for it: another boot id is the only proof, and PVE has to answer before anything goes on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TypeVar

from transom import errors, model
from transom.plan import actions as acts
from transom.reconcile import deadman, right_node
from transom.reconcile import effect as eff
from transom.reconcile import world as w

_BOOT_ID = ["cat", "/proc/sys/kernel/random/boot_id"]
_SAID = "/run/transom-reboot"
# Detached, so that the answer to this very command still gets out; what is said against it stays on the node. No inhibitor is
# overridden. Without the two variables systemd (since 254) starts what somebody has loaded with kexec in place of a reboot.
_DETACHED = f"""\
rm -f {_SAID} {_SAID}.new
export SYSTEMCTL_SKIP_AUTO_KEXEC=1 SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1
setsid -f sh -c 'sleep 0.3; {{command}} 2>{_SAID}.new || mv -f {_SAID}.new {_SAID}' >/dev/null 2>&1 </dev/null
"""
_REFUSED = f'[ -e {_SAID} ] && [ "$(timeout 5 systemctl is-system-running)" != stopping ] && cat {_SAID}'
POLL = 0.5
REPORT_EVERY = 15
T = TypeVar("T")


def boot_id(host: w.Host) -> str:
    """Unreachable when it cannot be asked, so that waiting goes on. Empty for a node without a shell, which is never rebooted."""
    if not w.has_shell(host):
        return ""
    done = host.run(_BOOT_ID, timeout=10)
    if done.exit != 0:
        raise errors.Unreachable("the boot id could not be read")
    return done.stdout.decode().strip()


def prepare(action: acts.Reboot, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.Reboot, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Unreachable when node, cluster file system and API are not back in time, WentBack when it has gone back by itself meanwhile;
    Rejected when another node answers, when this one refuses or does not go down, and when the person who is to reboot it has not.
    A node that has rebooted since the plan is not rebooted again."""
    del effect
    started = world.now()
    patience = Patience(world, started, None if action.by_hand else context)
    if boot_id(world.host) != action.boot_id:
        _wait_for_pve(world, patience)
        return "the node has rebooted already"
    deadman.left(world.host, context.run)
    if action.by_hand:
        world.say(_to_a_person(world))
    else:
        context.refuse_now(emptied=True)
        _start(world)
    _wait_for_boot(action.boot_id, world, patience, by_hand=action.by_hand)
    new = boot_id(world.host)
    _wait_for_pve(world, patience)
    world.host.run(["rm", "-f", f"{eff.KEEP}/reboot-from"])
    return f"back after {world.now() - started:.0f} s with boot id {new[:8]}…"


def _to_a_person(world: w.World) -> str:
    """Before the wait: a command that runs there ends with the reboot, and can say nothing afterwards."""
    return (
        f"Transom runs on {world.node} itself: reboot it with `systemctl reboot`. {_confirmed_by(world)}, or the node goes "
        "back to what it was and reboots once more"
    )


def _confirmed_by(world: w.World) -> str:
    armed = deadman.mark(world.host)
    within = f"within {armed.within} s of its start" if armed else "in time"
    return f"A daemon that starts with it confirms that boot; without one run `transom apply` {within}"


def _not_rebooted(world: w.World) -> errors.Rejected:
    return errors.Rejected(
        f"{world.node} has not been rebooted within {world.reboot_limit:.0f} s, and Transom, which runs on it, waits no longer",
        hint=f"nothing is wrong with it: reboot it when that suits, with `systemctl reboot`. {_confirmed_by(world)}",
    )


def again(world: w.World, command: str, old: str) -> None:
    """Leave the boot with the id ``old`` by ``command`` (``systemctl reboot``), and wait until the node is whole again. Errors as
    ``apply``."""
    patience = Patience(world, world.now())
    _start(world, command)
    _wait_for_boot(old, world, patience)
    _wait_for_pve(world, patience)


def still(old: str, world: w.World) -> bool:
    """Whether the node is known to be in the boot with the id ``old`` yet."""
    return _boot(world) == old


def _start(world: w.World, command: str = "systemctl reboot") -> None:
    done = world.host.script(_DETACHED.format(command=command))
    if done.exit != 0:
        raise errors.Rejected(f"the reboot could not be started: {done.stderr.decode(errors='replace').strip()}")
    world.host.close()


def _wait_for_boot(old: str, world: w.World, patience: Patience, *, by_hand: bool = False) -> None:
    """Until another boot than ``old`` answers; Rejected when that one is kept, by a refusal or until time is up."""
    asked = world.now()

    def refusal(host: w.Host) -> errors.Rejected | None:
        return None if by_hand or world.now() - asked < REPORT_EVERY else _refusal(host, world)

    def too_late(_: w.Host) -> errors.Rejected:
        return _not_rebooted(world) if by_hand else _not_down(world)

    try:
        patience.until("SSH and another boot id", lambda: _booted(old, world, refusal), quiet=True)
    except errors.Unreachable:
        with contextlib.suppress(errors.Unreachable):
            if _booted(old, world, too_late):
                return
        raise


def _refusal(host: w.Host, world: w.World) -> errors.Rejected | None:
    """Since systemd 257 (PVE 9) block inhibitors hold for root too."""
    done = host.script(_REFUSED, timeout=10, read_only=True)
    if done.exit != 0:
        return None
    said = " ".join(done.stdout.decode(errors="replace").split())
    return errors.Rejected(
        f"{world.node} refuses to reboot: {said or 'it does not say why'}",
        hint="`systemd-inhibit --list` there shows who holds it up; apply again once that has ended",
    )


def _not_down(world: w.World) -> errors.Rejected:
    return errors.Rejected(
        f"{world.node} never went down: {world.reboot_limit:.0f} s after it was told to reboot the same boot answers",
        hint="`systemctl list-jobs` and `journalctl -b` there show what its shutdown waits for",
    )


def _wait_for_pve(world: w.World, patience: Patience) -> None:
    """sshd comes up before pmxcfs and the API: what follows a reboot needs both, and a cluster that can be written to."""
    patience.until("/etc/pve (pve-cluster)", lambda: _mounted(world))
    patience.until("the PVE API", lambda: api_answers(world))
    patience.until("quorum", lambda: quorate(world))


def _booted(old: str, world: w.World, against: Callable[[w.Host], errors.Rejected | None]) -> bool:
    """Whether another boot answers; its shell is ``world.host`` then. While the old one does, what speaks ``against`` waiting on is
    raised; ``world.host`` leads there again, so that what the node was emptied of can be given back."""
    host = world.connect()
    try:
        left = boot_id(host) != old
        error = None if left else against(host)
    except errors.Unreachable:
        left, error = False, None
    if not left and error is None:
        host.close()
        return False
    world.host.close()
    world.host = host
    if error:
        raise error
    return True


def _boot(world: w.World) -> str:
    """Its id; empty when it cannot be asked."""
    try:
        return boot_id(world.host)
    except errors.Unreachable:
        return ""


def _mounted(world: w.World) -> bool:
    found = right_node.ask(world.host)
    if isinstance(found, model.Unknown):
        return False
    right_node.refuse(found, world)
    return True


def api_answers(world: w.World) -> bool:
    """Of this very node: in a cluster another one may answer for the version, and only pass the rest on."""
    try:
        world.api.version()
        world.api.guests(world.node)
    except errors.Rejected as error:  # 500 and the like, while its daemons come up
        raise errors.Unreachable(str(error)) from error
    return True


def quorate(world: w.World) -> bool:
    """Whether the cluster is; a token that may not see it is believed."""
    try:
        return world.api.cluster_status().quorate
    except errors.Denied:  # a token that may not see it: the diagnosis no-quorum says so
        return True


@dataclasses.dataclass
class Patience:
    """Waiting for one thing after the other, all within the world's limit."""

    world: w.World
    started: float
    context: eff.Context | None = None
    """Of the run whose boot is waited for: it ends once the node has gone back from it. None where there is none to go back from (a
    trial), or no run left then (on the node itself)."""

    def until(self, what: str, there: Callable[[], T], *, quiet: bool = False) -> T:
        """What ``there`` gives, once that is true. ``quiet``: say that it is waited for only when it takes long. Unreachable when
        time is up, WentBack."""
        told = self.world.now() - (0 if quiet else REPORT_EVERY)
        why = ""
        while True:
            try:
                if found := there():
                    return found
                why = ""
            except (errors.Unreachable, errors.Garbled, errors.Busy) as error:
                why = f": {error}"
            now = self.world.now()
            if now - self.started >= self.world.reboot_limit:
                break
            if now - told >= REPORT_EVERY:
                told = now
                self._refuse_gone(what)
                self.world.say(f"waiting for {what} of {self.world.node} ({now - self.started:.0f} s)")
            self.world.sleep(POLL)
        self._refuse_gone(what)
        self._note(what)
        raise errors.Unreachable(
            f"{self.world.node} is not back after {self.world.reboot_limit:.0f} s, {what} is missing{why}",
            hint="look at its console, with the run's rescue card; if it booted, it goes back by itself when its time is over",
        )

    def _refuse_gone(self, what: str) -> None:
        """Only once it has left the boot in which it went back: until then it is about to reboot."""
        gone = deadman.tells(self.world.host) if self.context else None
        if gone and self.context and gone.run == self.context.run and _boot(self.world) not in ("", gone.boot_id):
            self._note(what)
            raise deadman.went_back(self.world.node, gone, [what])

    def _note(self, what: str) -> None:
        """Without why: when the node has gone back, the last try was of the reboot."""
        if self.context:
            self.context.note(deadman.MISSING, f"{what} is missing", [what])
