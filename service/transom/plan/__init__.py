"""Decides what to change. Reads nothing, writes nothing."""
