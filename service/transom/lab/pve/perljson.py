"""How Perl's JSON parser words its complaints."""

from __future__ import annotations

import json


def complaint(text: str, error: ValueError) -> str:
    """The message for the first fault, as close as Python's own parser locates it."""
    at = error.pos if isinstance(error, json.JSONDecodeError) else 0
    before = f'at character offset {at} (before "{text[at:] or "(end of string)"}")'
    kind = error.msg if isinstance(error, json.JSONDecodeError) else ""
    if kind.startswith("Expecting property name"):
        return f"'\"' expected, {before}"
    if kind.startswith("Extra data"):
        return f"garbage after JSON object, {before}"
    if kind.startswith("Unterminated string"):
        return "unexpected end of string while parsing JSON string, " + before
    if kind.startswith("Expecting ',' delimiter"):
        return f", or }} expected while parsing object/hash, {before}"
    if kind.startswith("Expecting ':' delimiter"):
        return f"':' expected, {before}"
    return f"malformed JSON string, neither tag, array, object, number, string or atom, {before}"
