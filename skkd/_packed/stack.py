"""Networks of one shape as one: parameters stacked, outputs computed together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from skkd._utils.modules import first_tensor
from skkd.students import Standardize

# Layers that act on each number by itself, whatever the shape.
_ELEMENTWISE = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Hardtanh, nn.ReLU6, nn.Hardswish),
    *(nn.Identity,),
)
_Forward = Callable[[Tensor], Tensor]


class Stack:
    """Several networks of one shape.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        They stay as they are until :meth:`unstack` writes into them.
    dropout : callable
        Of outputs and a fraction, in place of layers of :class:`torch.nn.Dropout`.

    Attributes
    ----------
    params, buffers : dict of str to Tensor of shape (n_modules, ...)
        By the names of ``named_parameters()``; parameters are leaves.
    """

    def __init__(
        self, modules: Sequence[nn.Module], dropout: Callable[[Tensor, float], Tensor]
    ) -> None:
        self.modules, self._dropout = [*modules], dropout
        self.params, self.buffers = stack_module_state(self.modules)
        self._layers = layers_of(self.modules[0])
        self._steps = [self._forward_of(name, layer) for name, layer in self._layers]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs, ``(n_modules, n, ...)``, for ``(n_modules, n, ...)``."""
        for step in self._steps:
            x = step(x)
        return x

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.params.values():
            parameter.grad = None

    @torch.no_grad()
    def apply_front(self, X: Sequence[Tensor]) -> list[Tensor]:
        """Apply the first layers, which training does not change, to all samples.

        The stack starts behind them from then on.

        Parameters
        ----------
        X : sequence of Tensor of shape (n_samples, ...)
            Of each module; those that are one tensor share their output.

        Returns
        -------
        list of Tensor of shape (n_samples, ...)
        """
        n_front = 0
        while n_front < len(self._layers) and _is_fixed(self._layers[n_front][1]):
            n_front += 1
        names = [name for name, _ in self._layers[:n_front]]
        self._steps, self._layers = self._steps[n_front:], self._layers[n_front:]
        outputs: list[Tensor] = []
        known: list[tuple[Tensor, list[Tensor], Tensor]] = []
        for x, module in zip(X, self.modules, strict=True):
            front = nn.Sequential(*map(module.get_submodule, names))
            state = [*front.buffers()]
            for of, buffers, output in known:  # noqa: B007
                if of is x and all(map(torch.equal, buffers, state)):
                    break
            else:
                output = front(x)
                known.append((x, state, output))
            outputs.append(output)
        return outputs

    def unstack(self) -> None:
        """Write each slice into its module."""
        with torch.no_grad():
            for i, module in enumerate(self.modules):
                for name, parameter in module.named_parameters():
                    parameter.copy_(self.params[name][i])
                for name, buffer in module.named_buffers():
                    buffer.copy_(self.buffers[name][i])

    def _forward_of(self, name: str, layer: nn.Module) -> _Forward:
        """Return the forward of a layer of all modules."""
        if type(layer) in _ELEMENTWISE and not _has_hooks(layer):
            return layer
        if type(layer) is nn.Linear and not _has_hooks(layer):
            return self._linear(layer, name)
        if type(layer) is nn.Dropout and not _has_hooks(layer):
            return lambda x: self._dropout(x, layer.p)
        return self._by_vmap(layer, name)

    def _linear(self, layer: nn.Linear, name: str) -> _Forward:
        prefix = f"{name}." if name else ""  # none for a student of one layer
        weight = self.params[f"{prefix}weight"]
        bias = self.params.get(f"{prefix}bias")
        otherwise = self._by_vmap(layer, name)

        def linear(x: Tensor) -> Tensor:
            if x.ndim != 3:
                return otherwise(x)
            # Features before samples in memory: the gradient of a weight then lies as
            # the weight does, and a softmax over few classes is ten times as fast.
            if bias is None:
                return (weight @ x.mT).mT
            return torch.baddbmm(bias[:, :, None], weight, x.mT).mT

        return linear

    def _by_vmap(self, module: nn.Module, name: str) -> _Forward:
        base, prefix = copy.deepcopy(module), f"{name}." if name else ""
        params, buffers = (
            {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            for state in (self.params, self.buffers)
        )

        def forward(params: dict, buffers: dict, x: Tensor) -> Tensor:
            outputs = functional_call(base, (params, buffers), (x,))
            return first_tensor(outputs)

        batched = torch.vmap(forward)
        return lambda x: batched(params, buffers, x)


def layers_of(module: nn.Module, name: str = "") -> list[tuple[str, nn.Module]]:
    """Return the layers that are, one after the other, the forward of `module`.

    A Sequential is taken apart: batched matrix products of its Linear layers are
    twice as fast as `vmap` of the whole.
    """
    if _has_hooks(module) or type(module).forward is not nn.Sequential.forward:
        return [(name, module)]
    prefix = f"{name}." if name else ""
    # Not `named_children`, which leaves out a layer that is there a second time.
    children = [(k, m) for k, m in module._modules.items() if m is not None]
    parts = [layers_of(m, f"{prefix}{k}") for k, m in children]
    return [layer for part in parts for layer in part]


def _is_fixed(layer: nn.Module) -> bool:
    """Tell whether a layer maps each sample by itself, the same way in all epochs."""
    is_plain = type(layer) in (*_ELEMENTWISE, nn.Flatten, Standardize)
    return is_plain and not _has_hooks(layer)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
