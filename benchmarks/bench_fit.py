"""One distillation from start to end: skkd against four other ways, and the floor.

Claim, on 2 cores, 10 epochs, the one pass of the teacher included: 10 times faster than
each of the four on MNIST (a CNN teaches an MLP 784-128-10); on CIFAR-10 (ResNet-56
teaches ResNet-20) 3 times with ``precision="bf16"`` and 2.2 times in fp32. With cached
logits, at most 1.10 times (CIFAR-10) and 1.35 times (MNIST) the floor: the
student alone in a hand-written loop of the same precision. With equal accuracy.

How: same teacher weights, initial student, rows, batch size, epochs, optimizer, loss;
each side runs once in each round, and ratios are taken round by round. Timed is
training alone, from uint8 arrays in memory. The peers compute in fp32, as they do by
default, and are spared reading, decoding and ToTensor: ``_peers/`` says how each is
written. The CIFAR-10 rows are few by default: the share of the teacher pass (n rows of
10 n) and the cost of a step do not depend on how many there are.

    pip install -r benchmarks/requirements.txt
    python benchmarks/bench_fit.py --data FOLDER

FOLDER holds mnist.npz, cifar10_jpeg.tar.xz and weights/resnet56-cifar10jpeg-8977.pt.
"""

import copy
import importlib
from functools import partial
from statistics import fmean, variance

import torch
from _peers import Task, floor, skkd_net
from common import (
    Bounds,
    Run,
    Spread,
    accuracy,
    clocked,
    describe_machine,
    load_cifar10,
    load_mnist,
    paired,
    parser,
    ratios,
    seconds,
    seed_all,
    set_up,
    table,
    train_on_labels,
)
from torch import nn

from skkd._evaluate.machine import version
from skkd.students import MLP, Standardize

PEERS = {
    "a": "tutorial",
    "b": "torchdistill_box",
    "c": "keras_distiller",
    "d": "skorch_net",
}
WEIGHTS = "weights/resnet56-cifar10jpeg-8977.pt"
# How much faster than every peer, and how close to the floor.
FASTER = {("mnist", "fp32"): 10, ("cifar", "bf16"): 3, ("cifar", "fp32"): 2.2}
FLOOR = {"mnist": 1.35, "cifar": 1.10}
POINTS = {"mnist": 0.01, "cifar": 0.05}


# Workloads --------------------------------------------------------------------


def mnist_task(args):
    """Return the task and its data; the teacher is trained here."""
    n = (512, 256) if args.quick else (args.n_train or 60000, 10000)
    data = load_mnist(args.data, *n)
    scale = Standardize((1, 28, 28), mean=0.1307 * 255, std=0.3081 * 255)
    teacher = nn.Sequential(scale, *mnist_teacher(args.teacher))
    new_student = partial(MLP, n_classes=10, input_shape=(1, 28, 28), hidden=128)
    task = Task(data.X, data.y, teacher, new_student, args.epochs, args.batch_size)
    seed_all(0)
    train_on_labels(teacher, data, args.epochs_teacher)
    return task, data


def mnist_teacher(name):
    """Return layers: one convolution, or PyTorch's MNIST example."""
    if name == "small":  # 67,786 parameters
        convolutions = [nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(5)]
        n_features, dropouts = 512, (0, 0)
    else:  # 1,199,882 parameters
        convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3)]
        convolutions += [nn.ReLU(), nn.MaxPool2d(2)]
        n_features, dropouts = 9216, (0.25, 0.5)
    first, second = map(nn.Dropout, dropouts)
    hidden = [nn.Linear(n_features, 128), nn.ReLU()]
    return *convolutions, first, nn.Flatten(), *hidden, second, nn.Linear(128, 10)


def cifar_task(args):
    """Return the task and its data; the teacher is read from its file."""
    from skkd.students import CifarResNet, load_cifar_resnet

    n = (100, 100) if args.quick else (args.n_train or 5000, args.n_test)
    data = load_cifar10(args.data, *n)
    teacher = load_cifar_resnet(args.data / WEIGHTS).eval().requires_grad_(False)
    new_student = partial(CifarResNet, n_classes=10, input_shape=(3, 32, 32), depth=20)
    task = Task(
        *(data.X, data.y, teacher, new_student, args.epochs, args.batch_size),
        optimizer="SGD",
        lr=0.05,
        optimizer_kwargs={"momentum": 0.9},
    )
    return task, data


# Measuring --------------------------------------------------------------------


def find_peers(letters):
    """Return the modules of the peers that are installed, and names of the others."""
    modules = [importlib.import_module(f"_peers.{PEERS[letter]}") for letter in letters]
    missing = [m for m in modules if version(m.PACKAGE) is None]
    return [m for m in modules if m not in missing], [m.NAME for m in missing]


def all_sides(name, peers):
    """Return the ways to train: functions of (task, seed)."""
    sides = {peer.NAME: peer.prepare for peer in peers}
    for precision in [p for workload, p in FASTER if workload == name]:
        sides[f"skkd {precision}"] = partial(skkd_net.prepare, precision=precision)
        taught = partial(skkd_net.prepare_taught, precision=precision)
        sides[f"skkd {precision}, logits cached"] = taught
        sides[f"(e) floor {precision}"] = partial(floor.prepare, precision=precision)
    return sides


def measure(prepare, task, data, warm, number):
    """Return the run of one side in one round."""
    if warm:  # what is set up only once
        prepare(task.first(2 * task.batch_size), 0)()
    seed_all(number)
    train, before = prepare(task, number), copy.deepcopy(task.teacher.state_dict())
    duration, trained = clocked(train)
    for key, value in task.teacher.state_dict().items():
        assert torch.equal(value, before[key]), f"the teacher was changed: {key}"
    asked = getattr(trained, "cache_info_", None)
    net = getattr(trained, "module_", trained)
    return Run(duration, accuracy(net, data), asked and tuple(asked[:2]))


def show(name, runs, missing):
    """Print seconds, times skkd, and accuracy of each side."""
    skkd = [f"skkd {p}" for workload, p in FASTER if workload == name]
    rows = []
    for side, timed in runs.items():
        times = [ratios(timed, runs[ours]).show() for ours in skkd]
        test = Spread.of(100 * value for value in accuracies(timed))
        rows.append([side, seconds(timed).show(), *times, test.show(1)])
    install = "not installed: pip install -r benchmarks/requirements.txt"
    rows += [[side, install, *["" for _ in skkd], ""] for side in missing]
    head = ["side", "seconds", *[f"times {ours}" for ours in skkd], "test accuracy, %"]
    print("\n" + table(head, rows) + "\nMedian (least to greatest) over the rounds.\n")


def accuracies(runs):
    """Return the accuracy of each run."""
    return [run.accuracy for run in runs]


def mean_and_error(values, n_test):
    """Return the mean over rounds and its standard error, of rounds and test rows."""
    mean = fmean(values)
    rounds = variance(values) / len(values) if len(values) > 1 else 0
    return mean, (rounds + mean * (1 - mean) / n_test) ** 0.5


def check(name, runs, n_train, n_test, bounds):
    """Compare with what is claimed."""
    peers = [side for side in runs if side.startswith("(") and "floor" not in side]
    for precision in [p for workload, p in FASTER if workload == name]:
        ours, taught = f"skkd {precision}", f"skkd {precision}, logits cached"
        both = zip(runs[ours], runs[taught], strict=True)
        asked = {(run.asked, again.asked) for run, again in both}
        claim = f"{name}: rows {ours} asks about and reuses, then again"
        bounds.equal(claim, asked, {((n_train, 0), (0, n_train))})
        for peer in peers:
            faster = ratios(runs[peer], runs[ours]).median
            claim = f"{name}: {peer} / {ours}"
            bounds.at_least(claim, faster, FASTER[name, precision])
        close = ratios(runs[taught], runs[f"(e) floor {precision}"]).median
        bounds.at_most(f"{name}: {taught} / floor", close, FLOOR[name])
        for peer in peers:
            (mine, error), (theirs, other) = (
                mean_and_error(accuracies(runs[side]), n_test) for side in (ours, peer)
            )
            apart = POINTS[name]
            if name == "cifar":  # few images, few steps
                apart = max(apart, 2 * (error**2 + other**2) ** 0.5)
            claim = f"{name}: points of accuracy between {peer} and {ours}"
            bounds.at_most(claim, 100 * abs(mine - theirs), 100 * apart)


def bench(name, args, peers, missing, bounds):
    """Measure one workload, print it and check it."""
    task, data = {"mnist": mnist_task, "cifar": cifar_task}[name](args)
    n, n_test = len(data.X), len(data.X_test)
    print(
        f"\n## {name}\n{n} rows, {n_test} to test, {task.epochs} epochs, batches of "
        f"{task.batch_size}, {task.optimizer} {task.lr}, T={task.temperature}, alpha="
        f"{task.alpha}, {args.rounds} rounds; the teacher is right on "
        f"{accuracy(task.teacher, data):.1%}\n",
        flush=True,
    )
    sides = {
        side: partial(measure, prepare, task, data, not args.quick)
        for side, prepare in all_sides(name, peers).items()
    }
    runs = paired(sides, args.rounds, isolate=not args.quick)
    show(name, runs, missing)
    check(name, runs, n, n_test, bounds)


def main():
    """Run what the command line asks for."""
    options = parser(__doc__)
    options.add_argument("--only", choices=["mnist", "cifar"], help="default: both")
    options.add_argument("--peers", default="a,b,c,d", help="letters (default a,b,c,d)")
    options.add_argument("--n-train", type=int, help="default 60000 and 5000")
    options.add_argument("--n-test", type=int, default=2000, help="CIFAR-10's")
    options.add_argument("--batch-size", type=int, default=128)
    options.add_argument("--teacher", choices=["small", "example"], default="small")
    args = options.parse_args()
    args.epochs, args.rounds = args.epochs or 10, args.rounds or 3
    args.epochs_teacher = 2
    if args.quick:
        args.epochs = args.rounds = args.epochs_teacher = 1
    set_up(args.threads)
    letters = [letter for letter in args.peers.split(",") if letter]
    peers, missing = find_peers(letters)
    print(describe_machine([peer.PACKAGE for peer in peers]))
    bounds = Bounds(enforced=not args.quick, left_out=missing)
    for name in [args.only] if args.only else ["mnist", "cifar"]:
        bench(name, args, peers, missing, bounds)
    bounds.finish()


if __name__ == "__main__":
    main()
