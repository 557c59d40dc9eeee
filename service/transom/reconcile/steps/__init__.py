"""One module an action: says what it will leave behind, does it, reads it back. Nothing here decides what to do.

Each module has ``prepare(action, world) -> Effect`` (reads only; its answer is journalled first) and
``apply(action, effect, world, context) -> str`` (changes, verifies; says in one line what came of it).
Errors are those of ``transom.errors``; a step that meets its own work already done does nothing and says so.
"""
