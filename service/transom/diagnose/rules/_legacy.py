"""Shared by the rules on legacy IGD mode. PVE checks them at VM start only (``parse_hostpci_devices``), never at PUT."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from transom import model
from transom.diagnose import rule, view

Offends = Callable[[view.Given], bool]


def judge(guest: view.Guest, message: str, offends: Offends, *keys: str, also: Iterable[str] = ()) -> rule.Verdict:
    """Found when a device in legacy mode offends; it holds when the documents name one of ``keys``, so that they can mend it.

    ``also``: keys whose observed value is evidence beside the device's own.
    """
    given = guest.hostpci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    bad = [one for one in given if one.value.legacy_igd and offends(one)]
    return refused(guest, message, bad, *keys, also=also) if bad else rule.clear()


def refused(
    guest: view.Guest, message: str, bad: Iterable[view.Given], *keys: str, also: Iterable[str] = ()
) -> rule.Verdict:
    """PVE's own message, with what it would be said of."""
    evidence = [guest.evidence(key) for key in (*(one.key for one in bad), *also)]
    return rule.found(f"VM start fails with `{message}`", evidence, holds=guest.names(*keys))
