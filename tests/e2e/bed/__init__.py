"""Debian machines with real kernels, for tests: images built without privileges on block devices, QEMU under software emulation,
real SSH on loopback. ``python -m bed`` builds, starts and enters one by hand."""
