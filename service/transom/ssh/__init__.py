"""The one owner of paramiko: run, read, atomic write, pinned host keys."""
