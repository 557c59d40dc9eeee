"""One module an action: says what it will do, does it, reads it back. Nothing here decides what to do."""
