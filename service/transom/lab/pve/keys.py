"""The names of keys that QEMU's monitor takes in `sendkey`."""

from __future__ import annotations

from typing import Final

NAMES: Final = frozenset((
    *"0123456789abcdefghijklmnopqrstuvwxyz", *(f"f{number}" for number in range(1, 25)),
    *(f"kp_{number}" for number in range(10)), "kp_divide", "kp_multiply", "kp_subtract", "kp_add", "kp_enter",
    "kp_decimal", "kp_comma", "kp_equals", "unmapped", "shift", "shift_r", "alt", "alt_r", "ctrl", "ctrl_r", "menu",
    "esc", "minus", "equal", "backspace", "tab", "bracket_left", "bracket_right", "ret", "semicolon", "apostrophe",
    "grave_accent", "backslash", "comma", "dot", "slash", "asterisk", "spc", "caps_lock", "num_lock", "scroll_lock",
    "sysrq", "less", "print", "home", "pgup", "pgdn", "end", "left", "up", "down", "right", "insert", "delete", "stop",
    "again", "props", "undo", "front", "copy", "open", "paste", "find", "cut", "lf", "help", "meta_l", "meta_r",
    "compose", "pause", "ro", "hiragana", "henkan", "yen", "muhenkan", "katakanahiragana", "power", "sleep", "wake",
    "audionext", "audioprev", "audiostop", "audioplay", "audiomute", "volumeup", "volumedown", "mediaselect", "mail",
    "calculator", "computer", "ac_home", "ac_back", "ac_forward", "ac_refresh", "ac_bookmarks", "lang1", "lang2",
))  # fmt: skip


def unknown(keys: str) -> str | None:
    """The first of `ctrl-alt-delete` that is neither a name nor a code (0x1c), None when all are known."""
    for key in keys.split("-"):
        if key not in NAMES and key != "<" and not is_code(key):
            return key
    return None


def is_code(key: str) -> bool:
    try:
        return key.startswith("0x") and int(key, 16) >= 0
    except ValueError:
        return False
