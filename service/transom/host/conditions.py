"""Which wanted items a host needs, by the kernel that it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from transom import model
from transom.host import setting, versions
from transom.spec import wish


@dataclasses.dataclass(frozen=True)
class Gone:
    """From which kernel on an item means nothing any more, whatever a document says."""

    kernel: str
    reason: str


def selector(
    key: str, normal: Callable[[str], str] = str, gone: Mapping[str, Gone] | None = None
) -> Callable[[tuple[wish.Want, ...], model.Facts], setting.Selection | model.Unknown]:
    """A ``HostSetting.select``: items in the form that ``read`` gives (``normal``), once each, where the kernel's condition holds.

    Its result is Unknown when a condition has to be judged and the running kernel is not known: leaving an item out would
    remove it.
    """
    ends = gone or {}

    def select(wants: tuple[wish.Want, ...], facts: model.Facts) -> setting.Selection | model.Unknown:
        kept: dict[str, wish.Want] = {}
        skipped: list[model.Noop] = []
        for want in wants:
            item = normal(want.value)
            why = _why_not(want, ends.get(item), facts.boot.kernel)
            if isinstance(why, model.Unknown):
                return model.Unknown(f"{key}: {item} depends on the kernel: {why.unknown}")
            if why:
                skipped.append(model.Noop(f"host/{key}/{item}", why))
            else:
                kept.setdefault(item, dataclasses.replace(want, value=item))
        return setting.Selection(tuple(kept.values()), tuple(skipped))

    return select


def _why_not(want: wish.Want, gone: Gone | None, kernel: str | model.Unknown) -> str | model.Unknown:
    if not want.kernel and gone is None:
        return ""
    if isinstance(kernel, model.Unknown):
        return kernel
    if want.kernel and not versions.matches(kernel, want.kernel):
        return f"only for kernel {want.kernel}; running {kernel}"
    return gone.reason if gone is not None and versions.matches(kernel, gone.kernel) else ""
