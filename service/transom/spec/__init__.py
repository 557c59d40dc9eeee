"""The documents a user writes: their shape, their loader, their JSON Schema, and what they mean together.

``loader`` reads them, and is the only part that touches files; ``resolve`` makes of them what is wanted of each node
(``wish``), without having looked at any host; ``bundle`` gives the store their plain form. Nothing here knows PVE's state.
"""
