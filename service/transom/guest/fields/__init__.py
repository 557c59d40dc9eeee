"""One file a kind of key.

A module here offers ``FIELDS`` (VmField) and, where absence has a fixed meaning, ``DEFAULTS`` (key → value).
"""
