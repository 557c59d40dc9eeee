"""``lsinitramfs IMAGE…``: lists what an image holds."""

from __future__ import annotations

import sys
from pathlib import Path

from transom.lab import initrd


def main() -> int:
    """Returns the exit code."""
    for name in sys.argv[1:]:
        try:
            image = initrd.unpack(Path(name).read_bytes())
        except (OSError, initrd.BadImage) as error:
            print(f"lsinitramfs: {name}: {error}", file=sys.stderr)
            return 1
        print("\n".join(sorted(image.files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
