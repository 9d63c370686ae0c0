"""The command ``python -m skkd.search``."""

from skkd.search._worker import main

main()
