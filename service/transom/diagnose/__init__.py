"""Says what is wrong and why, from facts and documents alone: one small file a rule under ``rules``. Changes nothing.

``rule`` is the seam, ``view`` what a rule looks at (a host, a wanted device, a declared VM), ``registry`` walks the rules.
Pure: no I/O, no clock, no randomness.
"""
