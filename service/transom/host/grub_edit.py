"""Editing GRUB's defaults: our own line in our drop-in, and taking a token of a foreign line over."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from transom import errors
from transom.host import grub, grub_words, lines, shell, source

_OWN = re.compile(rf'{grub.DEFAULT}="\$(?:{grub.DEFAULT}|\{{{grub.DEFAULT}\}}) (?:[^"\\`$\n]|\\[^\n])*"')
"""As we write it, also in braces; tokens may hold escaped quotes with blanks between them."""
_SHELL_MEANS = re.compile(r'[$`"\\]')
_BEFORE = source.Char("\x01", "", 0, -1, -1)
"""Stands for what the files before our drop-in give."""

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class _Line:
    """An assignment of our drop-in: its first line, its end, its value, and the tokens that stand in it and count in the end."""

    number: int
    end: int
    value: source.Chars
    words: tuple[grub_words.Word, ...]
    appends: bool
    """It has the form of ours, and nothing sets the variable after it."""
    alone: bool
    """It has that form, and the physical line for itself."""


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """``HostSetting.edit`` for the drop-in: tokens go into and out of the line that appends to GRUB_CMDLINE_LINUX_DEFAULT."""
    return _with(_without(text, owned - set(wanted)), wanted)


def items(text: str) -> tuple[str, ...]:
    """The tokens that stand in the drop-in and count."""
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
    last = next((line for line in live if line.appends and line.words), None)
    if last is None:
        line = f'{grub.DEFAULT}="${grub.DEFAULT} {" ".join(missing)}"'
        return lines.add(text, line, unfinished=shell.unfinished(text))
    return f"{text[: last.end - 1]} {' '.join(missing)}{text[last.end - 1 :]}"


def _without(text: str, unwanted: frozenset[str]) -> str:
    """The tokens cut out where they stand; a line of ours that gives nothing else goes."""
    while found := next(((line, one) for line in _live(text) for one in line.words if one.token in unwanted), None):
        line, word = found
        if line.alone and all(one.token in unwanted for one in line.words):
            text = lines.drop(text, {line.number})
        else:
            text = source.cut(text, word.chars, line.value)
    return text


def _written(token: str) -> str:
    """The token as it stands between the shell's double quotes; GRUB's own quoting is below it."""
    return _SHELL_MEANS.sub(lambda found: "\\" + found.group(), grub_words.escape(token))


def _live(text: str) -> list[_Line]:
    """What the drop-in gives in the end, as ``grub.merged`` reads it. Where it cannot be judged: each line that has our form."""
    if not shell.unfinished(text):
        try:
            return _parsed(text)
        except shell.Unjudged:
            pass
    found: list[_Line] = []
    offset = 0
    for number, physical in enumerate(lines.split(text), 1):
        if _OWN.fullmatch(physical.removesuffix("\n")):
            found += [_moved(line, number, offset) for line in _parsed(physical)]
        offset += len(physical)
    return [dataclasses.replace(line, appends=line is found[-1]) for line in found]


def _parsed(text: str) -> list[_Line]:
    known: dict[str, source.Chars] = {grub.BASE: (), grub.DEFAULT: (_BEFORE,)}
    found = [one for one in shell.walk(text, "", known) if one.name in {grub.BASE, grub.DEFAULT}]
    words = {
        word.chars[0].start: word
        for name in (grub.BASE, grub.DEFAULT)
        for word in grub_words.words(known[name], lenient=True)
    }
    last = next((one for one in reversed(found) if one.name == grub.DEFAULT), None)
    physical = lines.split(text)
    return [
        _Line(
            number=one.line,
            end=one.end,
            value=one.value,
            words=tuple(
                word for word in words.values() if all(one.value_start <= char.start < one.end for char in word.chars)
            ),
            appends=one is last and bool(_OWN.fullmatch(text, one.start, one.end)),
            alone=bool(_OWN.fullmatch(physical[one.line - 1].removesuffix("\n"))),
        )
        for one in found
    ]


def _moved(line: _Line, number: int, offset: int) -> _Line:
    """The same, as part of a longer text."""

    def shifted(chars: source.Chars) -> source.Chars:
        return tuple(dataclasses.replace(one, start=one.start + offset, end=one.end + offset) for one in chars)

    words = tuple(grub_words.Word(word.token, shifted(word.chars)) for word in line.words)
    return dataclasses.replace(
        line,
        number=number,
        end=line.end + offset,
        value=shifted(line.value),
        words=words,
    )


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
