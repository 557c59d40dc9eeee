"""What of a VM's configuration is not for everybody's eyes: passwords, also those of QEMU's own arguments."""

from __future__ import annotations

import re

HIDDEN = "(hidden)"
_LINE = re.compile(r"(?m)^(cipassword:[ \t]*)\S.*$")
_ARGS = re.compile(r"(?m)^args:.*$")
_VALUE = re.compile(r"(?i)\b((?:[a-z-]*password|passwd|data|key)=)(?:\"[^\"]*\"|'[^']*'|[^,\s\"']+)")
"""``-vnc :1,password=…``, ``-spice password=…``, ``-object secret,id=s,data=…``."""


def text(conf: str) -> str:
    """The file with those values covered; every other byte as it is."""
    covered = _LINE.sub(rf"\g<1>{HIDDEN}", conf)
    return _ARGS.sub(lambda line: _VALUE.sub(rf"\g<1>{HIDDEN}", line[0]), covered)


def words(argv: str) -> str:
    """The same for words of QEMU's command line."""
    return _VALUE.sub(rf"\g<1>{HIDDEN}", argv)
