"""The first layers of one of torchvision's classifiers, and a new head."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from skkd._utils.modules import eval_mode, is_out_of_memory
from skkd.students import _torchvision
from skkd.students._torchvision import Weights
from skkd.students._weights import load_strictly

# Not torchvision's create_feature_extractor: pickled or copied, what it returns has
# another fingerprint each time, and that of efficientnet_b7 cannot be pickled at all.


def build(
    name: str,
    n_classes: int | None,
    weights: Weights | None,
    last_layer: Any,
    shape: tuple[int, int, int],
) -> tuple[nn.Module, nn.Module, bool]:
    """Build the layers up to and including `last_layer`, a head, and if it is kept.

    The backbone gives features (n, n_features): the layers, under their own names, and
    the mean over all positions. `weights` are of the whole network, or of what this
    function built earlier, whose head is kept if it has `n_classes`. `shape` (C, H, W)
    is that of an image as the network receives it.
    """
    if n_classes is None:
        raise ValueError(
            f"Got last_layer={last_layer!r} and no n_classes; expected a number of "
            "classes, since the head is new. Pass n_classes=."
        )
    whole, _ = _torchvision.build(name, n_classes, shape[0], None)
    layers, n_features = _cut(name, whole, last_layer, shape)
    head = nn.Linear(n_features, n_classes)
    kept = False
    own_names = {*layers.state_dict(), "head.weight", "head.bias"}
    if weights is not None and weights.own and own_names == set(weights.state):
        kept = _load_own(name, layers, head, weights)
    elif weights is not None:
        _torchvision.load(name, whole, n_classes, weights)
    return with_pool(layers), head, kept


def with_pool(layers: nn.Module) -> nn.Module:
    """Return a backbone: the layers, and the mean over all positions."""
    parts = OrderedDict(layers.named_children())
    parts.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(parts)


def _load_own(name: str, layers: nn.Module, head: nn.Linear, weights: Weights) -> bool:
    """Load what was built here earlier; tell whether its head fits as well."""
    state = {k: v for k, v in weights.state.items() if not k.startswith("head.")}
    load_strictly(name, layers, state, weights.source)
    given = {part: weights.state[f"head.{part}"] for part in ("weight", "bias")}
    if given["weight"].shape != head.weight.shape:
        return False
    head.load_state_dict(given)
    return True


def _cut(
    name: str, whole: nn.Module, last_layer: Any, shape: tuple[int, int, int]
) -> tuple[nn.Module, int]:
    """Return the layers up to `last_layer`, and the number of their channels."""
    if isinstance(whole, (VisionTransformer, SwinTransformer)):
        raise ValueError(
            f"Got last_layer={last_layer!r} for {name}, a transformer, whose layers "
            "give tokens; expected a convolutional network, whose feature maps are "
            "averaged. Choose another name, or leave out last_layer=."
        )
    known = dict(whole.named_modules())
    del known[""]
    if last_layer not in known:
        close = difflib.get_close_matches(str(last_layer), known, n=5)
        raise ValueError(
            f"Got last_layer={last_layer!r}; expected the name of a layer of {name}, "
            f"such as {', '.join(map(repr, close or list(known)[-5:]))}. "
            f"torchvision.models.{name}() shows them all when printed."
        )
    layers = chain(whole, last_layer.split("."))
    generator = torch.Generator("cpu").manual_seed(0)
    images = torch.randn((1, *shape), generator=generator, device="cpu")
    with torch.no_grad(), eval_mode(whole, layers):
        expected = _run_until(name, whole, last_layer, images)
        try:
            same = torch.equal(layers(images), expected)
        except (RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            same = False
    if not same:
        _refuse(name, last_layer, "is run in another order than it is defined in")
    return layers, expected.shape[1]


def chain(module: nn.Module, path: list[str]) -> nn.Sequential:
    """Return the parts of `module` up to `path`, to be run one after the other."""
    first, *rest = path
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in module.named_children():
        parts[name] = chain(part, rest) if rest and name == first else part
        if name == first:
            break
    return nn.Sequential(parts)


class _Reached(Exception):
    """The layer has been run: the layers behind it may need larger images."""


def _run_until(name: str, whole: nn.Module, last_layer: str, images: Tensor) -> Tensor:
    """Return the output of the layer within the whole network."""

    def stop(module: nn.Module, inputs: Any, output: Any) -> NoReturn:
        raise _Reached(output)

    handle = whole.get_submodule(last_layer).register_forward_hook(stop)
    try:
        whole(images)
    except _Reached as reached:
        output = reached.args[0]
    except (RuntimeError, AssertionError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise _torchvision.wrong_size(name, whole, images.shape, error) from error
    else:
        _refuse(name, last_layer, "is never run by itself")
    finally:
        handle.remove()
    if not (isinstance(output, Tensor) and output.ndim == 4):
        _refuse(
            name, last_layer, "does not give feature maps (n, channels, height, width)"
        )
    return output


def _refuse(name: str, last_layer: str, reason: str) -> NoReturn:
    parent = last_layer.rpartition(".")[0]
    remedy = f"{parent!r}, of which it is a part, or " if parent else ""
    raise ValueError(
        f"Got last_layer={last_layer!r}, which {reason} in {name}; expected a layer "
        "with feature maps that is reached by running the layers in the order of their "
        f"definition. Choose {remedy}a layer before it."
    )
