"""The image classifiers of torchvision, as students or teachers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from skkd._utils.checks import check_number
from skkd.students._frozen import FrozenBackbone
from skkd.students.standardize import Standardize, check_image_shape


def torchvision_model(
    name: str,
    n_classes: int | None = None,
    input_shape: Sequence[int] | None = None,
    *,
    weights: str | os.PathLike[str] | Any | None = None,
    last_layer: str | None = None,
    freeze: bool = False,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> TorchvisionModel:
    """Build an image classifier of torchvision that takes uint8 images.

    Parameters
    ----------
    name : str
        As ``torchvision.models.list_models(module=torchvision.models)`` lists them:
        "mobilenet_v2", "resnet50", "vit_b_16" and so on.
    n_classes : int or None, default=None
        Number of logits; None means the number as published, ImageNet's 1000 classes.
        If the head in `weights` has that size it is kept, otherwise it is replaced by
        a head with random weights.
    input_shape : tuple of int or None, default=None
        Shape of one image, ``(C, H, W)``, without the batch axis. None expects RGB and
        checks no height and width.
    weights : str, path, member of the model's weights enum or None, default=None
        "DEFAULT" or another name of torchvision's published weights, such as
        "IMAGENET1K_V1", downloaded once; or the path of a file (see Notes). None is
        random.
    last_layer : str or None, default=None
        Name of the last layer that is kept, as torchvision has it: "features.9" of
        mobilenet_v2, "layer2" of resnet18. Its feature maps are averaged over all
        positions and go to a new head; later layers are removed. So the first layers
        of a pretrained network make a small student. Needs `n_classes`. None keeps
        all layers.
    freeze : bool, default=False
        Whether only the head is trained. The backbone then stays in eval mode, even
        after ``train()``: batch normalisation keeps its statistics, there is no
        dropout, and its parameters get no gradient.
    size : int or None, default=None
        Side of the square, in pixels, to which images are resized inside the network
        (bilinear, antialiased), without keeping their aspect ratio. None leaves their
        size unchanged. Most weights were trained on 224.
    mean, std : float or sequence of float, default=None
        Subtracted from the images, and divided by, in the units of uint8: 127.5 both
        for weights that expect ``(x / 255 - 0.5) / 0.5``. None takes what `weights`
        expects, ImageNet's for nearly all; without `weights` it is learned from the
        training data.

    Returns
    -------
    TorchvisionModel
        On the CPU, with the parts `standardize`, `backbone` and `head`. In train mode
        for a new head or random weights, in eval mode if all weights were given.

    Raises
    ------
    ValueError
        If an argument is out of its range, if the file of `weights` does not exist or
        belongs to another network, if the network does not take images of this shape,
        or if `last_layer` has no feature maps or is not reached by running the layers
        in the order of their definition.
    ConnectionError
        If published weights cannot be downloaded; the message has their address.

    Notes
    -----
    A file of weights is a state dict that ``torch.save`` wrote, possibly under the key
    "state_dict" or "model": that of torchvision's network, or of a TorchvisionModel,
    which includes its scaling. Only tensors are read, never code. Half precision
    becomes float32. All names and shapes must fit, except for a head that is replaced.
    A file with torchvision's names is assumed to need the scaling of the published
    weights, unless `mean` and `std` are given.

    With `last_layer`, `weights` are those of the whole network, all of which must fit,
    or of a TorchvisionModel with the same last layer. Transformers, whose layers give
    tokens, are refused.

    Gray images (C = 1) are repeated to three channels. For other numbers of channels
    the first convolution is replaced, which only works without `weights`.

    The auxiliary heads of GoogLeNet and Inception are left out. SqueezeNet ends in a
    ReLU, so that no logit can be negative: it is removed when the head is replaced.

    The names of the parameters begin with "backbone." or "head.", for separate learning
    rates: ``optimizer__param_groups=[("backbone.*", {"lr": 1e-4})]``.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import torchvision_model
    >>> student = torchvision_model("mobilenet_v3_small", 10, (3, 32, 32))
    >>> student(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 10])

    The first layers, with a twentieth of the network's parameters:

    >>> student = torchvision_model("mobilenet_v2", 10, last_layer="features.9")
    >>> sum(p.numel() for p in student.parameters())
    185738

    Fine-tuning from a file of weights, with a lower learning rate below the head:

    >>> from skkd import DistilledClassifier
    >>> net = DistilledClassifier(
    ...     torchvision_model,
    ...     module__name="mobilenet_v2",
    ...     module__weights="mobilenet_v2.pth",
    ...     module__size=224,
    ...     optimizer__param_groups=[("backbone.*", {"lr": 1e-4})],
    ...     lr=1e-3,
    ... )
    """
    # Here, since torchvision takes a second to import.
    from skkd.students import _first_layers, _torchvision

    _torchvision.check_name(name)
    shape = (3, 224, 224) if input_shape is None else check_image_shape(input_shape)
    for number, value in (("n_classes", n_classes), ("size", size)):
        if value is not None:
            check_number(number, value, Integral, low=1)
    if weights is not None and shape[0] not in (1, 3):
        raise ValueError(
            f"Got images of {shape[0]} channels and weights={weights!r}; expected RGB "
            "or gray images, with 3 channels or 1. Pass such images, or weights=None."
        )
    n_channels = 3 if shape[0] == 1 else shape[0]
    given = None if weights is None else _torchvision.read(name, weights)
    sides = (size, size) if size else (shape[1], shape[2])
    if last_layer is None:
        model, kept = _torchvision.build(name, n_classes, n_channels, given)
        if input_shape is not None:
            _torchvision.check_takes(name, model, (n_channels, *sides))
        own = given is not None and given.own
        backbone, head = _torchvision.split(model, kept and not (own and n_classes))
    else:
        backbone, head, kept = _first_layers.build(
            name, n_classes, given, last_layer, (n_channels, *sides)
        )
    if given is not None and mean is None and std is None:
        mean, std = given.mean, given.std
    if mean is not None:  # gray images are repeated first where it is known
        shape = (n_channels, *shape[1:])
    built = TorchvisionModel(
        Standardize(shape, mean=mean, std=std),
        backbone,
        head,
        n_channels=n_channels,
        size=size,
        frozen=bool(freeze),
    )
    built.config = {
        "name": name,
        "n_classes": n_classes,
        "input_shape": None if input_shape is None else check_image_shape(input_shape),
        "last_layer": last_layer,
        "freeze": bool(freeze),
        "size": size,
    }
    return built.train(not (kept and given is not None))


class TorchvisionModel(FrozenBackbone):
    """The network that :func:`torchvision_model` builds.

    It scales the images, resizes them to `size`, and runs `backbone` and `head`.

    Parameters
    ----------
    standardize : Standardize
        Scales the images.
    backbone : Module
        From images (n, n_channels, H, W) to features.
    head : Module
        From features to logits (n, n_classes).
    n_channels : int
        Channels of the images that the backbone takes.
    size : int or None
        Side to which images are resized, in pixels.
    frozen : bool
        Whether the backbone is not trained and stays in eval mode.

    Attributes
    ----------
    config : dict of str to object
        The arguments of `torchvision_model`, apart from weights and their scaling.
    """

    config: dict[str, Any]

    def __init__(
        self,
        standardize: Standardize,
        backbone: nn.Module,
        head: nn.Module,
        *,
        n_channels: int,
        size: int | None,
        frozen: bool,
    ) -> None:
        super().__init__()
        self.standardize = standardize
        self.backbone = backbone
        self.head = head
        self.n_channels = n_channels
        self.size = size
        self.frozen = frozen
        if frozen:
            # Its forward pass then records no graph, as under no_grad.
            self.backbone.requires_grad_(False)
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Any dtype, values from 0 to 255.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        x = self.standardize(_repeat_gray(x, self.standardize.input_shape[0]))
        if self.size is not None and x.shape[2:] != (self.size, self.size):
            sides = (self.size, self.size)
            x = interpolate(x, sides, mode="bilinear", antialias=True)
        return self.head(self.backbone(_repeat_gray(x, self.n_channels)))


def _repeat_gray(x: Tensor, n_channels: int) -> Tensor:
    gray = x.ndim == 4 and x.shape[1] == 1
    return x.expand(-1, n_channels, -1, -1) if gray else x
