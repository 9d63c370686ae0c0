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
TORCHVISION = "torchvision:"
STUDENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SmallCNN": (SmallCNN, {"module__width": 4, "lr": 1e-2}),
    "CifarResNet": (CifarResNet, {"module__depth": 8, "lr": 1e-2}),
    "MLP": (MLP, {"lr": 1e-3}),
}
WIDE: tuple[Any, dict[str, Any]] = (SmallCNN, {"module__width": 16, "lr": 3e-3})


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
            batch_size=_SMALL_BATCH if n_rows < _FEW else _BATCH,
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


def student_of(name: str) -> Network:
    """Return the student of this name."""
    if name.startswith(TORCHVISION):
        return Network(
            torchvision_model,
            {"module__name": name.removeprefix(TORCHVISION), "lr": 1e-3},
        )
    if name not in STUDENTS:
        raise ValueError(
            f"student={name!r}: expected one of {', '.join(STUDENTS)}, or "
            "torchvision:NAME, such as torchvision:mobilenet_v3_small."
        )
    return Network(*STUDENTS[name])
