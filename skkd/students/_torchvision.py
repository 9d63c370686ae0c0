"""Build torchvision's classifiers, load weights, and separate backbone and head."""

from __future__ import annotations

import difflib
import math
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum

from skkd._utils.modules import eval_mode, is_out_of_memory
from skkd.students._weights import as_state_dict, load_strictly, read_weights

# Their weights come from TensorFlow, and torchvision rescales their input inside the
# network: together with ImageNet's scaling, that is (x - 127.5) / 127.5.
_SCALED_FROM_MINUS_ONE_TO_ONE = ("googlenet", "inception_v3")
# Heads that only help to train from random weights.
_AUXILIARY = re.compile(r"(AuxLogits|aux1|aux2)\.")


class Weights(NamedTuple):
    """Weights by torchvision's names, and the scaling of the input that they expect."""

    state: OrderedDict[str, Tensor]
    source: str  # for messages
    mean: Any  # in the units of uint8
    std: Any
    own: bool  # of a TorchvisionModel; its head's names are still "head..."


def check_name(name: Any) -> None:
    """Raise ValueError unless `name` is a classifier of torchvision."""
    known = models.list_models(module=models)
    if name not in known:
        close = difflib.get_close_matches(str(name), known) or known
        raise ValueError(
            f"Got name={name!r}; expected a classifier of torchvision, such as "
            f"{', '.join(map(repr, close[:3]))}. "
            "torchvision.models.list_models(module=torchvision.models) lists all."
        )


# Weights ------------------------------------------------------------------------------


def read(name: str, weights: Any) -> Weights:
    """Read weights from a file, or download those that torchvision publishes."""
    enum = models.get_model_weights(name)
    if isinstance(weights, str) and weights in enum.__members__:
        weights = enum[weights]
    if isinstance(weights, enum):
        state, source, member = _download(name, weights), repr(weights), weights
    else:
        state, source = _read_file(name, weights, enum), repr(os.fspath(weights))
        member = enum.DEFAULT
    own = any(key.startswith("backbone.") for key in state)
    mean, std = _learned_scale(state) if own else _published_scale(name, member)
    renamed = OrderedDict((_plain_name(key), value) for key, value in state.items())
    renamed._metadata = state._metadata  # type: ignore[attr-defined]
    return Weights(renamed, source, mean, std, own)


def _published_scale(name: str, member: Any) -> tuple[Any, Any]:
    if name in _SCALED_FROM_MINUS_ONE_TO_ONE:
        return 127.5, 127.5
    transforms = member.transforms()
    return [255 * m for m in transforms.mean], [255 * s for s in transforms.std]


def _learned_scale(state: OrderedDict[str, Tensor]) -> tuple[Any, Any]:
    """Remove the scaling of a TorchvisionModel from its `state` and return it."""
    parts = ("mean", "std", "adapted")
    mean, std, adapted = (state.pop(f"standardize.{part}", None) for part in parts)
    return (mean, std) if adapted else (None, None)


def _read_file(name: str, weights: Any, enum: Any) -> OrderedDict[str, Tensor]:
    names = ", ".join(map(repr, enum.__members__))
    expected = f"expected {names} of {name}, or the path of a file of weights"
    if isinstance(weights, WeightsEnum) or not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"Got weights={weights!r}; {expected}.")
    if not Path(weights).is_file():
        raise ValueError(
            f"Got weights={os.fspath(weights)!r}, and there is no such file; "
            f"{expected}. Paths are relative to {Path.cwd()}."
        )
    return read_weights(weights)


def _download(name: str, weights: Any) -> OrderedDict[str, Tensor]:
    try:
        content = weights.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        raise ConnectionError(
            f"The weights {weights!r} of {name} could not be downloaded, or the "
            f"downloaded file could not be read ({error}). Download {weights.url} on a "
            "machine with a network, and pass the path of that file as weights=."
        ) from error
    return as_state_dict(content, repr(weights))


def _plain_name(key: str) -> str:
    key = key.removeprefix("backbone.")  # of a TorchvisionModel
    # The public files of DenseNet are older than its names.
    return re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2", key)


# Networks -----------------------------------------------------------------------------


def build(
    name: str, n_classes: int | None, n_channels: int, weights: Weights | None
) -> tuple[nn.Module, bool]:
    """Build torchvision's own network in train mode, with weights if given.

    It has `n_classes` logits, None means the published number. Also returns whether the
    head is the published one, or that of the given weights.
    """
    options: dict[str, Any] = {} if n_classes is None else {"num_classes": n_classes}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": weights is None}
    if weights is not None and name.startswith("vit_"):
        options |= _image_size(weights.state)
    model = models.get_model(name, weights=None, **options)
    if n_channels != 3:
        _widen(model, n_channels)
    if weights is None:
        return model, n_classes is None
    return model, load(name, model, n_classes, weights)


def _image_size(state: OrderedDict[str, Tensor]) -> dict[str, int]:
    """Read from its position embedding which image size a ViT was trained on."""
    try:
        n_patches = state["encoder.pos_embedding"].shape[1] - 1
        patch = state["conv_proj.weight"].shape[-1]
    except (KeyError, IndexError):  # of another network: load() will refuse it
        return {}
    return {"image_size": patch * math.isqrt(n_patches)}


def _widen(model: nn.Module, n_channels: int) -> None:
    """Replace the first convolution by one for `n_channels`, with random weights."""
    first = next(part for part in model.modules() if isinstance(part, nn.Conv2d))
    first.in_channels = n_channels
    n_out, _, *kernel = first.weight.shape
    first.weight = nn.Parameter(first.weight.new_empty(n_out, n_channels, *kernel))
    first.reset_parameters()


def load(name: str, model: nn.Module, n_classes: int | None, weights: Weights) -> bool:
    """Load `weights`; tell whether their head was kept."""
    head, state = find_head(model), _named_as_torchvision(model, weights)
    expected = model.state_dict()
    n_outputs = len(expected[f"{head}.weight"])
    n_given = len(state.get(f"{head}.weight", ()))
    kept = n_given == n_outputs
    if not kept and n_classes is not None:
        for key in [key for key in state if key.startswith(f"{head}.")]:
            del state[key]
        state.update((k, v) for k, v in expected.items() if k.startswith(f"{head}."))
    elif not kept and n_given:
        raise ValueError(
            f"Got {weights.source}, whose head has {n_given} classes; expected "
            f"{n_outputs}, as {name} is published. Pass n_classes={n_given} to keep "
            "that head, any other number for a new one."
        )
    load_strictly(name, model, state, weights.source)
    return kept


def _named_as_torchvision(model: nn.Module, weights: Weights) -> OrderedDict[str, Any]:
    head = find_head(model)
    linear = isinstance(model.get_submodule(head), nn.Linear)
    own_head = "head." if linear else "head.0."
    state: OrderedDict[str, Any] = OrderedDict()
    for key, value in weights.state.items():
        if weights.own and key.startswith(own_head):
            key = f"{head}.{key.removeprefix(own_head)}"
        if not _AUXILIARY.match(key):
            state[key] = value
    # A file without versions of its modules is taken for one of the current version.
    versions = weights.state._metadata  # type: ignore[attr-defined]
    state._metadata = versions or {"": {"version": model._version}}  # type: ignore[attr-defined]
    return state


# Heads --------------------------------------------------------------------------------


def find_head(model: nn.Module) -> str:
    """Return the name of the layer that computes the logits.

    It is the last linear layer, in the order of definition, or the last convolution of
    networks without linear layers.
    """
    for kind in (nn.Linear, nn.Conv2d):
        names = [n for n, part in model.named_modules() if isinstance(part, kind)]
        if names:
            return names[-1]
    raise ValueError(f"{type(model).__name__} has no linear layer, and no convolution.")


def split(model: nn.Module, as_published: bool) -> tuple[nn.Module, nn.Module]:
    """Split `model`, which is changed, into backbone and head.

    The head goes from features to logits (n, n_classes). `as_published` tells whether a
    SqueezeNet keeps the ReLU on its logits.
    """
    name = find_head(model)
    head = model.get_submodule(name)
    if isinstance(head, nn.Linear):
        model.set_submodule(name, nn.Identity())
        return model, head
    parts: Any = dict(model.named_children())  # of SqueezeNet
    dropout, convolution, relu, pool = parts["classifier"]
    parts["classifier"] = nn.Sequential(dropout)
    backbone = nn.Sequential(OrderedDict(parts))
    tail = [relu] if as_published else []
    return backbone, nn.Sequential(convolution, *tail, pool, nn.Flatten())


@torch.no_grad()
def check_takes(name: str, model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Raise ValueError if the network cannot run on images of this shape."""
    # On the meta device only shapes are computed.
    parts = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    on_meta = {key: value.to("meta") for key, value in parts.items()}
    images = torch.empty(1, *shape, device="meta")
    with eval_mode(model):
        try:
            torch.func.functional_call(model, on_meta, (images,))
        except (RuntimeError, AssertionError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise wrong_size(name, model, images.shape, error) from error


def wrong_size(
    name: str, model: nn.Module, shape: Sequence[int], error: Exception
) -> ValueError:
    """Return the error for images (n, C, H, W) that a network does not take."""
    usual = models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    size = getattr(model, "image_size", usual)  # the only one of a ViT
    return ValueError(
        f"Got images of {shape[2]} x {shape[3]} pixels, which {name} does not take "
        f"({error}). Pass size={size} to resize them to what it was trained "
        "on, or pass other images."
    )
