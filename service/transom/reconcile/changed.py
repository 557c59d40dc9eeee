"""Whether going back from a run would take away somebody's later work. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from transom import model
from transom.guest import compare, conf, derived
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
    """A run that came after, not undone, and what it did."""

    run: str
    effects: tuple[eff.Effect, ...]

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(effect.path for effect in self.effects)


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
    """What they left on the same files is ours too, and goes with this run."""
    mapped: tuple[eff.Effect, ...] = ()
    """What it did to PCI mappings, in order; these have no path."""
    by_api: bool = False
    """The node has no shell: a VM goes back key by key, and nothing else of it can."""
    others_owe_reboot: bool = False
    """Another run of this boot changed what is read at boot."""

    def oldest(self) -> dict[str, eff.Effect]:
        """The first effect on each path: its before-image is what comes back."""
        first: dict[str, eff.Effect] = {}
        for effect in self.effects:
            first.setdefault(effect.path, effect)
        return first

    def ours(self, path: str) -> list[eff.Effect]:
        """What this run and those after it did at ``path``; a file that holds what any of them left is ours."""
        after = (effect for one in self.later for effect in one.effects)
        return [effect for effect in (*self.effects, *after) if effect.path == path]


def since(path: str, past: Past, facts: model.Facts) -> model.Finding | None:
    """Why going back at ``path``, which differs now, would take something of somebody else's away; None when it would not."""
    first, ours = past.oldest()[path], past.ours(path)
    now, last = past.present[path], ours[-1]
    if last.vmid is not None and now.sha256 is None:
        return _changed(path, past, f"VM {last.vmid} is gone; its configuration alone would bring back no disk")
    if last.vmid is None and now.sha256 not in {one.after_sha256 for one in ours}:
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
    foreign = _foreign_keys(image.text, past.present[last.path].text, [one.wanted for one in past.ours(last.path)])
    if foreign:
        return _changed(last.path, past, f"{', '.join(foreign)} of VM {last.vmid} was changed after the run")
    return None


SERVER_MADE = frozenset({"meta", "vmgenid", "smbios1", "digest", "boot"})


def _foreign_keys(before: str | None, now: str | None, wanted: Sequence[Mapping[str, str | None]]) -> list[str]:
    """Keys whose present value is neither that of before nor what we wrote, at any time."""
    if now is None:
        return []
    old = conf.parse(before).persisted() if before is not None else {}
    new = conf.parse(now).persisted()
    written = {key for one in wanted for key in one}
    return [
        key
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
        and not (before is None and key in SERVER_MADE)
        and not (key == "machine" and derived.pinned(written, new.get(key)))
        and not any(_is(key, one[key], new) for one in wanted if key in one)
    ]


def _is(key: str, value: str | None, now: Mapping[str, str]) -> bool:
    """Whether ``key`` has ``value`` now; None is not there."""
    return key not in now if value is None else not compare.differences({key: value}, now)


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
