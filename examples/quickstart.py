"""From a folder of images to a small student of a large teacher.

    python examples/quickstart.py            digits of which few have a label
    python examples/quickstart.py FOLDER     your own: one subfolder of images a class

The way: folder -> a teacher -> a small student alone -> the same student with the
teacher -> both tested on images that nothing was trained on -> a verdict, a table, and
files. Stopped or killed, it goes on where it was. `skkd fit` is the same as a command.
"""

from __future__ import annotations

import argparse

from skkd.quickstart import distill_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="subfolders are classes")
    parser.add_argument("--out", default="quickstart-out", help="folder of results")
    names = "train, efficientnet_lite0, torchvision:NAME or a file"
    parser.add_argument("--teacher", default="auto", help=names)
    parser.add_argument("--size", type=int, help="pixels a side (default 64, digits 8)")
    parser.add_argument("--epochs", type=int, help="default 20, or more")
    parser.add_argument("--search", action="store_true", help="temperature and alpha")
    args = parser.parse_args()
    print(distill_folder(**vars(args)))


if __name__ == "__main__":
    main()
