"""What a tool that fails when it is tried aside is quoted with."""

from __future__ import annotations

from transom.plan import rehearsal
from transom.reconcile.steps import simulate
from transom.ssh import pump

SAID = b"""\
Generating grub configuration file ...
Found linux image: /boot/vmlinuz-6.8
done
modprobe: FATAL: Module x not found."""


class Host:
    """Answers what is tried with a failure."""

    def run(self, argv: list[str], **_: object) -> pump.Completed:
        return pump.Completed(0, b"", b"") if argv[0] == "rm" else pump.Completed(1, SAID, b"")


def test_the_cause_comes_before_what_was_said_on_the_way() -> None:
    (told,) = simulate.try_aside(rehearsal.Simulate({}, {}, "grub"), Host(), "/x").said
    assert told.startswith("tried aside, and it fails: modprobe: FATAL: Module x not found. (before that: Generating")
