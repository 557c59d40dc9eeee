"""Whether going back from a run would take away somebody's later work. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom import model
from transom.guest import compare, conf
from transom.reconcile import effect as eff


@dataclasses.dataclass(frozen=True)
class Present:
    """What lies at a path on the node now; both None when there is no file. ``text`` is None too for what is no text."""

    sha256: str | None
    text: str | None


@dataclasses.dataclass(frozen=True)
class Image:
    """What a run kept of a path before it changed it. ``sha256`` is None when there was no file; ``owner`` is ``uid:gid``."""

    sha256: str | None
    text: str | None = None
    mode: int | None = None
    owner: str | None = None


@dataclasses.dataclass(frozen=True)
class Later:
    """A run that came after, not undone, and the files that it changed."""

    run: str
    paths: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Past:
    """One run as the way back sees it."""

    run: str
    effects: tuple[eff.Effect, ...]
    """In the order of its journal, each with a path."""
    present: Mapping[str, Present]
    images: Mapping[str, Image]
    """Of the paths that differ now; one without an image was never kept, or its image is gone."""
    same_boot: bool
    """The node has not rebooted since the run began, so what runs never saw the change."""
    later: tuple[Later, ...] = ()
    others_owe_reboot: bool = False
    """Another run of this boot changed what is read at boot."""

    def oldest(self) -> dict[str, eff.Effect]:
        """The first effect on each path: its before-image is what comes back."""
        first: dict[str, eff.Effect] = {}
        for effect in self.effects:
            first.setdefault(effect.path, effect)
        return first


def since(path: str, past: Past, facts: model.Facts) -> model.Finding | None:
    """Why going back at ``path``, which differs now, would take something of somebody else's away; None when it would not."""
    first, last = past.oldest()[path], [one for one in past.effects if one.path == path][-1]
    now = past.present[path]
    if last.vmid is not None and now.sha256 is None:
        return _changed(path, past, f"VM {last.vmid} is gone; its configuration alone would bring back no disk")
    if last.vmid is None and now.sha256 != last.after_sha256:
        return _changed(path, past, "it was changed after the run; its present bytes are nobody's but that person's")
    image = past.images.get(path)
    if image is None or image.sha256 != first.before_sha256:
        return finding(
            "before-image-gone",
            path,
            f"{path}: it differs from before the run, and the run's image of it is not on the node",
            "The run was cut off before it touched the file, or its backup was removed: put the file right by hand.",
        )
    return None if last.vmid is None else _guest(last, image, past, facts)


def _guest(last: eff.Effect, image: Image, past: Past, facts: model.Facts) -> model.Finding | None:
    """A VM that runs, is locked or cannot be seen is left alone, and so is one that somebody changed."""
    if isinstance(facts.states, model.Unknown):
        return _changed(last.path, past, f"whether VM {last.vmid} runs is not known: {facts.states.unknown}")
    state = facts.states.get(last.vmid or 0)
    if state is None:
        return _changed(
            last.path, past, f"whether VM {last.vmid} runs is not known: the API does not show it to Transom"
        )
    if state.status != "stopped" or state.lock:
        says = f"is locked ({state.lock})" if state.lock else f"is {state.status}"
        return _changed(last.path, past, f"VM {last.vmid} {says}; shut it down first")
    wanted: dict[str, str | None] = {}
    for effect in past.effects:
        if effect.path == last.path:
            wanted |= effect.wanted
    foreign = _foreign_keys(image.text, past.present[last.path].text, wanted)
    if foreign:
        return _changed(last.path, past, f"{', '.join(foreign)} of VM {last.vmid} was changed after the run")
    return None


SERVER_MADE = frozenset({"meta", "vmgenid", "smbios1", "digest", "boot"})


def _foreign_keys(before: str | None, now: str | None, wanted: Mapping[str, str | None]) -> list[str]:
    """Keys whose present value is neither that of before nor what the run wrote."""
    if now is None:
        return []
    old = conf.parse(before).persisted() if before is not None else {}
    new = conf.parse(now).persisted()
    foreign = []
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key) or (before is None and key in SERVER_MADE):
            continue
        want = wanted.get(key)
        if want is not None and not compare.differences({key: want}, new):
            continue
        if key in wanted and want is None and key not in new:
            continue
        foreign.append(key)
    return foreign


def _changed(path: str, past: Past, summary: str) -> model.Finding:
    by = [one.run for one in past.later if path in one.paths]
    said = f" (run {', '.join(by)} changed it again)" if by else ""
    remedy = "Undo the later change first, or put the file right by hand."
    return finding("changed-since-run", path, f"{path}: {summary}{said}", remedy)


def finding(id: str, path: str, summary: str, remedy: str) -> model.Finding:
    """One that holds the undo."""
    return model.Finding(
        id=id,
        subject=path,
        summary=summary,
        remedy=remedy,
        who=model.Who.REPORT,
        evidence=(model.Evidence(path, "differs from what the run left"),),
        holds=True,
    )
