"""One fit by two processes of one thread each, against one process of one thread.

torch's DistributedDataParallel under skkd.AcceleratedClassifier, started by torchrun: a
ResNet-20 on 32 x 32 pixels, batches of 128, labels alone. What is timed is an epoch
after the first one. The pixels are random, which changes no time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import Bounds, Run, ratios, seconds, table

FASTER = 1.5
BATCH_SIZE = 128
BENCHMARKS = Path(__file__).parents[1]


def bench(args: Any, bounds: Bounds) -> None:
    """Measure, print and check; one after the other in each round."""
    n_batches = 2 if args.quick else 20
    runs: dict[int, list[Run]] = {1: [], 2: []}
    for _ in range(args.rounds):
        for n_processes, found in runs.items():
            found += launch(n_processes, n_batches, 2)
    faster = ratios(runs[1], runs[2])
    print("\n## One fit by several processes\n")
    rows = [[str(n), seconds(found).show(2, " s")] for n, found in runs.items()]
    print(table(["processes of one thread", f"an epoch of {n_batches} batches"], rows))
    print(f"\nTwo are {faster.show(2)} times as fast as one.")
    bounds.at_least("one process / two processes", faster.median, FASTER)


def fit(n_batches: int, n_epochs: int) -> None:
    """Print the seconds of each epoch after the first: what torchrun runs."""
    import torch
    from accelerate import Accelerator

    from skkd import AcceleratedClassifier
    from skkd.students import CifarResNet

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n_batches * BATCH_SIZE, 3, 32, 32), dtype=np.uint8)
    net = AcceleratedClassifier(
        CifarResNet,
        accelerator=Accelerator(cpu=True),
        batch_size=BATCH_SIZE,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        max_epochs=1 + n_epochs,
        random_state=0,
    ).fit(X, np.arange(len(X)) % 10)
    if net.accelerator.is_main_process:
        print(json.dumps(net.history[1:, "dur"]))
    net.accelerator.end_training()


def launch(n_processes: int, n_batches: int, n_epochs: int) -> list[Run]:
    """Return the epochs of a fit by so many processes."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    script = (Path(__file__), n_batches, n_epochs)
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", str(n_processes), *map(str, script)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [Run(s, 0.0) for s in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    fit(*map(int, sys.argv[1:3]))
