"""Which wanted items a host needs, by the kernel that it runs."""

from __future__ import annotations

from transom import model
from transom.host import setting, versions
from transom.spec import wish


def select(
    key: str, wants: tuple[wish.Want, ...], facts: model.Facts, gone: dict[str, tuple[str, str]] | None = None
) -> setting.Selection | model.Unknown:
    """The wants whose kernel condition holds.

    ``gone`` maps an item to (condition, reason) for what newer kernels no longer have, whatever the document says.
    Unknown when a condition has to be judged and the running kernel is not known: leaving an item out would remove it.
    """
    gone = gone or {}
    kept: list[wish.Want] = []
    skipped: list[model.Noop] = []
    for want in wants:
        condition, reason = gone.get(want.value, ("", ""))
        if not (want.kernel or condition):
            kept.append(want)
            continue
        kernel = facts.boot.kernel
        if isinstance(kernel, model.Unknown):
            return model.Unknown(f"{key}: {want.value} depends on the kernel: {kernel.unknown}")
        why = _why_not(want, kernel, condition, reason)
        if why:
            skipped.append(model.Noop(f"host/{key}/{want.value}", why))
        else:
            kept.append(want)
    return setting.Selection(tuple(kept), tuple(skipped))


def _why_not(want: wish.Want, kernel: str, condition: str, reason: str) -> str:
    if want.kernel and not versions.matches(kernel, want.kernel):
        return f"only for kernel {want.kernel}; running {kernel}"
    if condition and versions.matches(kernel, condition):
        return reason
    return ""
