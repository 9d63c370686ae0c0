"""Folder of photographs to uint8 tensors: skkd.ImageReader against torchvision.

Claim: on real photographs, reduced to 64 x 64 pixels on the same number of cores,
`ImageReader` takes at most two thirds of the time of torchvision's `ImageFolder` with
`Resize` and `PILToTensor` in a `DataLoader` (a ratio of at least 1.5), and the pixels
are the same within what its documentation says: gray levels of 0 to 255 differ by less
than 0.5 on average and by less than 4 over any one image. Both list the folder within
the time that is taken, neither checks the files beforehand; a row shows what
`load_image_folder` adds, which decodes every file once to find the damaged ones.
Images cached by `memory=` are read from the disk (or the system's cache of it).

    python benchmarks/bench_images.py --data FOLDER

FOLDER holds class folders, or road_clean_dirty.tar: 234 photographs of roads, 275 x 183
to 5184 x 3456 pixels, 218 JPEG, 15 WebP, 1 PNG. Every file is read once before the
first round, so that none comes from a cold disk.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Bounds, Spread, describe_machine, table
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, PILToTensor, Resize

from skkd import ImageReader, load_image_folder

SIZE, BATCH_SIZE = 64, 64
BOUND, MEAN_BOUND, IMAGE_BOUND = 1.5, 0.5, 4
PEERS = {1: "torchvision, num_workers=0", 2: "torchvision, num_workers=2"}
# What is compared with torchvision on how many cores.
CORES = {
    "skkd, n_jobs=1": 1,
    "skkd, n_jobs=2": 2,
    "skkd, cached by memory=": 2,
    "load_image_folder, then skkd, n_jobs=2": 2,
}


def main() -> None:
    """Run, print the table, fail where a claim does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    args = parser.parse_args()
    n_rounds = 1 if args.quick else args.rounds
    machine = describe_machine(["pillow"])
    with tempfile.TemporaryDirectory() as scratch:
        root, tar = args.data, args.data / "road_clean_dirty.tar"
        if tar.is_file():
            root = Path(scratch) / "photos"
            with tarfile.open(tar) as archive:
                archive.extractall(root, filter="data")
        for path in list_images(root):
            path.read_bytes()
        memory = Path(scratch) / "memory"
        read(root, memory=memory)
        sides = {
            PEERS[1]: lambda: load(root, 0),
            "skkd, n_jobs=1": lambda: read(root),
            PEERS[2]: lambda: load(root, 2),
            "skkd, n_jobs=2": lambda: read(root, n_jobs=2),
            "skkd, cached by memory=": lambda: read(root, memory=memory),
            "load_image_folder, then skkd, n_jobs=2": lambda: read(
                root, check=True, n_jobs=2
            ),
        }
        seconds, images = measure(sides, n_rounds)
    ratio = {
        name: Spread.of(np.divide(seconds[PEERS[n_cores]], seconds[name]))
        for name, n_cores in CORES.items()
    }
    rows = [
        (
            name,
            Spread.of(seconds[name]).show(3),
            f"{len(images[name]) / np.median(seconds[name]):,.0f}",
            ratio[name].show() if name in ratio else "",
        )
        for name in sides
    ]
    n_images = len(images[PEERS[1]])
    print(f"\n{machine}\n\n{n_images} images to {SIZE} x {SIZE}, {n_rounds} rounds")
    print("median (least to greatest); ratios of pairs, on the same number of cores\n")
    print(table(["what", "seconds", "images/s", "times as fast"], rows), "\n")
    bounds = Bounds(enforced=not args.quick)
    expected = images[PEERS[1]].numpy().astype(int)
    for name in [*CORES][:3]:
        difference = np.abs(images[name].numpy() - expected).mean(axis=(1, 2, 3))
        bounds.at_least(f"{name}: times as fast", ratio[name].median, BOUND)
        bounds.at_most(f"{name}: mean difference", difference.mean(), MEAN_BOUND)
        bounds.at_most(f"{name}: worst image", difference.max(), IMAGE_BOUND)
    bounds.finish()


def measure(
    sides: dict[str, Callable[[], torch.Tensor]], n_rounds: int
) -> tuple[dict[str, list[float]], dict[str, torch.Tensor]]:
    """Run all sides in turn, in alternating order; return seconds and images."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    images = {}
    for number in range(n_rounds):
        for name in [*sides][:: 1 if number % 2 == 0 else -1]:
            start = time.perf_counter()
            images[name] = sides[name]()
            seconds[name].append(time.perf_counter() - start)
            print(f"  round {number + 1}  {seconds[name][-1]:7.3f} s  {name}")
    return seconds, images


def list_images(root: Path) -> list[Path]:
    """Return the paths in the order of ImageFolder."""
    return sorted(path for path in root.glob("*/**/*") if path.is_file())


def load(root: Path, n_workers: int) -> torch.Tensor:
    """Read the images with torchvision."""
    transform = Compose([Resize((SIZE, SIZE)), PILToTensor()])
    dataset = ImageFolder(root, transform=transform)
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, num_workers=n_workers)
    return torch.cat([images for images, _ in loader])


def read(root: Path, check: bool = False, **params: Any) -> torch.Tensor:
    """Read the images with skkd, after looking into every file or not."""
    paths = load_image_folder(root).data if check else list_images(root)
    return torch.from_numpy(ImageReader(SIZE, **params).transform(paths))


if __name__ == "__main__":
    main()
