"""Commands that run inside a node, where a real one has its own: scripts under ``bin``, and the larger ones as modules here."""
