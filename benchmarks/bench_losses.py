"""Every loss on one protocol, with the plain student in the same table.

Claim: none. The table says what came out, and the published ordering is not forced.

How: CIFAR-10 in JPEG, ResNet-56 teaches ResNet-8 (75,290 parameters). n training
images, equally many of each class; all 10,000 test images. Two fixed views of each
image, shifted by up to four pixels and flipped, the same for every loss and seed. SGD
with Nesterov momentum 0.9 and weight decay 5e-4, batches of 64, one cycle up to a
learning rate of 0.1, bf16, one thread a fit. The accuracy is that after the last epoch:
no epoch, no setting and no loss is selected on the test images. Every loss has its
published weights; alpha and temperature are in the table. Differences are taken from
the plain student of the same seed, which starts from the same weights.

What it cannot tell: the teacher was trained on all 50,000 training images, these among
them; every loss has one setting, not the best of many; ten classes and small images.

    python benchmarks/bench_losses.py --data FOLDER --seeds 5 --results losses.jsonl

FOLDER holds cifar10_jpeg.tar.xz and weights/resnet56-cifar10jpeg-8977.pt. A run that is
cut short goes on where --results says it stopped.
"""

import functools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import Mean, accuracy, describe_machine, load_cifar10, parser, table
from seeds import repeat
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from skkd import DistilledClassifier
from skkd.augment import Compose, RandomCrop, RandomHorizontalFlip
from skkd.losses import (
    CRD,
    DIST,
    DKD,
    KD,
    PKT,
    RKD,
    AttentionTransfer,
    FitNet,
    LogitStandardization,
    SimilarityPreserving,
    WeightedSum,
)
from skkd.memory import LogitMemory
from skkd.students import CifarResNet, load_cifar_resnet

QUICK = 200  # images that show that it runs
WEIGHTS = "weights/resnet56-cifar10jpeg-8977.pt"
LAST = ("layer3", "layer3")
DEEP = {"cache": True}
# Half of the labels' loss and half of the teacher's, whatever weight that has of its
# own, is the published sum of the two, times 1/2.
SETTINGS = {
    "plain": {"alpha": 0.0},
    "label smoothing": {"distillation": "label_smoothing", "alpha": 0.1},
    "virtual teacher, T=20": {
        "distillation": "virtual_teacher",
        "alpha": 0.5,
        "temperature": 20.0,
    },
    "KD, T=4": {"alpha": 0.5},
    "KD, T=4, alpha=0.9": {"alpha": 0.9},
    "KD, T=1": {"alpha": 0.5, "temperature": 1.0},
    "hard labels": {"distillation": "hard", "alpha": 0.5},
    "logit MSE": {"distillation": "mse", "alpha": 0.5},
    "Jensen-Shannon, T=4": {"distillation": "js", "alpha": 0.5},
    "DKD, T=4": {"distillation": DKD(), "alpha": 0.5},
    "DIST, T=4": {"distillation": DIST(beta=2.0, gamma=2.0), "alpha": 0.5},
    "standardized KD, T=2, alpha=0.9": {
        "distillation": "standardized_kd",
        "alpha": 0.9,
        "temperature": 2.0,
    },
    # The two settings of its authors: 1 for the labels and 9 for the teacher until
    # 2024-03-10, times 1/2 as above; and 0.1 and 9 since then, factor included.
    "standardized KD, T=2, weights 1 and 9": {
        "distillation": WeightedSum([("z", LogitStandardization())], weights=[9]),
        "alpha": 0.5,
        "temperature": 2.0,
    },
    "standardized KD, T=2, weights 0.1 and 9": {
        "distillation": WeightedSum([("z", LogitStandardization())], weights=[10]),
        "alpha": 0.9,
        "temperature": 2.0,
    },
    "FitNet": {"distillation": FitNet(*LAST, **DEEP), "alpha": 0.5},
    "attention": {"distillation": AttentionTransfer(*LAST, **DEEP), "alpha": 0.5},
    "RKD": {"distillation": RKD(**DEEP), "alpha": 0.5},
    "similarity": {"distillation": SimilarityPreserving(*LAST, **DEEP), "alpha": 0.5},
    "PKT": {"distillation": PKT(**DEEP), "alpha": 0.5},
    "CRD, 1024 negatives": {
        "distillation": CRD(n_negatives=1024, **DEEP),
        "alpha": 0.5,
    },
    "KD + CRD": {
        "distillation": WeightedSum(
            [("kd", KD()), ("crd", CRD(n_negatives=1024, **DEEP))]
        ),
        "alpha": 0.5,
    },
}
# Published top-1 accuracies on CIFAR-100, from the losses' own papers and the tables
# that these cite; the last two columns from Sun et al. 2024 and their logs (LS is
# logit standardisation). MLKD takes 480 epochs and two views, about four times the
# compute of the others. All are at or near the best epoch on the test images: in the
# authors' logs the last epoch is 0.3 to 0.4 lower. Not run here: they need that data
# set and a GPU.
NOT_YET_RUN = [
    ("resnet56 -> resnet20", "69.06", "70.66 to 71.5", "71.97", "72.32", "72.33"),
    ("resnet32x4 -> resnet8x4", "72.50", "73.33", "76.32", "77.01", "78.28"),
]


@functools.cache
def read(folder: Path, n_train: int):
    """Return the images; each process reads them once."""
    return load_cifar10(folder, n_train, 10000 if n_train > QUICK else QUICK)


@functools.cache
def read_teacher(folder: Path):
    """Return the teacher; one object, so that it is known by content once."""
    return load_cifar_resnet(folder / WEIGHTS)


def fit(*, seed, folder, n_train, epochs, memory, temperature=4.0, **params):
    """Train one student, and test it after its last epoch."""
    torch.set_num_threads(1)
    data = read(folder, n_train)
    batches = -(-len(data.X) // 64)
    schedule = LRScheduler(
        OneCycleLR, step_every="batch", max_lr=0.1, total_steps=epochs * batches
    )
    student = DistilledClassifier(
        CifarResNet,
        module__depth=8,
        teacher=read_teacher(folder),
        temperature=temperature,
        augment=Compose([RandomCrop(4), RandomHorizontalFlip()]),
        n_views=2,
        memory=memory,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        optimizer__weight_decay=5e-4,
        lr=0.1,
        max_epochs=epochs,
        callbacks=[schedule],
        precision="bf16",
        random_state=seed,
        **params,
    )
    start = time.perf_counter()
    student.fit(data.X, data.y)
    seconds = time.perf_counter() - start
    return {"accuracy": 100 * accuracy(student.module_, data), "seconds": seconds}


def report(runs, teacher_accuracy):
    """Print the table, the plain student first."""
    plain = np.array([run["accuracy"] for run in runs["plain"]])
    rows = []
    for name, figures in runs.items():
        each = np.array([run["accuracy"] for run in figures])
        gain = Mean.of(each - plain).show(2, sign="+") if name != "plain" else ""
        seconds = np.median([run["seconds"] for run in figures])
        wins = f"{int((each > plain).sum())} of {len(plain)}" if gain else ""
        rows.append([name, Mean.of(each).show(2), gain, wins, f"{seconds:.0f}"])
    print(f"\nTeacher: {teacher_accuracy:.2f} %\n")
    print(table(["loss", "accuracy, %", "gain, points", "seeds won", "s a fit"], rows))
    print("\nPublished on CIFAR-100 (top-1, %), not yet run here:\n")
    head = ["pair", "student", "KD", "DKD", "DKD + LS", "MLKD + LS, 480 epochs"]
    print(table(head, NOT_YET_RUN))


def main():
    """Run the benchmark."""
    args = options().parse_args()
    n_train, epochs = (QUICK, 1) if args.quick else (args.n_train, args.epochs or 15)
    others = args.only or [name for name in SETTINGS if name != "plain"]
    names = ["plain", *others]
    with tempfile.TemporaryDirectory() as scratch:
        memory = LogitMemory(args.memory or scratch, dtype="float16")
        facts = {"n_train": n_train, "epochs": epochs}
        settings = [(name, {**SETTINGS[name], **facts}) for name in names]
        print(describe_machine())
        print(f"n = {n_train} training images, {epochs} epochs, {args.seeds} seeds")
        data = read(args.data, n_train)
        torch.set_num_threads(args.threads)
        with torch.no_grad():
            taught = accuracy(read_teacher(args.data), data)
        run = functools.partial(fit, folder=args.data, memory=memory)
        runs = repeat(
            run, settings, range(args.seeds), jobs=args.jobs, results=args.results
        )
    report(runs, 100 * taught)


def options():
    """Return the parser of the command line."""
    out = parser(__doc__)
    out.add_argument("--seeds", type=int, default=5)
    out.add_argument("--n-train", type=int, default=5000)
    out.add_argument("--only", nargs="+", choices=SETTINGS, help="(default all)")
    out.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    out.add_argument("--results", type=Path, help="file of figures, to go on from")
    out.add_argument("--memory", type=Path, help="folder of what the teacher said")
    return out


if __name__ == "__main__":
    main()
