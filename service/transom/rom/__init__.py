"""Firmware image to drivers to option ROM to verification. Pure: bytes in, values out."""
