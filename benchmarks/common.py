"""What the benchmarks share: the machine, pairs of timings, tables, bounds, data."""

import argparse
import gc
import io
import multiprocessing
import os
import random
import sys
import tarfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from skkd import report

# The machine ------------------------------------------------------------------


def describe_machine(packages: Sequence[str] = ()) -> str:
    """Return what a figure of time cannot be read without, in four lines."""
    return (
        f"{report.describe_machine(packages)}\n"
        f"The GPU is not used. Load average before: {os.getloadavg()[0]:.1f} (above "
        "0.3 others disturb)"
    )


# Timings ----------------------------------------------------------------------


class Run(NamedTuple):
    """One timed call and what else is to be known of it."""

    seconds: float
    accuracy: float
    asked: tuple[int, int] | None = (
        None  # rows the teacher computed, and rows found in the cache
    )


class Spread(NamedTuple):
    """Median, least and greatest of some figures."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise `values`."""
        values = sorted(values)
        return cls(float(np.median(values)), values[0], values[-1])

    def show(self, digits: int = 2, unit: str = "") -> str:
        """Return ``median (low to high)``."""
        median, low, high = (f"{value:,.{digits}f}" for value in self)
        return f"{median}{unit} ({low} to {high})"


class Mean(NamedTuple):
    """Mean of some figures, and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        """Summarise `values`, two at least."""
        values = np.asarray([*values], dtype=float)
        return cls(values.mean(), values.std(ddof=1) / len(values) ** 0.5)

    def show(self, digits: int = 1, sign: str = "") -> str:
        """Return ``mean ± standard error``."""
        return f"{self.mean:{sign}.{digits}f} ± {self.error:.{digits}f}"


def paired(
    sides: dict[str, Callable[[int], Run]], n: int, *, isolate: bool = True
) -> dict[str, list[Run]]:
    """Run every side once in each of `n` rounds, so that they share its weather.

    A side is called with the number of the round; the order turns round by round.
    Each call has a process of its own: what the allocator went through before can
    halve or double the time of a convolution.
    """
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    threads = torch.get_num_threads()
    for number in range(n):
        for name in [*sides][:: 1 if number % 2 == 0 else -1]:
            if isolate:
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, context, set_up, (threads,)) as pool:
                    run = pool.submit(sides[name], number).result()
            else:
                run = sides[name](number)
            runs[name].append(run)
            print(f"  round {number + 1}/{n}  {run.seconds:8.2f} s  {name}", flush=True)
    return runs


def set_up(threads: int) -> None:
    """Prepare a process for measuring."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore", UserWarning)  # of the peers; ours are tested


def clocked(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and its result."""
    gc.collect()
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def seed_all(seed: int) -> None:
    """Seed the global generators: the peers draw from these."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seconds(runs: list[Run]) -> Spread:
    """Summarise the durations."""
    return Spread.of(run.seconds for run in runs)


def ratios(slow: list[Run], fast: list[Run]) -> Spread:
    """Summarise slow/fast over the pairs of the same round."""
    return Spread.of(a.seconds / b.seconds for a, b in zip(slow, fast, strict=True))


# What is printed, and what fails ----------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its columns aligned."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        for line in lines
    ]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


@dataclass
class Bounds:
    """The claims of a benchmark; all are printed before it fails."""

    enforced: bool = True
    failed: list[str] = field(default_factory=list)
    n: int = 0
    left_out: list[str] = field(default_factory=list)  # what was not compared

    def at_least(self, claim: str, value: float, bound: float) -> None:
        """Claim that ``value >= bound``."""
        self._check(f"{claim}: {value:.3g}, at least {bound:g}", value >= bound)

    def at_most(self, claim: str, value: float, bound: float) -> None:
        """Claim that ``value <= bound``."""
        self._check(f"{claim}: {value:.3g}, at most {bound:.3g}", value <= bound)

    def equal(self, claim: str, value: Any, expected: Any) -> None:
        """Claim that ``value == expected``."""
        self._check(f"{claim}: {value}, exactly {expected}", value == expected)

    def finish(self) -> None:
        """Leave with status 1 where a claim did not hold."""
        if self.left_out:
            print(f"\nNot compared, as not installed: {', '.join(self.left_out)}")
        if not self.enforced:
            print("\nBounds are not enforced here: this only shows that it runs.")
        elif not self.n:
            print("\nNothing is claimed of this.")
        elif self.failed:
            sys.exit(f"\n{len(self.failed)} of {self.n} claims do not hold")
        else:
            print(f"\nAll {self.n} claims that were checked hold.")

    def _check(self, text: str, holds: bool) -> None:
        self.n += 1
        verdict = "ok  " if holds else "FAIL" if self.enforced else "no  "
        print(f"{verdict} {text}")
        if not holds:
            self.failed.append(text)


def parser(doc: str, *, reads_data: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    out = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if reads_data:
        out.add_argument("--data", type=Path, required=True, help="folder of data sets")
    out.add_argument("--rounds", type=int, help="pairs (default 3)")
    out.add_argument("--epochs", type=int, help="epochs of a fit (default 10)")
    out.add_argument("--threads", type=int, default=2, help="of torch (default 2)")
    out.add_argument("--quick", action="store_true", help="only see that it runs")
    return out


# Data -------------------------------------------------------------------------


class Data(NamedTuple):
    """uint8 images (n, C, H, W) and int64 labels."""

    X: torch.Tensor
    y: torch.Tensor
    X_test: torch.Tensor
    y_test: torch.Tensor


def load_mnist(folder: Path, n_train: int = 60000, n_test: int = 10000) -> Data:
    """Read the first rows of mnist.npz."""
    with np.load(folder / "mnist.npz") as file:
        arrays = (
            file["X_train"][:n_train, None],
            file["y_train"][:n_train],
            file["X_test"][:n_test, None],
            file["y_test"][:n_test],
        )
    X, y, X_test, y_test = (torch.from_numpy(a.copy()) for a in arrays)
    return Data(X, y.long(), X_test, y_test.long())


class Drawn(NamedTuple):
    """Rows for three purposes, float32 (n, n_features), that share none."""

    X_teacher: np.ndarray
    y_teacher: np.ndarray
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def draw(X: np.ndarray, y: np.ndarray, sizes: Sequence[int], seed: int) -> Drawn:
    """Draw rows for a teacher, for a student and for testing, by their number."""
    rows = np.random.default_rng(seed).permutation(len(X))[: sum(sizes)]
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    return Drawn(*(a[part] for part in parts for a in (X, y)))


def flat_sets(data: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return digits of scikit-learn, and MNIST where there is a folder; in [0, 1]."""
    X, y = load_digits(return_X_y=True)
    sets = {"digits": (np.float32(X / 16), y)}
    if data is not None:
        with np.load(data / "mnist.npz") as file:
            images = file["X_train"].reshape(60000, -1)
            sets["MNIST"] = (np.float32(images) / 255, file["y_train"].astype(int))
    return sets


def load_cifar10(folder: Path, n_train: int = 50000, n_test: int = 10000) -> Data:
    """Decode the first images of each class of cifar10_jpeg.tar.xz, equally many."""
    wanted = {"train": n_train, "test": n_test}
    images: dict[str, dict[str, list]] = {"train": {}, "test": {}}
    with tarfile.open(folder / "cifar10_jpeg.tar.xz") as tar:
        for member in tar:
            if not member.isfile():
                continue
            part, name = member.name.split("/")[-3:-1]
            found = images[part].setdefault(name, [])
            if len(found) < wanted[part] // 10:
                file = Image.open(io.BytesIO(tar.extractfile(member).read()))
                found.append(np.asarray(file.convert("RGB")).transpose(2, 0, 1))
    return Data(*_stacked(images["train"]), *_stacked(images["test"]))


def _stacked(images: dict[str, list]) -> tuple[torch.Tensor, torch.Tensor]:
    names = sorted(images)  # the order of the columns of the pretrained teachers
    X = np.stack([image for name in names for image in images[name]])
    y = np.repeat(np.arange(len(names)), [len(images[name]) for name in names])
    # Not by class: the floor and the peers shuffle, yet nothing should depend on it.
    order = np.random.default_rng(0).permutation(len(y))
    return torch.from_numpy(X[order]), torch.from_numpy(y[order])


def train_on_labels(net: torch.nn.Module, data: Data, epochs: int) -> torch.nn.Module:
    """Train a network to teach, and return it in eval mode, its gradients off."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.X)).split(32):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(data.X[rows]), data.y[rows])
            loss.backward()
            optimizer.step()
    return net.eval().requires_grad_(False)


def count_rows(batch: torch.Tensor) -> int:
    """Count the rows of a batch without the copies of its last, which fill it up."""
    rows = batch.flatten(1)
    is_last = (rows == rows[-1]).all(dim=1).tolist()
    return len(rows) - [*is_last[::-1], False].index(False) + 1


@torch.no_grad()
def accuracy(net: torch.nn.Module, data: Data) -> float:
    """Return the share of the test images that `net` gets right, in float32."""
    net = net.eval().float()
    predicted = torch.cat([net(x).argmax(1) for x in data.X_test.split(250)])
    return (predicted == data.y_test).float().mean().item()
