"""Editing GRUB's defaults: our own line in our drop-in, and taking a token of a foreign line over."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from transom import errors
from transom.host import grub, grub_words, lines, shell, source

_OWN = re.compile(rf'{grub.DEFAULT}="\${grub.DEFAULT}((?: (?:[^"\\`$\n]|\\[^\n])*)+)"')
_SHELL_MEANS = re.compile(r'[$`"\\]')

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class _Line:
    """Our line in the drop-in: its number, its text without the end, what it gives, the words of ours on it."""

    number: int
    text: str
    value: source.Chars
    words: tuple[grub_words.Word, ...]


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """``HostSetting.edit`` for the drop-in: tokens go into and out of the line that appends to GRUB_CMDLINE_LINUX_DEFAULT."""
    return _with(_without(text, owned - set(wanted)), wanted)


def items(text: str) -> tuple[str, ...]:
    """The tokens on our own lines of the drop-in."""
    return tuple(word.token for line in _live(text) for word in line.words)


def release(text: str, line: int, find: Callable[[str], Span | None]) -> str:
    """The file with what ``find`` points at, within a token on ``line``, taken over.

    ``find(token)`` gives the part of the token that goes (all of it: its whole length) or None. errors.Void when nothing on the
    line is found; errors.Rejected when the token is put together from elsewhere.
    """
    now = lines.behind_taken_over(text, line)
    one = _assignment(text, now)
    for word in grub_words.words(one.value, lenient=True):
        span = find(word.token)
        if span is None:
            continue
        whole = span == (0, len(word.token))
        chars = word.chars if whole else word.chars[span[0] : span[1]]
        traced = whole or len(word.chars) == len(word.token)
        if not traced or any(not one.value_start <= char.start < one.end for char in chars):
            raise errors.Rejected(
                f"line {line}: {word.token} is put together from elsewhere", hint="edit the file by hand"
            )
        edited = source.cut(text, chars, one.value) if whole else text[: chars[0].start] + text[chars[-1].end :]
        return _taken_over(text, one, edited, again=now != line)
    raise errors.Void(f"line {line} no longer gives what was to be taken over")


def keep_earlier(text: str, line: int) -> str:
    """The file with the assignment on ``line`` made to keep what stands before it."""
    now = lines.behind_taken_over(text, line)
    one = _assignment(text, now)
    edited = text[: one.value_start] + f'"${one.name} "' + text[one.value_start :]
    return _taken_over(text, one, edited, again=now != line)


def _with(text: str, wanted: tuple[str, ...]) -> str:
    live = _live(text)
    have = {word.token for line in live for word in line.words}
    missing = [_written(token) for token in dict.fromkeys(wanted) if token not in have]
    if not missing:
        return text
    if not live:
        line = f'{grub.DEFAULT}="${grub.DEFAULT} {" ".join(missing)}"'
        return lines.add(text, line, unfinished=shell.unfinished(text))
    last, physical = live[-1], lines.split(text)
    ending = physical[last.number - 1][len(last.text) :]
    physical[last.number - 1] = f'{last.text[:-1]} {" ".join(missing)}"{ending}'
    return "".join(physical)


def _without(text: str, unwanted: frozenset[str]) -> str:
    if not unwanted:
        return text
    physical, empty = lines.split(text), set()
    for line in _live(text):
        left = line.text
        for word in reversed(line.words):
            if word.token in unwanted:
                left = source.cut(left, word.chars, line.value)
        physical[line.number - 1] = left + physical[line.number - 1][len(line.text) :]
        if all(word.token in unwanted for word in line.words):
            empty.add(line.number)
    return lines.drop("".join(physical), empty) if empty else "".join(physical)


def _written(token: str) -> str:
    """The token as it stands between the shell's double quotes; GRUB's own quoting is below it."""
    return _SHELL_MEANS.sub(lambda found: "\\" + found.group(), grub_words.escape(token))


def _live(text: str) -> list[_Line]:
    """Our lines that still count: behind them nothing else sets the variable. All of them where the file cannot be judged."""
    candidates = {
        number: line
        for number, physical in enumerate(lines.split(text), 1)
        if (line := _own(number, physical.removesuffix("\n"))) is not None
    }
    if shell.unfinished(text):
        return list(candidates.values())
    try:
        found = [one for one in shell.walk(text, "", {}) if one.name == grub.DEFAULT]
    except shell.Unjudged:
        return list(candidates.values())
    live: list[_Line] = []
    for one in found:
        own = candidates.get(one.line)
        live = [*live, own] if own and own.text == text[one.start : one.end] else []
    return live


def _own(number: int, physical: str) -> _Line | None:
    matched = _OWN.fullmatch(physical)
    if matched is None:
        return None
    one = next(iter(shell.walk(physical, "", {grub.DEFAULT: ()})))
    try:
        words = grub_words.words(one.value)
    except shell.Unjudged:
        return None
    return _Line(number, physical, one.value, words) if words else None


def _assignment(text: str, line: int) -> shell.Assignment:
    try:
        for one in shell.walk(text, "", {grub.BASE: (), grub.DEFAULT: ()}):
            last = one.line + text.count("\n", one.start, one.end)
            if one.name in {grub.BASE, grub.DEFAULT} and one.line <= line <= last:
                return one
    except shell.Unjudged as fault:
        raise errors.Rejected(f"line {line} cannot be taken over{fault}", hint="edit the file by hand") from fault
    raise errors.Void(f"line {line} sets no kernel command line any more")


def _taken_over(text: str, one: shell.Assignment, edited: str, *, again: bool) -> str:
    """``edited`` with the old physical lines of the assignment before it, each commented out: a comment ends with its line here."""
    if again:
        return edited
    start = text.rfind("\n", 0, one.start) + 1
    end = text.find("\n", one.end)
    old = text[start:] if end < 0 else text[start:end]
    mark = "".join(f"{lines.TAKEN_OVER}{line}\n" for line in old.split("\n"))
    return text[:start] + mark + edited[start:]
