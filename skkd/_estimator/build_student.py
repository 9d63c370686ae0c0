"""The student: built from what the data tell; and how its optimizer is set."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from torch.nn.parameter import is_lazy

from skkd._data.batches import loader
from skkd._data.keys import INPUT, SOFT_WEIGHT
from skkd._fit.param_names import did_you_mean
from skkd._utils.modules import describe, eval_mode
from skkd.students import MLP, Standardize, default_student

# Ways to compute a step of an optimizer: who names one has chosen.
_IMPLEMENTATIONS = {"fused", "foreach", "capturable", "differentiable"}


def may_be_fused(optimizer: Any, groups: Any, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether ``fused=True`` makes steps faster and nothing else.

    On CPUs the fused Adam of torch takes half of the time, and differs in last digits.
    It goes through memory as if all tensors of a parameter were laid out alike, and is
    wrong without a word where they are not: parameters have to be contiguous, and of
    convolutions, whose layout changes, there may be none.
    """
    if optimizer not in (torch.optim.Adam, torch.optim.AdamW):
        return False
    rates = [settings.get("lr") for settings in (kwargs, *groups)]
    chosen = {*kwargs}.union(*groups) & _IMPLEMENTATIONS
    if chosen or any(isinstance(rate, torch.Tensor) for rate in rates):
        return False
    return all(
        not is_lazy(p)
        and p.device.type == "cpu"
        and p.dtype in (torch.float32, torch.float64)
        and p.layout is torch.strided
        and p.ndim < 4
        and p.is_contiguous()
        for group in groups
        for p in group["params"]
    )


def build_student(net: Any) -> torch.nn.Module:
    """Return a new student; a module instance is copied, never trained in place."""
    kwargs = net.get_params_for("module")
    factory = net.module
    if isinstance(factory, torch.nn.Module):
        if not kwargs:
            return _copy(factory)
        factory = type(factory)
    if factory is None:
        if net.input_shape_ is None:
            raise ValueError(
                "module=None chooses a student by the shape of X, which is not "
                "known before fit: pass module=, or call fit first."
            )
        is_table = len(net.input_shape_) == 1
        factory = MLP if is_table else default_student(net.input_shape_)
    kwargs = {**_known_arguments(net, factory), **kwargs}
    try:
        inspect.signature(factory).bind(**kwargs)
    except TypeError as error:
        given = [name for name in kwargs if repr(name) in str(error)]
        known = inspect.signature(factory).parameters
        hint = did_you_mean(given[0], known) if given else ""
        raise TypeError(
            f"The student {describe(factory)} cannot be built: {error}.{hint} "
            "n_classes and input_shape are known from the first fit on; before it, and "
            "for any other argument, pass module__<argument>=..."
        ) from error
    except ValueError:  # some classes written in C have no signature
        pass
    module = factory(**kwargs)
    # As scikit-learn's own networks: a table of float64 is learnt in float64.
    is_table = net.input_shape_ is not None and len(net.input_shape_) == 1
    is_float64 = net.module is None and is_table and net.input_dtype_ == np.float64
    if is_float64 and not (net.device and torch.device(net.device).type == "mps"):
        module = module.double()
    return module


def _copy(module: torch.nn.Module) -> torch.nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:  # whatever a part of it raises
        raise cannot_copy(module, error) from error


def cannot_copy(module: Any, error: Exception) -> ValueError:
    """Return the error of an instance that cannot be copied for a fit or a clone."""
    return ValueError(
        f"The student {describe(module)} is an instance, of which each fit takes a "
        f"copy, and it cannot be copied: {error}. Pass its class, or a function "
        "that builds it: DistilledClassifier(build), with `def build(n_classes)`. "
        "(Of weight_norm, that of torch.nn.utils.parametrizations can be copied.)"
    )


def _known_arguments(net: Any, factory: Any) -> dict[str, Any]:
    """Return what the data tell, of those arguments that `factory` has."""
    try:
        wanted = inspect.signature(factory).parameters
    except ValueError:  # some classes written in C have no signature
        return {}
    known: dict[str, Any] = {"input_shape": net.input_shape_}
    known["n_categories"] = getattr(net.preprocessor_, "n_categories_", None)
    if hasattr(net, "classes_"):
        known["n_classes"] = len(net.classes_)
    bound = getattr(factory, "keywords", {})  # of a functools.partial
    for name in [*known]:
        if name not in wanted or name in bound or known[name] is None:
            del known[name]
    return known


def adapt_standardize(net: Any, dataset: Any, fit_params: Mapping[str, Any]) -> None:
    """Let every new `Standardize` of the student learn from the training samples."""
    for layer in net.module_.modules():
        if isinstance(layer, Standardize) and not layer.adapted:
            layer.adapt(_inputs_of(net, layer, dataset, fit_params))


def _inputs_of(
    net: Any, layer: torch.nn.Module, dataset: Any, fit_params: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield what goes into a layer, with the samples' weights, batch by batch."""
    for batch in loader(dataset, batch_size=_rows_at_a_time(net)):
        X, _ = unpack_data(batch)
        has_fields = isinstance(X, Mapping) and INPUT in X
        inputs, fields = (X[INPUT], X) if has_fields else (X, {})
        if isinstance(inputs, Mapping):  # which of them, the module knows
            inputs = _input_in_pass(net, layer, inputs, fit_params)
        yield inputs, fields.get(SOFT_WEIGHT)


def _rows_at_a_time(net: Any) -> int:
    """Return how many rows make a batch: fewer of wide, probably sparse tables."""
    shape = net.input_shape_
    is_table = shape is not None and len(shape) == 1
    return min(1024, max(16, 2**23 // shape[0])) if is_table else 1024


class _Reached(Exception):
    """Ends a forward pass."""


def _input_in_pass(
    net: Any, layer: torch.nn.Module, inputs: Any, fit_params: Mapping[str, Any]
) -> torch.Tensor:
    found = []

    def stop(layer: torch.nn.Module, args: tuple[Any, ...]) -> None:
        found.append(args[0])
        raise _Reached

    handle = layer.register_forward_pre_hook(stop)
    try:
        with eval_mode(net.module_), torch.no_grad():
            net.infer(inputs, **fit_params)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not found:
        raise ValueError(
            f"A Standardize of the student {describe(net.module_)} is not called in "
            "its forward pass, so that it cannot learn from the data: give it mean= "
            "and std=, or leave it out."
        )
    return found[0]
