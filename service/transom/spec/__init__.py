"""The documents a user writes: their shape, their loader, their JSON Schema, and what they mean together."""
