"""The networks of a run, and the students by the names of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR

from skkd._estimator.classifier import DistilledClassifier
from skkd.students import MLP, CifarResNet, SmallCNN, torchvision_model

# Steps count where images are few, rows per second where they are many.
_FEW, _SMALL_BATCH, _BATCH = 1000, 16, 64
# With 840 steps in place of 280 on 895 photographs of 15 classes, a SmallCNN had 41 %
# in place of 36, and with a teacher 46 in place of 36, on held-out training images.
EPOCHS, _STEPS = 20, 1000
_WIDE = 16
TORCHVISION = "torchvision:"
SMALL_CNN = "SmallCNN"
NARROW = f"{SMALL_CNN}:4"  # it is of width 16 by itself
STUDENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "CifarResNet": (CifarResNet, {"module__depth": 8, "lr": 1e-2}),
    "MLP": (MLP, {"lr": 1e-3}),
}


@dataclass(frozen=True)
class Network:
    """A network that can be built: its class, and what it is trained with."""

    module: Any
    params: dict[str, Any] = field(default_factory=dict)

    def estimator(
        self, epochs: int, n_rows: int, seed: int, show: Sequence[Any] = (), **more: Any
    ) -> DistilledClassifier:
        """Return it, not fitted, with a learning rate that falls to 0."""
        schedule = LRScheduler(CosineAnnealingLR, T_max=epochs)
        return DistilledClassifier(
            self.module,
            max_epochs=epochs,
            batch_size=_batch_size(n_rows),
            callbacks=[schedule, *show],
            random_state=seed,
            **(self.params | more),
        )

    def build(self, n_classes: int, input_shape: Sequence[int]) -> Any:
        """Return the module by itself."""
        params = {
            name.removeprefix("module__"): value
            for name, value in self.params.items()
            if name.startswith("module__")
        }
        return self.module(n_classes=n_classes, input_shape=input_shape, **params)


def _batch_size(n_rows: int) -> int:
    return _SMALL_BATCH if n_rows < _FEW else _BATCH


def enough_epochs(n_rows: int) -> int:
    """Return how many epochs give enough steps, where images are few, too."""
    steps_an_epoch = -(-n_rows // _batch_size(n_rows))
    return max(EPOCHS, -(-_STEPS // steps_an_epoch))


def small_cnn(width: int = _WIDE) -> Network:
    """Return a SmallCNN; the wider, the more careful its steps."""
    lr = 1e-2 if width < 8 else 3e-3
    return Network(SmallCNN, {"module__width": width, "lr": lr})


def student_of(name: str) -> Network:
    """Return the student of this name."""
    kind, _, width = name.partition(":")
    if name == SMALL_CNN:
        return small_cnn()
    if kind == SMALL_CNN and width.isdecimal():
        return small_cnn(int(width))
    if name.startswith(TORCHVISION):
        return Network(
            torchvision_model,
            {"module__name": name.removeprefix(TORCHVISION), "lr": 1e-3},
        )
    if name not in STUDENTS:
        raise ValueError(
            f"student={name!r}: expected 'auto', SmallCNN, or SmallCNN:4 and "
            f"other widths, {', '.join(STUDENTS)}, or torchvision:NAME, such as "
            "torchvision:mobilenet_v3_small."
        )
    return Network(*STUDENTS[name])
