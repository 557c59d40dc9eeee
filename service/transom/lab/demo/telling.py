"""How the daemon's events read in the demo: event → lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_WIDE = 118


def lines(event: Mapping[str, Any], before: Mapping[str, Any] | None = None, *, steps: bool) -> Iterator[str]:
    """What to print; nothing for what needs no telling. Without ``steps`` only begin, reboot and end of runs, not what differs.

    Of differences that come right after each other (``before`` is the event before this one) only the first is told at length.
    """
    node, data = event["node"], event["data"]
    said = [("and", data["key"])] if steps and _goes_on(event, before) else _said(event["kind"], data, steps=steps)
    for word, text in said:
        yield shortened(f"{node:5} {word:9} {text}")


def _goes_on(event: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Both are differences of one look at one node."""
    both = (event, before or event)
    same = before is not None and event["node"] == before["node"]
    return same and all(one["kind"] == "drift.appeared" and one["data"]["kind"] == "drift" for one in both)


def _said(kind: str, data: Mapping[str, Any], *, steps: bool) -> Iterator[tuple[str, str]]:
    match kind:
        case "drift.appeared" if steps:
            yield from _appeared(data["kind"], data["key"], data["detail"])
        case "plan.approved":
            yield "approved", f"by {data['by']}: {data['summary'].partition(': ')[2]}"
        case "plan.waiting":
            yield "waits", data["reason"]
        case "plan.proposed" if steps:
            yield "decided", data["reason"]
        case "plan.held":
            yield "held", f"nothing is changed on this node: {data['reason'].partition(':')[0]}"
        case "run.step" if data["phase"] == ("after" if steps else "before") and (steps or "reboot" in data["text"]):
            yield ("  ✓" if steps else "  …"), data["text"]
        case "run.ended":
            yield data["state"], f"run {data['id']}, {data['ended_at'] - data['started_at']:.1f} s {data['error']}"
        case "fleet.held":
            yield "held", f"the whole fleet: {', '.join(data['newly_drifted'])} newly differ at once"


def _appeared(kind: str, key: str, detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if kind == "drift":
        yield "differs", f"{key}: {_value(detail['observed'])} instead of {_value(detail['desired'])}"
        if detail["why"]:
            yield "", f"why: {detail['why']}"
        return
    yield "finding", f"[{detail['id']}] {detail['summary']}"
    for evidence in detail["evidence"]:
        yield "", f"evidence: {evidence['source']}: {evidence['says']}"
    yield "", f"→ {detail['remedy']}"


def _value(value: object) -> str:
    return "nothing" if value is None else shortened(str(value), 60)


def shortened(text: str, wide: int = _WIDE) -> str:
    """At most ``wide`` characters of one line."""
    text = " ".join(text.splitlines()).rstrip()
    return text if len(text) <= wide else f"{text[: wide - 1]}…"
