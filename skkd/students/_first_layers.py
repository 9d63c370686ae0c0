"""The first layers of one of torchvision's classifiers, and a new head."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from skkd._utils.modules import eval_mode
from skkd.students import _torchvision
from skkd.students._torchvision import Weights


def build(
    name: str,
    n_classes: int | None,
    weights: Weights | None,
    until: Any,
    shape: tuple[int, int, int],
) -> tuple[nn.Module, nn.Module, bool]:
    """Build the layers up to and including `until`, and a head.

    Parameters
    ----------
    name : str
        Of the network.
    n_classes : int or None
        None is refused.
    weights : Weights or None
        Of the whole network, or of what this function built earlier.
    until : str
        Name of a layer, as torchvision has it.
    shape : (int, int, int)
        Of an image, as the network is to take it.

    Returns
    -------
    backbone : Sequential
        From images to features (n, n_features): the layers, under their own names, and
        the mean over all positions.
    head : Linear
        From there to logits.
    kept : bool
        Whether the weights of the head are among those given.

    Raises
    ------
    ValueError
        If there is no number of classes or no such layer, if it gives no maps, or if
        the layers up to there do not simply follow each other; or if the weights are
        not of this network.
    """
    if n_classes is None:
        raise ValueError(
            f"Got until={until!r} and no n_classes; expected a number of classes, "
            "since the head is new. Pass n_classes=."
        )
    whole, _ = _torchvision.build(name, n_classes, shape[0], None)
    layers, n_features = _cut(name, whole, until, shape)
    head = nn.Linear(n_features, n_classes)
    kept = False
    if weights is not None and weights.own and _same_names(layers, weights):
        kept = _load_own(name, layers, head, weights)
    elif weights is not None:
        _torchvision.load(name, whole, n_classes, weights)
    parts = OrderedDict(layers.named_children())
    parts.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(parts), head, kept


# Layers -------------------------------------------------------------------------------


def _cut(
    name: str, whole: nn.Module, until: Any, shape: tuple[int, int, int]
) -> tuple[nn.Module, int]:
    """Return the layers up to and including `until`, and the channels they give."""
    if isinstance(whole, (VisionTransformer, SwinTransformer)):
        raise ValueError(
            f"Got until={until!r} for {name}, a transformer, whose layers give tokens; "
            "expected a network of convolutions, whose maps are averaged. Choose "
            "another name, or leave out until=."
        )
    known = dict(whole.named_modules())
    del known[""]
    if until not in known:
        close = difflib.get_close_matches(str(until), known, n=5) or list(known)[-5:]
        raise ValueError(
            f"Got until={until!r}; expected the name of a layer of {name}, such as "
            f"{', '.join(map(repr, close))}. torchvision.models.{name}() shows them "
            "all when printed."
        )
    layers = _chain(whole, until.split("."))
    generator = torch.Generator("cpu").manual_seed(0)
    images = torch.randn((1, *shape), generator=generator, device="cpu")
    with torch.no_grad(), eval_mode(whole, layers):
        expected = _reach(name, whole, until, images)
        if not _gives(layers, images, expected):
            _refuse(name, until, "is run in another order than it is defined in")
    return layers, expected.shape[1]


def _chain(module: nn.Module, path: list[str]) -> nn.Sequential:
    """Return the parts of `module` up to `path`, to be run one after the other."""
    first, *rest = path
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in module.named_children():
        parts[name] = _chain(part, rest) if rest and name == first else part
        if name == first:
            break
    return nn.Sequential(parts)


class _Reached(Exception):
    """The layer has been run; the rest need not be."""


def _reach(name: str, whole: nn.Module, until: str, images: Tensor) -> Tensor:
    """Return what the layer gives within the whole network."""

    def stop(module: nn.Module, inputs: Any, output: Any) -> NoReturn:
        raise _Reached(output)

    handle = whole.get_submodule(until).register_forward_hook(stop)
    try:
        whole(images)
    except _Reached as reached:
        output = reached.args[0]
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _torchvision.wrong_size(name, whole, images.shape, error) from error
    else:
        _refuse(name, until, "is never run by itself")
    finally:
        handle.remove()
    if not (isinstance(output, Tensor) and output.ndim == 4):
        _refuse(name, until, "does not give maps (n, channels, height, width)")
    return output


def _gives(layers: nn.Module, images: Tensor, expected: Tensor) -> bool:
    """Tell whether `layers`, run one after the other, give what is expected."""
    try:
        output = layers(images)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return False
    return torch.equal(output, expected)


def _refuse(name: str, until: str, what: str) -> NoReturn:
    parent = until.rpartition(".")[0]
    whole = f"{parent!r}, of which it is a part, or " if parent else ""
    raise ValueError(
        f"Got until={until!r}, which {what} in {name}; expected a layer of maps, to "
        f"which those before it lead one after the other. Choose {whole}a layer before."
    )


# Weights ------------------------------------------------------------------------------


def _same_names(layers: nn.Module, weights: Weights) -> bool:
    return {*layers.state_dict(), "head.weight", "head.bias"} == set(weights.state)


def _load_own(name: str, layers: nn.Module, head: nn.Linear, weights: Weights) -> bool:
    """Load what was built here earlier; tell whether the head is that of the file."""
    state = {k: v for k, v in weights.state.items() if not k.startswith("head.")}
    _torchvision.load_strictly(name, layers, state, weights.source)
    given = {part: weights.state[f"head.{part}"] for part in ("weight", "bias")}
    if given["weight"].shape != head.weight.shape:
        return False
    head.load_state_dict(given)
    return True
