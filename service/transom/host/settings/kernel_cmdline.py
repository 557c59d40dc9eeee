"""Kernel command line tokens, appended in a GRUB drop-in that is read after /etc/default/grub."""

from __future__ import annotations

from transom import model
from transom.host import conditions, grub, grub_edit, kernel_args, setting


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """The tokens of the merged command line, each with the line that gives it; then the lines of later files that drop ours."""
    if isinstance(facts.boot.loader, model.Unknown):
        return model.Unknown(f"boot loader: {facts.boot.loader.unknown}")
    if facts.boot.loader != "grub":
        return model.Unknown(f"{facts.boot.loader} does not read {grub.MAIN}")
    merged = grub.merged(facts)
    if isinstance(merged, model.Unknown):
        return merged
    given = tuple(setting.Item(word.token, word.chars[0].path, word.chars[0].line) for word in merged.words)
    return given + tuple(
        setting.Item("", one.path, one.line, hides=True) for one in merged.hiding if one.path != grub.OWN
    )


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """Another value for a key that has one (the last foreign one counts), or a later file that drops what we append."""
    foreign = [item for item in items if item.path != grub.OWN]
    found: list[setting.Clash] = []
    for want in wants:
        key = kernel_args.key(want)
        rivals = [item for item in foreign if not item.hides and kernel_args.key(item.value) == key]
        if any(kernel_args.same(want, item.value) for item in rivals[-1:]) or (
            kernel_args.repeatable(key) and _given(want, rivals)
        ):
            continue
        if rivals and not kernel_args.repeatable(key):
            found.append(setting.Clash(want, rivals[-1], f"{rivals[-1].value} contradicts {want}"))
        found += [
            setting.Clash(want, item, f"replaces {grub.DEFAULT} after {grub.OWN}") for item in foreign if item.hides
        ]
    return tuple(found)


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether the running kernel was given the token; of a key with one value the last counts."""
    running = facts.boot.cmdline
    if isinstance(running, model.Unknown):
        return running
    key = kernel_args.key(item)
    rivals = [token for token in running if kernel_args.key(token) == key]
    return any(kernel_args.same(item, token) for token in (rivals if kernel_args.repeatable(key) else rivals[-1:]))


def release(text: str, line: int, item: str) -> str:
    """The assignment without the token; without an item: the assignment made to keep what stands before it."""
    if not item:
        return grub_edit.keep_earlier(text, line)
    return grub_edit.release(text, line, lambda token: (0, len(token)) if token == item else None)


def _given(want: str, rivals: list[setting.Item]) -> bool:
    return any(kernel_args.same(want, item.value) for item in rivals)


SETTING = setting.HostSetting(
    key="kernel_cmdline",
    path=grub.OWN,
    after=(model.Step.BOOTCONFIG,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("kernel_cmdline"),
    read=read,
    clashes=clashes,
    edit=grub_edit.edit,
    effective=effective,
    release=release,
)
