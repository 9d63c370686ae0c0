"""CIFAR-10 as JPEG files: students of a third of a million parameters.

    python examples/reproduce_cifar10.py --data FOLDER --weights FILE --start FILE

FOLDER: train/ and test/, each with a folder of images a class: CIFAR-10-images of
YoongiKim on GitHub. FILE: of pytorch_resnet_cifar10 of akamaster. resnet56-4bfd9763.th
teaches, with --fine-tune 4 as it does not know JPEG; resnet20-12fca82f.th is what the
second student starts from.

Published: convolutions in pairs of 64, 128, 256 channels (2,201,418 parameters): 89.0
to 89.8 %; a student with a quarter of these: 77.7 to 82.3, "distilled" 84.7 to 87.0 %.
Kept: the design of the student. Of its 338,970 parameters 960 are running statistics of
batch normalisation, which Keras counts; 338,010 are learnt.
Corrected:
- The network called distilled was in truth the teacher's: arguments were swapped. Here
  it is the student; the plain one has its seed, epochs and views.
- Both students give the mean of what they say of an image and of its mirror image.
- Dropout of .2, .3 and .4 is left out, for both: they learn for few epochs.
- A second student starts from public weights, with and without a teacher. These, as the
  teacher's, know the originals of the training images, and no test image.
- Seeds, not one run; settings were chosen on 5,000 of the training images.

A teacher of ImageNet: ``--weights efficientnet_lite0 --fine-tune 4``. It comes by ``pip
install "skkd[pretrained]"``, sees the images at three times their size, and learns from
those that the students learn from: all, or `--images` of them.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import Half, Mirrored
from reproduction import parser, resume_for, show, without_copies
from skorch.callbacks import LRScheduler
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim.lr_scheduler import OneCycleLR

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.augment import Compose, RandomCrop, RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.report import gain
from skkd.students import EfficientNetLite, Standardize, load_cifar_resnet
from skkd.students.efficientnet_lite import LITE


class Published(Mirrored):
    """The published student; the maximum before ReLU is the same, and faster."""

    def __init__(self, n_classes: int, input_shape: tuple[int, ...]) -> None:
        body: list[nn.Module] = [Standardize(input_shape)]
        n_in, height, width = input_shape
        for n_out in (16, 32, 64):
            body += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out)]
            body += [nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1)]
            body += [nn.BatchNorm2d(n_out), nn.MaxPool2d(2), nn.ReLU()]
            n_in = n_out
        flat = n_in * (height // 8) * (width // 8)
        head = nn.Flatten(), nn.Linear(flat, 256), nn.BatchNorm1d(256), nn.ReLU()
        head = nn.Sequential(*head, nn.Linear(256, n_classes))
        super().__init__(nn.Sequential(*body), head)


class Enlarged(nn.Module):
    """A pretrained network of photographs, for images of a fourth of its size."""

    def __init__(self, n_classes: int, input_shape: tuple[int, ...], name: str) -> None:
        super().__init__()
        channels, *size = input_shape
        self.size = [4 * length for length in size]
        shape = (channels, *self.size)
        self.body = EfficientNetLite(n_classes, shape, name=name, weights="installed")

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.body(interpolate(x.float(), self.size, mode="bilinear"))


def load_cifar(folder: Path, part: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `most` images (n, 3, 32, 32) of "train" or "test", and their labels."""
    photos = load_image_folder(folder / part)
    few = slice(None, None, max(1, len(photos.data) // most))
    # Numbers in alphabetical order, which is that of the public weights.
    y = np.unique(photos.target, return_inverse=True)[1]
    return ImageReader(size=32).fit_transform(photos.data[few]), y[few]


def network(
    module, epochs: int, lr: float, n_rows: int, **params: Any
) -> DistilledClassifier:
    """Build a network and how it learns: at a rate that rises and falls once."""
    steps = epochs * math.ceil(n_rows / 128)
    cycle = LRScheduler(OneCycleLR, max_lr=lr, total_steps=steps, step_every="batch")
    return DistilledClassifier(
        module,
        temperature=4,
        alpha=0.9,
        augment=Compose([RandomHorizontalFlip(), RandomCrop(max_shift=4)]),
        n_views=12,  # of each image; the teacher runs once on each
        precision="bf16",
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        optimizer__weight_decay=3e-4,
        lr=lr,
        callbacks=[cycle],
        max_epochs=epochs,
        batch_size=128,
        **params,
    )


def fit_teacher(args: argparse.Namespace, X, y) -> nn.Module:
    """Return the network that teaches, fitted to `X` where that was asked for."""
    params: dict[str, Any] = {"random_state": 0, "verbose": 1}
    if args.weights in LITE:
        module, params["module__name"] = Enlarged, args.weights
    else:
        module = load_cifar_resnet(args.weights)
        if not args.fine_tune:
            return module
    # A fit that was killed goes on after its last epoch.
    params["checkpoint"] = args.resume and args.resume.with_suffix(".checkpoints")
    net = network(module, args.fine_tune, 0.05, len(X), **params)
    return net.fit(X, y).module_


def main() -> None:
    options = parser(__doc__)
    known = f"of the teacher: a file, or {', '.join(LITE)}"
    options.add_argument("--weights", required=True, help=known)
    options.add_argument("--fine-tune", type=int, default=0, help="its epochs on JPEG")
    options.add_argument("--start", help="of the second student; else left out")
    options.add_argument("--only", help="one student: published or resnet")
    options.add_argument("--images", type=int, help="to train on, default all")
    options.add_argument("--epochs", type=int, help="of the students, default 24 and 4")
    args = options.parse_args()
    if args.weights in LITE and not args.fine_tune:
        options.error(f"{args.weights} knows other classes: pass --fine-tune EPOCHS")
    torch.set_num_threads(1)
    most = 500 if args.quick else 60_000
    X_train, y_train = load_cifar(args.data, "train", most)
    X_test, y_test = load_cifar(args.data, "test", most)
    X, y, train, test = without_copies(X_train, y_train, X_test, y_test)

    if args.images:
        train = np.random.default_rng(0).permutation(train)[: args.images]
    teacher = fit_teacher(args, X[train], y[train])
    # What the teacher said is there for all seeds and both students, and is kept.
    folder = args.resume and args.resume.with_suffix(".logits")
    memory = LogitMemory(folder, dtype="float16")
    taught = {"teacher": Half(teacher).eval(), "memory": memory}
    students = {"published": (Published, args.epochs or 24, 0.2)}
    if args.start:
        pretrained = Mirrored(load_cifar_resnet(args.start), nn.Identity())
        students["resnet"] = (pretrained, args.epochs or 4, 0.05)
    results = {}
    for name in [args.only] if args.only else students:
        module, epochs, lr = students[name]
        student = network(module, 1 if args.quick else epochs, lr, len(train))
        results[name] = gain(
            student.set_params(**taught),
            *(X, y),
            cv=[(train, test)],
            seeds=args.seeds,
            n_jobs=args.jobs,
            resume=resume_for(args, name),
            verbose=1,
        )
    show(results)


if __name__ == "__main__":
    main()
