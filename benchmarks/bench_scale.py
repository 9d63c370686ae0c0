"""Fits that survive, and fits and searches that outgrow a process.

Claims, each a part that `--only` picks:

checkpoint
    A fit that is saved after every epoch takes at most 5 % more time than its epochs,
    for the ResNet-20 of CIFAR on a tenth of an epoch: 5,000 images. A grid search of 36
    fits that was finished is loaded, scores and refit included, in at most 3 % of its
    time, with the same scores bit for bit. Taken is the processor time of one process,
    which other programs disturb less than they do the clock. Waiting for a disk is not
    in it; the clock's time stands beside it.
dask
    On 2 cores a search of students of at least a second a fit is at least 1.6 times as
    fast by two workers of one thread each as by one.
together
    On 2 cores an epoch of a ResNet-20 is at least 1.5 times as fast by two processes of
    one thread each as by one.
plan
    Nothing is claimed: the bytes and hours of a teacher's pass over 1,000,000 images.

    python benchmarks/bench_scale.py --only checkpoint
"""

from _scale import checkpoint, dask_search, plan, together
from common import Bounds, describe_machine, parser, set_up

# Each part has a claim at the top.
PARTS = {
    "checkpoint": checkpoint.bench,
    "dask": dask_search.bench,
    "together": together.bench,
    "plan": plan.bench,
}


def main() -> None:
    """Run what the command line asks for."""
    options = parser(__doc__, reads_data=False)
    options.add_argument("--only", choices=[*PARTS], help="default: all")
    options.set_defaults(threads=1)
    args = options.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    set_up(args.threads)
    print(describe_machine(["accelerate", "distributed"]))
    bounds = Bounds(enforced=not args.quick)
    for name, bench in PARTS.items():
        if args.only in (None, name):
            bench(args, bounds)
    bounds.finish()


if __name__ == "__main__":
    main()
