"""Weights of the modules of a fit, and what else their layers keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from skkd._utils.modules import uncompiled
from skkd.checkpoints._values import Encoder, NotEncodable
from skkd.memory._fingerprint import fingerprint
from skkd.memory._release import release_of

# What torch gives to every module.
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))


def modules_to_json(modules: dict[str, Any], encode: Encoder) -> Any:
    """Return the state of modules, and a fingerprint of all of their content.

    Parameters
    ----------
    modules : dict of str to torch.nn.Module or other
        Others, such as a criterion that is a function, have no state.
    encode : Encoder

    Returns
    -------
    list
        Of each module the name, the tensors, the names of frozen parameters, what
        layers of the user's own keep besides, and the fingerprint.
    """
    return [
        [name, *_state_of(uncompiled(part), name, encode)]
        for name, part in modules.items()
        if isinstance(part, torch.nn.Module)
    ]


def _state_of(module: torch.nn.Module, place: str, encode: Encoder) -> list[Any]:
    tensors = [[k, encode(v, f"{place}.{k}")] for k, v in _tensors_of(module)]
    frozen = [k for k, v in _parameters_of(module) if not v.requires_grad]
    kept = []
    for path, key, value in _kept_by_layers(module):
        try:
            kept.append([path, key, encode(value, f"{place}.{path}.{key}")])
        except NotEncodable:
            continue  # the fingerprint tells whether it has changed
    return [tensors, frozen, kept, fingerprint(module)]


def set_modules(modules: dict[str, Any], content: list[Any]) -> None:
    """Give modules the state that `modules_to_json` took, decoded.

    Raises
    ------
    ValueError
        If it is that of other modules.
    """
    parts = {k: uncompiled(v) for k, v in modules.items()}
    parts = {k: v for k, v in parts.items() if isinstance(v, torch.nn.Module)}
    if [*parts] != [entry[0] for entry in content]:
        raise ValueError("its modules are others")
    for module, entry in zip(parts.values(), content, strict=True):
        _set_state(module, *entry[1:])


def _set_state(
    module: torch.nn.Module, tensors: list, frozen: list, kept: list, _: str
) -> None:
    own = _tensors_of(module)
    if [name for name, _ in own] != [name for name, _ in tensors]:
        raise ValueError("its weights have other names")
    for (name, part), (_, value) in zip(own, tensors, strict=True):
        if part.shape != value.shape or part.dtype != value.dtype:
            raise ValueError(f"its weights {name!r} have another shape or dtype")
        # In place: optimizers, and layers that share it, hold the same tensor.
        part.data = value.to(part.device)
    for name, parameter in _parameters_of(module):
        parameter.requires_grad_(name not in frozen)
    layers = dict(module.named_modules())
    for path, key, value in kept:
        if key not in vars(layers[path]) and hasattr(type(layers[path]), key):
            raise ValueError(f"an attribute {key!r} of a layer")
        layers[path].__dict__[key] = value


def _parameters_of(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [*module.named_parameters(remove_duplicate=False)]


def _tensors_of(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    # Not the `state_dict`, which leaves out some buffers.
    return [*_parameters_of(module), *module.named_buffers(remove_duplicate=False)]


def _kept_by_layers(module: torch.nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Yield what layers of a user's own classes hold besides tensors and parts."""
    for path, layer in module.named_modules():
        if release_of(type(layer).__module__) is None:
            for key, value in sorted(vars(layer).items()):
                if key not in _OF_EVERY_MODULE and not callable(value):
                    yield path, key, value
