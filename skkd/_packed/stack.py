"""Networks of one shape as one: parameters stacked, outputs computed together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

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

    Attributes
    ----------
    params, buffers : dict of str to Tensor of shape (n_modules, ...)
        By the names of ``named_parameters()``; parameters are leaves.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = [*modules]
        self.params, self.buffers = stack_module_state(self.modules)
        self._steps = self._forward_of(self.modules[0])

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs, ``(n_modules, n, ...)``, for ``(n_modules, n, ...)``."""
        for step in self._steps:
            x = step(x)
        return x

    def unstack(self) -> None:
        """Write each slice into its module."""
        with torch.no_grad():
            for i, module in enumerate(self.modules):
                for name, parameter in module.named_parameters():
                    parameter.copy_(self.params[name][i])
                for name, buffer in module.named_buffers():
                    buffer.copy_(self.buffers[name][i])

    def _forward_of(self, module: nn.Module, name: str = "") -> list[_Forward]:
        """Return functions that, one after the other, are the forward of all modules.

        A Sequential is taken apart: batched matrix products of its Linear layers are
        twice as fast as `vmap` of the whole.
        """
        if _has_hooks(module):
            return [self._by_vmap(module, name)]
        if type(module).forward is nn.Sequential.forward:
            prefix = f"{name}." if name else ""
            parts = [self._forward_of(m, f"{prefix}{k}") for k, m in _children(module)]
            return [step for part in parts for step in part]
        if type(module) in _ELEMENTWISE:
            return [module]
        if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            return [lambda x: x.flatten(2)]
        if type(module) is nn.Linear:
            return [self._linear(module, name)]
        return [self._by_vmap(module, name)]

    def _linear(self, layer: nn.Linear, name: str) -> _Forward:
        weight, bias = self.params[f"{name}.weight"], self.params.get(f"{name}.bias")
        otherwise = self._by_vmap(layer, name)

        def linear(x: Tensor) -> Tensor:
            if x.ndim != 3:
                return otherwise(x)
            if bias is None:
                return x @ weight.mT
            return torch.baddbmm(bias[:, None], x, weight.mT)

        return linear

    def _by_vmap(self, module: nn.Module, name: str) -> _Forward:
        base, prefix = copy.deepcopy(module), f"{name}." if name else ""
        params, buffers = (
            {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            for state in (self.params, self.buffers)
        )

        def forward(params: dict, buffers: dict, x: Tensor) -> Tensor:
            outputs = functional_call(base, (params, buffers), (x,))
            return outputs if isinstance(outputs, Tensor) else outputs[0]

        batched = torch.vmap(forward)
        return lambda x: batched(params, buffers, x)


def _children(module: nn.Module) -> list[tuple[str, nn.Module]]:
    # Not `named_children`, which leaves out a layer that is there a second time.
    return [(k, m) for k, m in module._modules.items() if m is not None]


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
