"""``python -m skkd._cli``, where the script ``skkd`` is not on the path."""

from skkd._cli._main import main

main(prog_name="skkd")
