"""``root=``, ``init=`` and their like decide what the kernel starts with: with a wrong one nothing comes up that could go back."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import kernel_args
from transom.host.settings import kernel_cmdline

RULE = rule.Rule(
    id="boot-start-changed",
    scope=rule.Scope.NODE,
    needs=("/proc/cmdline",),
    who=model.Who.REPORT,
    remedy="Unless {tokens} is meant, take it out of kernel_cmdline. Have a console at hand, and host.trial, which boots it once "
    "before it is made.",
    when=rule.When.HOST,
)


def judge(host: view.Host) -> rule.Verdict:
    running = host.facts.boot.cmdline
    tokens = [token for token in host.wanted("kernel_cmdline") if kernel_args.decides_start(token)]
    if tokens and isinstance(running, model.Unknown):
        return rule.cannot_tell(running.unknown)
    new = " ".join(token for token in tokens if kernel_cmdline.effective(token, host.facts) is False)
    if not new:
        return rule.clear()
    return rule.found(
        f"{new} decides what the kernel starts with, and the running kernel was not given it: a node that does not come up with it "
        "does not go back by itself",
        [model.Evidence("/proc/cmdline", " ".join(running) if not isinstance(running, model.Unknown) else "")],
        tokens=new,
    )
