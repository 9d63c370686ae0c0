"""Networks that several of the scripts reproduce_*.py train, and how they learn."""

from __future__ import annotations

from typing import Any

import torch
from skorch.callbacks import LRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from skkd import DistilledClassifier, ImageReader
from skkd.losses import KD, FitNet, WeightedSum
from skkd.students import SmallCNN, Standardize, torchvision_model


def learner(
    module: Any, epochs: int, *callbacks: Any, **params: Any
) -> DistilledClassifier:
    """Build a network whose learning rate falls to nothing."""
    schedule = LRScheduler(CosineAnnealingLR, T_max=epochs)
    return DistilledClassifier(
        module,
        max_epochs=epochs,
        precision="bf16",
        callbacks=[schedule, *callbacks],
        **params,
    )


class Mirrored(nn.Module):
    """A network that, once it is trained, sees an image and its mirror image.

    Hints are compared at `maps`, which sees the image alone.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.maps, self.head = body, nn.Identity(), head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; the mean of both images' where it is not training."""
        logits = self.head(self.maps(self.body(x)))
        if self.training:
            return logits
        return (logits + self.head(self.body(x.flip(3)))) / 2


class Half(nn.Sequential):
    """A network that computes in bfloat16, in a third of the time."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        with torch.autocast(x.device.type, torch.bfloat16):
            return super().forward(x)


class FirstLayers(Mirrored):
    """The layers of MobileNetV2 up to `until`; the first `fixed` do not learn.

    With 200 images the statistics of ImageNet are better than those of a batch: batch
    normalisation stays in eval mode.
    """

    def __init__(self, n_classes: int, until: int, fixed: int, **weights: Any) -> None:
        layer = f"features.{until}"
        body = torchvision_model("mobilenet_v2", n_classes, last_layer=layer, **weights)
        body.backbone.features[:fixed].requires_grad_(False)
        mean, head, body.head = body.backbone[-2:], body.head, nn.Identity()
        body.backbone = body.backbone[:-2]
        super().__init__(body, nn.Sequential(*mean, nn.Dropout(0.2), head))

    def train(self, mode: bool = True) -> FirstLayers:
        """Set the mode of the head alone."""
        super().train(mode)
        self.body.eval()
        return self


class FromNothing(nn.Module):
    """Squares of 2x2 pixels as channels, two convolutions, and a SmallCNN."""

    def __init__(self, n_classes: int, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.standardize = Standardize(input_shape)
        channels, height, width = input_shape
        self.stem = nn.Sequential(nn.PixelUnshuffle(2))
        for n_in in (4 * channels, 16):
            conv = nn.Conv2d(n_in, 16, 3, padding=1, bias=False)
            self.stem.extend([conv, nn.BatchNorm2d(16), nn.ReLU()])
        self.stem.append(nn.MaxPool2d(2))
        self.head = SmallCNN(n_classes, (16, height // 4, width // 4), width=24)
        self.head.standardize = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.stem(self.standardize(x)))


@torch.inference_mode()
def features(network: nn.Module, size: int, paths: Any, batch_size: int = 1) -> Tensor:
    """Return what goes into the head of a network, (n, n_features), for files."""
    seen: list[Tensor] = []
    network.eval().head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    reader = ImageReader(size)
    for start in range(0, len(paths), batch_size):
        images = reader.fit_transform(paths[start : start + batch_size])
        network(torch.from_numpy(images))
    return torch.cat(seen).float()


# For FromNothing with a MobileNetV2 as its teacher, whose maps have a variance of 19:
# at FitNet's own weight, 100, they outweigh the labels.
HINT = FitNet("head.body.4", "backbone.features.13", weight=1, cache=True)
LOGITS_AND_MAPS = WeightedSum([("logits", KD()), ("maps", HINT)])
