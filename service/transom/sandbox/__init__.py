"""The worker process that touches untrusted bytes, and its walls (bubblewrap, seccomp, limits). Parses nothing outside them."""
