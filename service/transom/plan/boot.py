"""What the boot reads of the host's files, and what runs: due rebuilds, effective drift, and whether a reboot can help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from transom import model
from transom.host import boot_entries, kernel_args, rebuild, registry
from transom.host.setting import HostSetting, Item
from transom.host.settings import sysctl
from transom.plan import actions as acts
from transom.plan import trial
from transom.plan.draft import Draft, cannot_read
from transom.spec import wish

Wants = Mapping[str, tuple[wish.Want, ...]]
Afterwards = Mapping[str, tuple[tuple[model.Step, ...], bool]]
"""Path of a file that the plan changes → the steps that makes due, and whether it needs a reboot."""


def plan(facts: model.Facts, wants: Wants, draft: Draft, changed: Afterwards) -> None:
    """Add to ``draft``, which holds the file actions already, the rebuilds and the reasons for a reboot."""
    draft.findings.extend(_unread(facts, wants))
    draft.findings.extend(_shown_otherwise(facts, wants))
    _steps(facts, changed, wants, draft)
    _effects(facts, wants, draft)
    draft.actions.sort(key=lambda action: not _sets_at_once(action))  # what fails here has changed nothing of the boot


def _sets_at_once(action: acts.Action) -> bool:
    """Whether it is about /proc/sys alone, which a value of a document may be refused by."""
    steps = (action.step,) if isinstance(action, acts.RunStep) else ()
    return (action.after if isinstance(action, acts.FILE_ACTIONS) else steps) == (model.Step.SYSCTL,)


def marked(facts: model.Facts) -> bool:
    """Whether an earlier change still has to be brought to the boot, whatever is declared now."""
    keeping = facts.keeping
    return not isinstance(keeping, model.Unknown) and bool(
        keeping.dirty or keeping.reboot_from == facts.boot.boot_id or trial.left_running(facts)
    )


def _selected(setting: HostSetting, wants: Wants, facts: model.Facts) -> tuple[wish.Want, ...]:
    """What of the wanted items applies here; nothing when that cannot be told (a finding says so already)."""
    selection = setting.select(wants.get(setting.key, ()), facts)
    return () if isinstance(selection, model.Unknown) else selection.wants


def _steps(facts: model.Facts, changed: Afterwards, wants: Wants, draft: Draft) -> None:
    """The rebuilds that are due: after our own changes, after an interrupted run, and where the result is older than its source."""
    reasons: dict[model.Step, str] = {}
    stale = {
        model.Step.TRIAL: "",
        model.Step.INITRAMFS: _stale_initramfs(facts, wants),
        model.Step.BOOTCONFIG: _stale_bootconfig(facts, wants),
        model.Step.SYSCTL: _not_set(facts, wants),
    }
    for step in model.Step:
        command = rebuild.command(step, facts.boot)
        paths = sorted(path for path, (steps, _) in changed.items() if step in steps)
        if paths:
            reasons[step] = f"{', '.join(paths)} changed"
        elif not isinstance(facts.keeping, model.Unknown) and step in facts.keeping.dirty:
            reasons[step] = "an earlier change has not been brought to the boot yet"
        elif reason := stale[step]:
            reasons[step] = reason
        else:
            continue
        if isinstance(command, model.Unknown):
            draft.findings.append(cannot_read(f"how to run {step}", command.unknown))
            continue
        if not paths:
            draft.drifts.append(
                model.Drift(
                    f"boot/{step}", "up to date", "stale", model.Level.PERSISTED, model.Impact.LIVE, "", reasons[step]
                )
            )
        draft.actions.append(acts.RunStep(step, reasons[step], command))


def _unread(facts: model.Facts, wants: Wants) -> Iterator[model.Finding]:
    """What is in effect or due rests on these; nothing is called as declared without them."""
    needed: list[tuple[str, object]] = [("/var/lib/transom", facts.keeping)]
    if wants.get("kernel_cmdline"):
        needed += [("/proc/cmdline", facts.boot.cmdline), ("boot entries", boot_entries.entries(facts))]
    if wants.get("modules"):
        needed.append(("/proc/modules", facts.modules))
    if wants.get("sysctl"):
        needed.append(("/proc/sys", facts.sysctl))
    if wants.get("vfio_ids") or wants.get("blacklist") or wants.get("driver_override"):
        needed.append(("/sys/bus/pci/devices", facts.pci))
        needed.append((f"/boot/initrd.img-{facts.boot.kernel}", facts.file(f"/boot/initrd.img-{facts.boot.kernel}")))
    for subject, fact in needed:
        if isinstance(fact, model.Unknown):
            yield cannot_read(subject, fact.unknown)


def _files_giving(facts: model.Facts, key: str, wants: Wants) -> Iterable[model.HostFile]:
    """The observed files in which wanted items of one setting stand."""
    setting = next(s for s in registry.SETTINGS if s.key == key)
    items = setting.read(facts)
    values = {want.value for want in _selected(setting, wants, facts)}
    if isinstance(items, model.Unknown):
        return ()
    paths = {item.path for item in items if any(setting.gives(item.value, value) for value in values)}
    return [file for file in map(facts.file, sorted(paths)) if isinstance(file, model.HostFile)]


def _keys_with(step: model.Step) -> tuple[str, ...]:
    return tuple(setting.key for setting in registry.SETTINGS if step in setting.after)


def _stale_initramfs(facts: model.Facts, wants: Wants) -> str:
    """Why the running kernel's initramfs is out of date, or ``""``: a file that gives a wanted item is newer than it."""
    image = facts.file(f"/boot/initrd.img-{facts.boot.kernel}")
    if not isinstance(image, model.HostFile):
        return ""
    for key in _keys_with(model.Step.INITRAMFS):
        for file in _files_giving(facts, key, wants):
            if file.mtime_ns > image.mtime_ns:
                return f"{file.path} is newer than {image.path}"
    return ""


def _stale_bootconfig(facts: model.Facts, wants: Wants) -> str:
    """Why the loader's configuration is out of date, or ``""``: the files give a wanted token that a boot entry lacks."""
    found = boot_entries.entries(facts)
    if isinstance(found, model.Unknown):
        return ""
    given: set[str] = set()
    for key in _keys_with(model.Step.BOOTCONFIG):
        setting = registry.by_key(key)
        wanted = {want.value for want in _selected(setting, wants, facts)}
        items = setting.read(facts) if wanted else ()
        if not isinstance(items, model.Unknown):
            given |= {want for want in wanted if any(setting.gives(item.value, want) for item in items)}
    if given and not found:
        return f"{boot_entries.GRUB_CFG} has no entry that boots"
    for entry in found:
        missing = sorted(want for want in given if not any(kernel_args.gives(token, want) for token in entry.tokens))
        if missing:
            return f"{entry.place} lacks {' '.join(missing)}"
    return ""


def _not_set(facts: model.Facts, wants: Wants) -> str:
    """Which settings of our own file /proc/sys does not show although setting them may help, or ``""``."""
    lost = [item.value for item in _not_shown(facts, wants) if not sysctl.kept_otherwise(item.value, facts)]
    return f"/proc/sys shows another value than {', '.join(lost)}" if lost else ""


def _not_shown(facts: model.Facts, wants: Wants) -> list[Item]:
    setting = sysctl.SETTING
    wanted = {want.value for want in _selected(setting, wants, facts)}
    items = setting.read(facts) if wanted else ()
    given = () if isinstance(items, model.Unknown) else [item for item in items if item.path == setting.path]
    return [item for item in given if item.value in wanted and setting.effective(item.value, facts) is False]


def _shown_otherwise(facts: model.Facts, wants: Wants) -> Iterator[model.Finding]:
    """What was set since the boot, and the kernel made something else of: told, and left so until the next boot."""
    for item in _not_shown(facts, wants):
        if sysctl.kept_otherwise(item.value, facts):
            assert not isinstance(facts.sysctl, model.Unknown)
            key, _, value = item.value.partition("=")
            shown = facts.sysctl[key]
            yield model.Finding(
                id="sysctl-shown-otherwise",
                subject=f"sysctl {key}",
                summary=f"the kernel shows {key} = {shown} where {value} was set: it is not set again before the next boot",
                remedy=f"Declare the value as the kernel shows it, or make room for it and run sysctl -p {item.path} on the node.",
                who=model.Who.REPORT,
                evidence=(model.Evidence(sysctl.path(item.value), shown), model.Evidence(item.place, item.value)),
            )


def _effects(facts: model.Facts, wants: Wants, draft: Draft) -> None:
    """What runs, against what is wanted; a reboot only where one is needed and can help."""
    lacking = [
        (f"host/{setting.key}/{want.value}", want)
        for setting in registry.SETTINGS
        if setting.impact is model.Impact.HOST_REBOOT
        for want in _selected(setting, wants, facts)
        if setting.effective(want.value, facts) is False
    ]
    written = {drift.path for drift in draft.drifts if drift.desired is not None}
    for path, want in lacking:
        if path not in written:  # of those the plan says already that they are missing
            why = "not in effect in the running system"
            draft.drifts.append(_drift(path, model.Level.EFFECTIVE, want.value, None, want.document, why))
    draft.reboot.extend(_owed(facts, draft))
    if lacking and (draft.actions or draft.reboot or _changed_since_boot(facts, wants)):
        draft.reboot.append("settings come into effect at boot")
    elif stand := [path for path, _ in lacking if path in _standing(facts, wants)]:
        draft.findings.append(_no_help(stand))


def _standing(facts: model.Facts, wants: Wants) -> frozenset[str]:
    """The wanted items that the boot read in the files, with no line of others against them."""
    found: set[str] = set()
    for setting in registry.SETTINGS:
        values = tuple(want.value for want in _selected(setting, wants, facts))
        items = setting.read(facts) if values else ()
        if isinstance(items, model.Unknown):
            continue
        foreign = tuple(item for item in items if item.path != setting.path)
        against = {clash.want for clash in setting.clashes(values, foreign)}
        given = [one for one in values if any(not item.hides and setting.gives(item.value, one) for item in items)]
        found |= {f"host/{setting.key}/{value}" for value in given if value not in against}
    return frozenset(found)


def _owed(facts: model.Facts, draft: Draft) -> Iterator[str]:
    """Why the running system differs from the files other than by a wanted item that it lacks."""
    gone = [
        drift.path.split("/", 2) for drift in draft.drifts if drift.desired is None and drift.path.startswith("host/")
    ]
    booted = [(registry.by_key(key), item) for _, key, item in gone]
    if any(one.impact is model.Impact.HOST_REBOOT and one.effective(item, facts) is True for one, item in booted):
        yield "what is taken out leaves the running system at boot"
    if trial.left_running(facts):
        yield "the running boot is a trial's"
    keeping = facts.keeping
    if not isinstance(keeping, model.Unknown) and keeping.reboot_from and keeping.reboot_from == facts.boot.boot_id:
        why = "an earlier change comes into effect at boot"
        draft.drifts.append(_drift("boot/id", model.Level.EFFECTIVE, "rebooted", "not since the last change", "", why))
        yield why


def _drift(
    path: str, level: model.Level, desired: str | None, observed: str | None, document: str, why: str
) -> model.Drift:
    return model.Drift(path, desired, observed, level, model.Impact.HOST_REBOOT, document, why)


def _changed_since_boot(facts: model.Facts, wants: Wants) -> bool:
    """Whether a boot now would read other files than the last one did."""
    if isinstance(facts.boot.time_ns, model.Unknown):
        return True
    files = [file for setting in registry.SETTINGS for file in _files_giving(facts, setting.key, wants)]
    images = (facts.file(f"/boot/initrd.img-{facts.boot.kernel}"), facts.file("/boot/grub/grub.cfg"))
    files.extend(file for file in images if isinstance(file, model.HostFile))
    esps = () if isinstance(facts.esps, model.Unknown) else facts.esps
    newest = max((*(file.mtime_ns for file in files), *(esp.mtime_ns for esp in esps)), default=0)
    return newest >= facts.boot.time_ns


def _no_help(paths: list[str]) -> model.Finding:
    return model.Finding(
        id="not-effective-after-boot",
        subject=", ".join(paths),
        summary="the node booted with these settings in its files, and they are still not in effect: rebooting again cannot help",
        remedy="Look at the other findings; another boot loader, kernel option or driver is in the way.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(source=path, says="in the files, not in effect") for path in paths),
        holds=True,
    )
