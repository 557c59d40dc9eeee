"""``args``: raw QEMU arguments, compared word by word. Root's alone."""

from __future__ import annotations

from transom.guest import words
from transom.guest.fields import making

FIELDS = (making.plain("args", "args", words.split, route=making.root),)
