"""Students of this package without weights: all names and shapes, and no memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skkd.students.cifar_resnet import CifarResNet
from skkd.students.efficientnet_lite import EfficientNetLite
from skkd.students.mlp import MLP
from skkd.students.small_cnn import SmallCNN
from skkd.students.standardize import Standardize, check_image_shape
from skkd.students.table_mlp import TableMLP
from skkd.students.torchvision_model import TorchvisionModel, torchvision_model

BUILDERS: dict[str, Any] = {
    "MLP": MLP,
    "SmallCNN": SmallCNN,
    "TableMLP": TableMLP,
    "CifarResNet": CifarResNet,
    "EfficientNetLite": EfficientNetLite,
    "torchvision_model": torchvision_model,
}
_MAX_SIDE = 4096  # to which a network that is built from a file resizes images
_BUILT_BY = {
    MLP: "MLP",
    SmallCNN: "SmallCNN",
    TableMLP: "TableMLP",
    CifarResNet: "CifarResNet",
    EfficientNetLite: "EfficientNetLite",
    TorchvisionModel: "torchvision_model",
}


def builder_of(module: nn.Module) -> str | None:
    """Return what builds such a network, if it is one that was not changed since."""
    name = _BUILT_BY.get(type(module))
    config = getattr(module, "config", None)
    if name is None or config is None or _has_hooks(module):
        return None
    state = module.state_dict()
    try:
        same = outline(name, config, state)
    except (ValueError, TypeError, KeyError, RuntimeError):
        return None
    shapes = {key: value.shape for key, value in state.items()}
    fits = shapes == {key: value.shape for key, value in same.state_dict().items()}
    return name if fits and repr(same) == repr(module) else None


def outline(
    name: str, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]
) -> nn.Module:
    """Build a network on the meta device, for the weights in `state`.

    However large `config` makes it, nothing is allocated. It has no more layers than
    there are weights, or ValueError is raised.
    """
    hidden = config.get("hidden", ())
    n_hidden = len(hidden) if isinstance(hidden, (tuple, list)) else 1
    n_layers = max(config.get("depth", 0), config.get("n_blocks", 0), n_hidden)
    if n_layers > len(state):
        raise ValueError(f"{n_layers} layers, and weights of {len(state)}")
    counts = config.get("n_categories", ())
    if name == "TableMLP" and [len(counts)] != [*config["input_shape"]]:
        raise ValueError(f"{len(counts)} features, and {config['input_shape']}")
    with _WithoutMemory():
        if name == "torchvision_model":
            return _torchvision_outline(**config, state=state)
        return BUILDERS[name](**config)


def _torchvision_outline(
    name: str,
    n_classes: int | None,
    input_shape: Any,
    last_layer: str | None,
    freeze: bool,
    size: int | None,
    state: Mapping[str, torch.Tensor],
) -> nn.Module:
    # Here, since torchvision takes a second to import.
    from skkd.students import _first_layers, _torchvision

    _torchvision.check_name(name)
    if size is not None and size > _MAX_SIDE:
        raise ValueError(f"images resized to {size} pixels")
    shape = (3, 1, 1) if input_shape is None else check_image_shape(input_shape)
    n_channels = 3 if shape[0] == 1 else shape[0]
    whole, kept = _torchvision.build(name, n_classes, n_channels, None)
    if last_layer is None:
        backbone, head = _torchvision.split(whole, kept)
    else:
        layers = _first_layers.chain(whole, last_layer.split("."))
        backbone = _first_layers.with_pool(layers)
        head = nn.Linear(state["head.weight"].shape[1], n_classes or 1)
    # Gray images are repeated before they are scaled, or after.
    n_scaled = len(state["standardize.mean"])
    model = TorchvisionModel(
        Standardize((n_scaled, *shape[1:])),
        backbone,
        head,
        n_channels=n_channels,
        size=size,
        frozen=freeze,
    )
    model.config = {
        "name": name,
        "n_classes": n_classes,
        "input_shape": input_shape,
        "last_layer": last_layer,
        "freeze": freeze,
        "size": size,
    }
    return model


class _WithoutMemory(TorchFunctionMode):
    """Make parameters and buffers on the meta device.

    ``torch.device("meta")`` would do so with the numbers from which RegNets compute
    their widths as well.
    """

    _MADE_BY = (torch.empty, torch.zeros, torch.ones)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        device = {"device": "meta"} if func in self._MADE_BY else {}
        return func(*args, **{**(kwargs or {}), **device})


def _has_hooks(module: nn.Module) -> bool:
    return any(
        getattr(part, kind)
        for part in module.modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
    )
