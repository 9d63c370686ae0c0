"""What a fit holds in memory, how that grows with the rows, and a plan for a million.

Claim: uint8 images stay uint8 until they reach the module, so that a fit on 50,000
RGB images of 32x32 (154 MB) stays below 1.2 GB resident in all. Time and memory are
linear in the number of rows. Of a teacher with 1,000 classes, ``top_k=16`` in float16
caches a million rows in 100 MB on disk, and a fit on them stays below 3 GB.

How: every fit has a process of its own. Resident memory is that process's peak as
/proc has it (VmHWM), before there are rows (all imported, one short fit done) and
after the fit; ``ru_maxrss`` begins at the peak of the process that started it. Images:
random, one epoch, a SmallCNN of width 4 teaches another; medians over the rounds.
Logits: 64 float32 features, a linear teacher, slices of two sizes; one fit asks the
teacher and writes to a folder, another one, in a new process, finds all there. The
plan for a million rows extends the line through both slices: nobody ran it. What
a fit that asks holds for a moment varied by 60 MB between two trials, which is 0.6 GB
in its plan.

    python benchmarks/bench_memory.py
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import (
    Bounds,
    Spread,
    clocked,
    describe_machine,
    paired,
    parser,
    seconds,
    set_up,
    table,
)
from torch import nn

from skkd import DistilledClassifier
from skkd.memory import LogitMemory, clear_cache
from skkd.students import MLP, SmallCNN

SIZES, SLICES, PLANNED = (6250, 12500, 25000, 50000), (20_000, 100_000), 1_000_000
SHAPE, N_FEATURES, N_CLASSES = (3, 32, 32), 64, 1000
KINDS = {
    "float32": {},
    "float16": {"dtype": "float16"},
    "float16, top_k=16": {"dtype": "float16", "top_k": 16},
}
MB, GB = 1e6, 1e9


class Measured(NamedTuple):
    """A fit in a process of its own; memory in bytes."""

    seconds: float
    imported: int  # resident at most, before any fit
    before: int  # and after a short one
    peak: int  # and in all
    computed: int  # rows that the teacher ran on
    on_disk: int


# What is measured -------------------------------------------------------------


def peak_resident():
    """Return how many bytes this process, and none before it, had at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def measure(n, new_X, n_classes, module, teacher, memory):
    """Return what a fit on `n` rows takes."""
    student = DistilledClassifier(
        module,
        teacher=teacher.eval().requires_grad_(False),
        classes=np.arange(n_classes),
        max_epochs=1,
        batch_size=256,
        memory=False,
        random_state=0,
        device="cpu",
    )
    held = [peak_resident()]
    student.fit(new_X(512), np.arange(512) % n_classes)  # what is set up only once
    student.set_params(memory=memory)
    clear_cache()
    held.append(peak_resident())
    X, y = new_X(n), np.arange(n) % n_classes
    duration, _ = clocked(lambda: student.fit(X, y))
    taught = student.cache_info_
    return Measured(duration, *held, peak_resident(), taught.misses, taught.nbytes)


def fit_images(n, number):
    """Measure a fit on random images; the logits are cached in the process."""
    rng, module = np.random.default_rng(number), partial(SmallCNN, width=4)
    new_X = partial(rng.integers, 0, 256, dtype=np.uint8)
    teacher = module(10, SHAPE)
    return measure(n, lambda n: new_X((n, *SHAPE)), 10, module, teacher, None)


def fit_logits(n, kind, folder, number):
    """Measure a fit from a teacher of many classes, cached in a folder."""
    torch.manual_seed(0)  # the same teacher, and the same rows, in each process
    teacher, rng = nn.Linear(N_FEATURES, N_CLASSES), np.random.default_rng(0)
    memory = LogitMemory(Path(folder) / f"{kind} {n}", **KINDS[kind])
    new_X = partial(rng.standard_normal, dtype=np.float32)
    few = partial(MLP, hidden=32)  # parameters, fewer than the teacher has
    return measure(n, lambda n: new_X((n, N_FEATURES)), N_CLASSES, few, teacher, memory)


# What is printed and claimed --------------------------------------------------


def bench_images(sizes, args, bounds):
    """Fit on images of each size, and compare with lines."""
    print(f"\n## Images\n\nn uint8 images {SHAPE}, {args.rounds} rounds\n", flush=True)
    sides = {f"n={n}": partial(fit_images, n) for n in sizes}
    runs = [*paired(sides, args.rounds, isolate=not args.quick).values()]
    peaks = [Spread.of(run.peak for run in part) for part in runs]
    rows = []
    for n, part, peak in zip(sizes, runs, peaks, strict=True):
        above = f"{(peak.median - peaks[0].median) / MB:.0f}"
        shown = Spread(*(value / MB for value in peak)).show(0)
        images = f"{n * np.prod(SHAPE) / MB:.0f}"
        rows.append([f"{n:,}", images, seconds(part).show(), shown, above])
    head = ["n", "images, MB", "seconds", "peak, MB", "above the first"]
    print("\n" + table(head, rows) + "\nMedian (least to greatest) over the rounds.")
    every = [run for part in runs for run in part]
    imported = Spread.of(run.imported / MB for run in every).show(0)
    before = Spread.of(run.before / MB for run in every).show(0)
    print(f"MB after the imports {imported}, after a short fit {before}\n")
    times = [seconds(part).median for part in runs]
    slope, fixed = np.polyfit(sizes, times, 1)
    print(f"seconds: {fixed:.2f} + {1e6 * slope:.1f} n / 1,000,000")
    per_row = [(time - fixed) / n for n, time in zip(sizes, times, strict=True)]
    ratio = per_row[-1] / per_row[0]
    bounds.at_least("seconds a row, the last n / the first", ratio, 0.65)
    bounds.at_most("seconds a row, the last n / the first", ratio, 1.35)
    medians = np.array([peak.median for peak in peaks])
    line = np.polyval(np.polyfit(sizes, medians, 1), sizes)
    claim = "distance of a peak from the straight line, in % of all growth"
    off = 100 * np.abs(medians - line).max() / (medians[-1] - medians[0])
    bounds.at_most(claim, off, 10)
    bounds.at_most(f"GB resident at n={sizes[3]}", peaks[-1].high / GB, 1.2)
    growth = np.polyfit(sizes, [peak.median for peak in peaks], 1)[0]
    claim = "bytes a row in memory, in bytes of an image (float32 would be 4)"
    bounds.at_most(claim, growth / np.prod(SHAPE), 1.5)
    asked = [{run.misses for run in part} for part in runs]
    bounds.equal("rows the teacher ran on", asked, [{n} for n in sizes])


def bench_logits(slices, args, bounds, folder):
    """Cache the logits of two slices in each way, and plan for a million rows."""
    print(f"\n## Logits\n\n{N_CLASSES} classes, slices of {slices} rows\n", flush=True)
    rows, plans = [], {}
    for kind in KINDS:
        for fit in ("asks", "finds all"):
            sides = {
                f"{kind}, {n} rows, {fit}": partial(fit_logits, n, kind, folder)
                for n in slices
            }
            few, many = (
                run for [run] in paired(sides, 1, isolate=not args.quick).values()
            )
            asked = list(slices) if fit == "asks" else [0, 0]
            claim = f"{kind}, {fit}: rows the teacher ran on"
            bounds.equal(claim, [few.misses, many.misses], asked)
            disk, held = (
                np.polyfit(slices, [getattr(run, of) for run in (few, many)], 1)
                for of in ("on_disk", "peak")
            )
            plans[kind, fit] = [np.polyval(line, PLANNED) for line in (disk, held)]
            shown = [f"{disk[0]:.0f}", f"{few.peak / MB:.0f}", f"{many.peak / MB:.0f}"]
            shown += [f"{held[0]:.0f}", *(f"{x / GB:.2f}" for x in plans[kind, fit])]
            rows.append([kind, fit, f"{many.seconds:.1f}", *shown])
    disk, peak = "bytes a row on disk", "peak, MB, n={:,}"
    head = ["logits", "the fit", f"seconds, n={slices[1]:,}", disk]
    head += [*(peak.format(n) for n in slices), "bytes a row in memory"]
    head += ["planned: GB on disk", "planned: peak, GB"]
    print(f"\n{table(head, rows)}\nPlanned for {PLANNED:,} rows, on paper.\n")
    print(
        f"{4 * N_FEATURES + 8} of the bytes a row in memory are features and label. "
        "What is not\nfloat32 stays encoded next to the training set and is decoded by "
        "the batch.\n"
    )
    for fit in ("asks", "finds all"):
        on_disk, held = plans["float16, top_k=16", fit]
        bounds.at_most(f"top_k=16, {fit}: GB planned on disk", on_disk / GB, 0.1)
        bounds.at_most(f"top_k=16, {fit}: GB planned in memory", held / GB, 3)


def main():
    """Run what the command line asks for."""
    options = parser(__doc__, reads_data=False)
    options.add_argument("--only", choices=["images", "logits"], help="default: both")
    args = options.parse_args()
    sizes, slices, args.rounds = SIZES, SLICES, args.rounds or 3
    if args.quick:
        sizes, slices, args.rounds = (64, 128, 256, 512), (1000, 2000), 1
    set_up(args.threads)
    print(describe_machine())
    bounds = Bounds(enforced=not args.quick)
    if args.only != "logits":
        bench_images(sizes, args, bounds)
    if args.only != "images":
        with tempfile.TemporaryDirectory() as folder:
            bench_logits(slices, args, bounds, folder)
    bounds.finish()


if __name__ == "__main__":
    main()
