"""Whether a plan is tried aside before it is made, and what has to come of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from transom import model
from transom.host import grub, kernel_args, loader, modprobe, registry
from transom.host.settings import sysctl
from transom.plan import actions as acts
from transom.plan import forecast, rehearsal
from transom.spec import wish


def first(changes: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[rehearsal.Simulate]:
    """One action for everything that ``changes`` do to what boots; none when they do nothing to it."""
    files = [action for action in changes if isinstance(action, (*acts.FILE_ACTIONS, acts.RestoreFile))]
    files = [action for action in files if action.reboot or set(action.after) - {model.Step.SYSCTL}]
    texts = {action.path: _text(action) for action in files}
    if not files or any(isinstance(text, model.Unknown) for text in texts.values()):
        return
    then = forecast.after(facts, changes)
    boots = any(model.Step.BOOTCONFIG in action.after for action in files)
    was, now = (_tokens(facts), _tokens(then)) if boots else ((), ())
    images = any(model.Step.INITRAMFS in action.after for action in files)
    yield rehearsal.Simulate(
        files={path: text for path, text in texts.items() if not isinstance(text, model.Unknown)},
        modes={action.path: action.mode for action in files if isinstance(action, acts.WriteFile)},
        loader=_loader(facts) if boots else "",
        tokens=now,
        gone=tuple(token for token in was if not any(kernel_args.same(token, other) for other in now)),
        modules=_modules(then),
        vfio_ids=_ids(then),
        sysctl=_sysctl(then) if any(_sets(action) for action in changes) else (),
        kernel=str(facts.boot.kernel) if images and node.simulate == "full" else "",
    )


def _text(action: acts.WriteFile | acts.RemoveFile | acts.RestoreFile) -> str | model.Unknown | None:
    if isinstance(action, acts.WriteFile):
        return action.text
    if isinstance(action, acts.RemoveFile) or action.before_sha256 is None:
        return None
    return model.Unknown("not text") if action.before is None else action.before


def _loader(facts: model.Facts) -> Literal["grub", "systemd-boot", ""]:
    match facts.boot.loader:
        case loader.GRUB:
            return "grub"
        case loader.SYSTEMD_BOOT:
            return "systemd-boot"
    return ""


def _tokens(facts: model.Facts) -> tuple[str, ...]:
    """The kernel parameters that the files give; none where another loader's files would have to be read."""
    found = grub.tokens(facts) if _loader(facts) else ()
    return () if isinstance(found, model.Unknown) else tuple(token for token, _, _ in found)


def _ours(key: str, path: str, then: model.Facts) -> tuple[str, ...]:
    items = registry.by_key(key).read(then)
    if isinstance(items, model.Unknown):
        return ()
    return tuple(dict.fromkeys(item.value for item in items if item.path == path))


def _sets(action: acts.Action) -> bool:
    return isinstance(action, acts.RunStep) and action.step is model.Step.SYSCTL


def _sysctl(then: model.Facts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sysctl.path(item) for item in _ours("sysctl", sysctl.OWN, then)))


def _ids(then: model.Facts) -> tuple[str, ...]:
    return _ours("vfio_ids", modprobe.OWN, then)


def _modules(then: model.Facts) -> tuple[str, ...]:
    """What our own list names; vfio-pci, when ids are to reach it."""
    listed = _ours("modules", registry.by_key("modules").path, then)
    return tuple(dict.fromkeys((*listed, "vfio_pci"))) if _ids(then) else listed
