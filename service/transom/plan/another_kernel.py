"""What is told of a plan whose reboot starts another kernel than the one that its settings were made for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transom import model
from transom.host import next_kernel
from transom.plan import actions as acts


def note(actions: Sequence[acts.Action], facts: model.Facts) -> Iterator[model.Finding]:
    """Nothing where the next boot's kernel cannot be told beforehand."""
    running, then = facts.boot.kernel, next_kernel.of(facts)
    if not any(isinstance(action, acts.Reboot) for action in actions):
        return
    if isinstance(running, model.Unknown) or isinstance(then, model.Unknown) or running == then:
        return
    yield model.Finding(
        id="another-kernel",
        subject="the next boot",
        summary=f"the reboot starts kernel {then}, not the running {running}: what breaks then may be the kernel's doing, and what "
        "only that kernel needs comes with the plan after it",
        remedy="Reboot into it first and plan then, or stay for now: `proxmox-boot-tool kernel pin "
        f"{running}` (elsewhere GRUB_DEFAULT, or `default` in loader.conf).",
        who=model.Who.REPORT,
        evidence=(
            model.Evidence("the boot loader's default", f"kernel {then}"),
            model.Evidence("uname -r", running),
        ),
    )
