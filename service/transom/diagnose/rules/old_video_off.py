"""``video=efifb:off`` and its like do nothing since kernel 5.15: sysfb makes the boot framebuffer, which then holds the BAR."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import kernel_args

RULE = rule.Rule(
    id="old-video-off",
    scope=rule.Scope.NODE,
    needs=("/proc/cmdline", "uname -r"),
    who=model.Who.REBOOT,
    remedy="Replace {tokens} by initcall_blacklist=sysfb_init, and reboot.",
)

_OLD = frozenset({"efifb:off", "vesafb:off", "simplefb:off"})


def judge(host: view.Host) -> rule.Verdict:
    cmdline, new_enough = host.facts.boot.cmdline, host.kernel_matches(">=5.15")
    if isinstance(cmdline, model.Unknown):
        return rule.cannot_tell(cmdline.unknown)
    tokens = [
        token
        for token in cmdline
        if kernel_args.key(token) == "video" and _OLD & set((kernel_args.value(token) or "").split(","))
    ]
    blacklisted = any(kernel_args.key(one) == "initcall_blacklist" and "sysfb_init" in one for one in cmdline)
    if not tokens or blacklisted:
        return rule.clear()
    if isinstance(new_enough, model.Unknown):
        return rule.cannot_tell(new_enough.unknown)
    if not new_enough:
        return rule.clear()
    return rule.found(
        f"{' '.join(tokens)} has no effect on kernel {host.facts.boot.kernel}",
        [model.Evidence("/proc/cmdline", " ".join(tokens)), model.Evidence("uname -r", str(host.facts.boot.kernel))],
        tokens=" ".join(tokens),
    )
