"""Layers inside of a network: found by name, and recorded while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from skkd._utils.modules import TemporaryHook, describe, first_tensor, uncompiled

# Of a deep network an error names no more layers than can be read.
_NAMES_SHOWN = 60


class LayerRecorder:
    """Records the outputs of layers, one forward pass after the other, in its block.

    Only passes of the thread that entered it count: several fits in threads may
    record the layers of one teacher. A name of None is the input of the last
    ``nn.Linear``. With `keep` all passes are kept, detached, else only the last one,
    with its graph. A layer that does not exist, or that a forward pass does not call
    exactly once, is an error.
    """

    def __init__(
        self, module: torch.nn.Module, names: Sequence[Any], *, keep: bool, whose: str
    ) -> None:
        self.module = uncompiled(module)
        self.names, self.keep, self.whose = [*names], keep, whose
        self.layers = [find_layer(self.module, name, whose) for name in names]
        self.passes: list[list[Tensor]] = []
        self._open: list[Any] | None = None
        self._hooks = ExitStack()
        self._thread: int | None = None

    def __enter__(self) -> LayerRecorder:
        self._thread = get_ident()
        with ExitStack() as hooks:  # none is left if one cannot be registered
            module = self.module
            hooks.enter_context(
                module.register_forward_pre_hook(TemporaryHook(self._begin))
            )
            for i, layer in enumerate(self.layers):
                hook = TemporaryHook(self._record, i)
                if self.names[i] is None:
                    hooks.enter_context(layer.register_forward_pre_hook(hook))
                else:
                    hooks.enter_context(layer.register_forward_hook(hook))
            hooks.enter_context(module.register_forward_hook(TemporaryHook(self._end)))
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *args: Any) -> None:
        self._hooks.close()
        self._open = self._thread = None

    def __getstate__(self) -> dict[str, Any]:
        # Callbacks may pickle the net in the middle of a fit.
        idle: dict[str, Any] = {"passes": [], "_open": None, "_thread": None}
        return {**vars(self), **idle, "_hooks": ExitStack()}

    def last(self) -> list[Tensor]:
        """Return the features of the last pass, and drop them."""
        return self.passes.pop()

    def gathered(self, n_rows: int) -> list[Tensor]:
        """Return the features of the last `n_rows` rows, over all passes."""
        # A network that does not take one memory layout has run on a part already.
        return [
            torch.cat([seen[i] for seen in self.passes])[-n_rows:]
            for i in range(len(self.layers))
        ]

    def _begin(self, *args: Any) -> None:
        if get_ident() == self._thread:
            self._open = [None] * len(self.layers)

    def _record(self, i: int, layer: Any, inputs: Any, *output: Any) -> None:
        if self._open is None or get_ident() != self._thread:
            return  # run again for its gradients, or by another thread
        seen = first_tensor(output[0] if output else inputs)
        if not isinstance(seen, Tensor):
            raise ValueError(
                f"{self._called(i)} gives a {type(seen).__name__}, expected a tensor. "
                f"Name another: {_list_names(self.module)}."
            )
        if self._open[i] is not None:
            raise ValueError(
                f"{self._called(i)} is called more than once in a pass, so that it is "
                f"not one layer. Name another: {_list_names(self.module)}."
            )
        # A copy: what follows may write into it, as nn.ReLU(inplace=True) does.
        self._open[i] = seen.detach().clone() if self.keep else seen.clone()

    def _end(self, *args: Any) -> None:
        if get_ident() != self._thread:
            return
        seen, self._open = self._open, None
        missing = [i for i, part in enumerate(seen or []) if part is None]
        if missing:
            raise ValueError(
                f"{self._called(missing[0])} was not called in a pass. Name another: "
                f"{_list_names(self.module)}."
            )
        self.passes = [*(self.passes if self.keep else []), seen or []]

    def _called(self, i: int) -> str:
        return f"{self.whose}_layer={self.names[i]!r} of {describe(self.module)}"


def find_layer(module: torch.nn.Module, name: Any, whose: str) -> torch.nn.Module:
    """Return the layer of that name, or the last ``nn.Linear`` for None."""
    layers = dict(module.named_modules())
    del layers[""]
    if name is None:
        linear = [m for m in layers.values() if isinstance(m, torch.nn.Linear)]
        if not linear:
            raise ValueError(
                f"{whose}_layer=None takes what goes into the last nn.Linear, and the "
                f"{whose} {describe(module)} has none. Name a layer: "
                f"{_list_names(module)}."
            )
        return linear[-1]
    if name not in layers:
        meant = _closest(str(name), layers)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise ValueError(
            f"{whose}_layer={name!r}: the {whose} {describe(module)} has no such layer."
            f"{hint} It has {_list_names(module)}."
        )
    return layers[name]


def _closest(name: str, layers: Iterable[str]) -> str | None:
    """Return the layer whose name, or the end of it, is most similar to `name`."""
    ends: dict[str, str] = {}
    for layer in sorted(layers, key=lambda layer: layer.count(".")):
        parts = layer.split(".")
        for i in range(len(parts)):
            ends.setdefault(".".join(parts[i:]), layer)
    close = get_close_matches(name, ends, n=1)
    return ends[close[0]] if close else None


def _list_names(module: torch.nn.Module) -> str:
    names = [name for name, _ in module.named_modules() if name]
    depth = max((name.count(".") for name in names), default=0)
    shown = names
    while len(shown) > _NAMES_SHOWN and depth > 0:
        depth -= 1
        shown = [name for name in names if name.count(".") <= depth]
    more = len(names) - len(shown)
    inside = f", and {more} more inside of these (see named_modules())" if more else ""
    return ", ".join(shown) + inside
