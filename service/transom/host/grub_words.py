r"""How GRUB's own script language reads the arguments of ``linux`` in grub.cfg, after the shell has put them there.

GRUB takes quotes and backslashes off once more, so ``memmap=16M$0x1000`` has to stand there as ``memmap=16M\$0x1000`` (GRUB
manual, "Quoting"). Bare double quotes stay in our tokens: GRUB groups by them, and hands the kernel the same grouping.
"""

from __future__ import annotations

import dataclasses

from transom.host import shell, source

_SYNTAX = "{}|&;<>"
_EXPANDS = "{?@*#_"


@dataclasses.dataclass(frozen=True)
class Word:
    """One kernel token as GRUB hands it over, and the characters that gave it."""

    token: str
    chars: source.Chars

    @property
    def place(self) -> str:
        return self.chars[0].place


def words(chars: source.Chars, *, lenient: bool = False) -> tuple[Word, ...]:
    """The tokens of a value. shell.Unjudged where GRUB would not take it for plain words; ``lenient`` leaves such places alone."""
    return _Splitter(chars, lenient).split()


def split(line: str) -> tuple[str, ...]:
    """The words of one line of grub.cfg; variables stay as written."""
    return tuple(word.token for word in words(source.plain(line, "grub.cfg"), lenient=True))


def escape(token: str) -> str:
    """The token as it must stand in grub.cfg for GRUB to hand it over; balanced double quotes group, as they do for the kernel."""
    balanced = token.count('"') % 2 == 0
    written: list[str] = []
    quoted = False
    for at, char in enumerate(token):
        if char == '"' and balanced:
            quoted = not quoted
            written.append(char)
        elif char in "$\\" or (not quoted and (char in _SYNTAX + "'\" \t" or (char == "#" and at == 0))):
            written.append("\\" + char)
        else:
            written.append(char)
    return "".join(written)


class _Splitter:
    def __init__(self, chars: source.Chars, lenient: bool) -> None:
        self.chars, self.lenient, self.at = chars, lenient, 0
        self.found: list[Word] = []
        self.token: list[str] = []
        self.taken: list[source.Char] = []

    def split(self) -> tuple[Word, ...]:
        while self.at < len(self.chars):
            here = self.chars[self.at]
            if here.text in " \t":
                self._finish()
                self.at += 1
            elif here.text == "'":
                self._single()
            elif here.text == '"':
                self._double()
            elif here.text in _SYNTAX or (here.text == "#" and not self.taken):
                self._refuse(f"GRUB takes {here.text!r} for its own syntax")
            else:
                self._plain()
        self._finish()
        return tuple(self.found)

    def _finish(self) -> None:
        if self.taken:
            self.found.append(Word("".join(self.token), tuple(self.taken)))
        self.token, self.taken = [], []

    def _take(self, count: int, text: str) -> None:
        self.taken += self.chars[self.at : self.at + count]
        self.token.append(text)
        self.at += count

    def _plain(self, *, quoted: bool = False) -> None:
        here, follows = self.chars[self.at].text, self._peek(1)
        if here == shell.HOLE and not self.lenient:
            raise self._fault("the value comes from a command or from elsewhere")
        if here == "\n":
            self._refuse("a line break in the command line")
        elif here == "\\" and follows and (not quoted or follows in '$"\\'):
            self._take(2, follows)
        elif here == "$" and follows and (follows.isalnum() or follows in _EXPANDS):
            self._refuse(f"GRUB would put the variable ${follows}… here")
        else:
            self._take(1, here)

    def _single(self) -> None:
        body = source.text(self.chars[self.at + 1 :]).partition("'")
        if not body[1]:
            self._refuse("a quote that GRUB never sees closed")
            return
        self._take(len(body[0]) + 2, f'"{body[0]}"' if " " in body[0] else body[0])

    def _double(self) -> None:
        self._take(1, '"')
        while self._peek(0) not in {"", '"'}:
            self._plain(quoted=True)
        if self._peek(0):
            self._take(1, '"')
        elif not self.lenient:
            raise self._fault("a quote that GRUB never sees closed")

    def _peek(self, ahead: int) -> str:
        return self.chars[self.at + ahead].text if self.at + ahead < len(self.chars) else ""

    def _refuse(self, reason: str) -> None:
        if not self.lenient:
            raise self._fault(reason)
        self._take(1, self.chars[self.at].text)

    def _fault(self, reason: str) -> shell.Unjudged:
        here = self.chars[min(self.at, len(self.chars) - 1)]
        return shell.Unjudged(here.path, here.line, reason)
