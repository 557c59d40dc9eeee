"""``python -m transom``: the same as the console script."""

from transom.cli import main

main.main()
