"""The residual networks for small images, and their public weights."""

import os
import textwrap
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from skkd._utils.checks import check_number
from skkd._utils.modules import is_out_of_memory
from skkd.students._weights import read_weights
from skkd.students.standardize import Standardize, check_image_shape

# Of ImageNet's training images, in the units of uint8.
_IMAGENET_MEAN = [255 * value for value in (0.485, 0.456, 0.406)]
_IMAGENET_STD = [255 * value for value in (0.229, 0.224, 0.225)]


class CifarResNet(nn.Module):
    """Standardise, then the residual network for CIFAR-10 of He et al.

    A 3x3 convolution, three stages of residual blocks, global average pooling, Linear.
    Each stage after the first halves height and width and doubles the channels, with
    shortcuts that have no parameters (option A).

    Parameters
    ----------
    n_classes : int
        Number of logits.
    input_shape : tuple of int
        Shape of one image, ``(C, H, W)``, without the batch axis. Any height and
        width.
    depth : int, default=20
        Layers with weights: ``6 n + 2``, with ``n`` blocks in each stage.
    width : int, default=16
        Channels of the first stage; the next two have two and four times as many.

    Attributes
    ----------
    config : dict of str to object
        The arguments that it was built with.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    See Also
    --------
    load_cifar_resnet : One with public weights, for instance as a teacher.

    Notes
    -----
    The names of the parameters are those of the public implementation
    akamaster/pytorch_resnet_cifar10, so that weights go both ways. For ten classes of
    RGB images there are 75,290 parameters at ``depth=8``, 269,722 at 20, 464,154 at
    32, 658,586 at 44 and 853,018 at 56.

    Batch normalisation lets the samples of a training batch influence each other. It
    cannot train on a batch of one image of at most 4x4 pixels, which has one pixel left
    in the last stage: PyTorch then raises ``ValueError``.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2; the weights start as in He et al., "Delving Deep into Rectifiers",
    ICCV 2015. https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> import torch
    >>> from skkd.students import CifarResNet
    >>> student = CifarResNet(n_classes=10, input_shape=(3, 32, 32), depth=20)
    >>> student(torch.zeros(5, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([5, 10])
    >>> sum(p.numel() for p in student.parameters())
    269722
    """

    def __init__(
        self,
        n_classes: int,
        input_shape: Sequence[int],
        depth: int = 20,
        width: int = 16,
    ) -> None:
        super().__init__()
        check_number("n_classes", n_classes, Integral, low=1)
        n_channels = check_image_shape(input_shape)[0]
        n_blocks = _check_depth(depth)
        check_number("width", width, Integral, low=1)
        n_classes, width = int(n_classes), int(width)

        self.standardize = Standardize(input_shape)
        self.conv1 = _conv(n_channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, n_blocks, stride=1)
        self.layer2 = _stage(width, 2 * width, n_blocks, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, n_blocks, stride=2)
        self.linear = nn.Linear(4 * width, n_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
        self.config = {
            "n_classes": n_classes,
            "input_shape": self.standardize.input_shape,
            "depth": int(depth),
            "width": width,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Any dtype. Height and width may differ from ``input_shape``.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        x = self.bn1(self.conv1(self.standardize(x))).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def load_cifar_resnet(path: str | os.PathLike[str]) -> CifarResNet:
    """Build a CifarResNet from a file of weights, for instance as a teacher.

    Parameters
    ----------
    path : str or path
        A checkpoint of akamaster/pytorch_resnet_cifar10 on GitHub
        (``pretrained_models/*.th``), or the state dict of a :class:`CifarResNet`.
        Depth, width and number of classes are read from it.

    Returns
    -------
    CifarResNet
        On the CPU, in eval mode. If the file has no buffers of ``standardize``, as that
        repository's have none, images are scaled with ImageNet's mean and standard
        deviation: the input is RGB images (n, 3, H, W) from 0 to 255, uint8 or float.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds anything else.

    Notes
    -----
    Only tensors are read, never code (``weights_only=True``). The networks of that
    repository give their logits in the alphabetical order of CIFAR-10's classes.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from skkd.students import CifarResNet, load_cifar_resnet
    >>> student = CifarResNet(10, (3, 32, 32), depth=8).eval()
    >>> x = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(student.state_dict(), f"{folder}/student.pt")
    ...     loaded = load_cifar_resnet(f"{folder}/student.pt")
    >>> torch.equal(loaded(x), student(x))
    True
    """
    weights = read_weights(path)
    n_blocks = len({key.split(".")[1] for key in weights if key.startswith("layer1.")})
    try:
        width, n_channels = weights["conv1.weight"].shape[:2]
        model = CifarResNet(
            n_classes=len(weights["linear.weight"]),
            input_shape=(n_channels, 32, 32),  # height and width are free
            depth=6 * n_blocks + 2,
            width=width,
        )
        if n_channels == 3 and "standardize.mean" not in weights:
            scale = Standardize((3, 32, 32), mean=_IMAGENET_MEAN, std=_IMAGENET_STD)
            weights |= scale.state_dict(prefix="standardize.")
        model.load_state_dict(weights)
    except (KeyError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(
            f"Got {os.fspath(path)!r}, whose weights are not those of a CifarResNet "
            f"({reason}); expected its names and shapes, with shortcuts of option A. "
            "Build the network that they belong to, and call its load_state_dict."
        ) from error
    return model.eval()


class _Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut around them."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(n_in, n_out, stride)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = _conv(n_out, n_out)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.stride = stride
        self.before, self.after = (n_out - n_in) // 2, (n_out - n_in + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn2(self.conv2(out))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
            x = pad(x, (0, 0, 0, 0, self.before, self.after))
        return (out + x).relu()


def _stage(n_in: int, n_out: int, n_blocks: int, stride: int) -> nn.Sequential:
    first = _Block(n_in, n_out, stride)
    return nn.Sequential(first, *(_Block(n_out, n_out, 1) for _ in range(n_blocks - 1)))


def _conv(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)


def _check_depth(depth: Any) -> int:
    """Return the number of blocks in each of the three stages."""
    check_number("depth", depth, Integral, low=1)
    if depth < 8 or depth % 6 != 2:
        raise ValueError(
            f"depth={depth!r}: expected 6 n + 2 with n of at least 1. Common are 8, "
            "20, 32, 44, 56 and 110."
        )
    return (int(depth) - 2) // 6
