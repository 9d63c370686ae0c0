"""The optimizer of a stack, whose members may have settings of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from skkd._packed.groups import identity
from skkd._packed.member import Member
from skkd._packed.schedules import of_optimizer

# How a step is computed, whatever the member's own optimizer does.
_WAYS = ("fused", "foreach", "differentiable")


class StackedOptimizer:
    """One optimizer of torch, with groups of parameters for each of the settings.

    The stacked parameters of members with equal settings are updated as one: by a view
    of them, where others have other settings.

    Parameters
    ----------
    members : sequence of Member
        Those with equal settings one after the other, see :func:`by_settings`.
    params : mapping of str to Tensor of shape (n_members, ...)
        By the names of the members' parameters.
    """

    def __init__(self, members: Sequence[Member], params: Mapping[str, Tensor]) -> None:
        self._members, self._params = members, params
        keys = [settings_of(member) for member in members]
        starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
        ends = [*starts[1:], len(members)]
        self._parts = [
            _Part(members[start].net, params, start, end)
            for start, end in zip(starts, ends, strict=True)
        ]
        groups = [group for part in self._parts for group in part.groups]
        self._optimizer = members[0].net.optimizer(groups)
        self._stack_state()

    def _stack_state(self) -> None:
        """Start from the state that the members' optimizers have, if they have any."""
        for part in self._parts:
            nets = [member.net for member in self._members[part.start : part.end]]
            for name, view in part.views.items():
                params = [net.module_.get_parameter(name) for net in nets]
                states = [
                    net.optimizer_.state.get(parameter, {})
                    for net, parameter in zip(nets, params, strict=True)
                ]
                for key, first in states[0].items():
                    is_stacked = first.shape == params[0].shape
                    values = [state[key] for state in states]
                    state = torch.stack(values) if is_stacked else first.clone()
                    self._optimizer.state[view][key] = state

    def step(self) -> None:
        """Update all members."""
        if len(self._parts) > 1:
            for part in self._parts:
                part.take_gradients()
        self._optimizer.step()

    def read_settings(self) -> None:
        """Read settings again that a schedule changes in the members' optimizers."""
        for part in self._parts:
            for own, group in zip(_settings(part.net), part.groups, strict=True):
                group.update({k: v for k, v in own.items() if k not in _WAYS})

    def unstack(self) -> None:
        """Give each member's optimizer its part of the state, so that it can go on."""
        for part in self._parts:
            for i in range(part.start, part.end):
                own = self._members[i].net
                for name, parameter in own.module_.named_parameters():
                    view = part.views[name]
                    own.optimizer_.state[parameter] = {
                        key: _slice(value, view, i - part.start)
                        for key, value in self._optimizer.state.get(view, {}).items()
                    }


class _Part:
    """The members from `start` to `end`, whose settings are those of `net`."""

    def __init__(
        self, net: Any, params: Mapping[str, Tensor], start: int, end: int
    ) -> None:
        self.net, self.start, self.end, self._params = net, start, end, params
        self.views = {
            name: _view(parameter, start, end) for name, parameter in params.items()
        }
        names = {id(p): name for name, p in net.module_.named_parameters()}
        self.groups = []
        for own, settings in zip(
            net.optimizer_.param_groups, _settings(net), strict=True
        ):
            views = [self.views[names[id(p)]] for p in own["params"]]
            if settings.get("fused", False) is None and settings["foreach"] is None:
                settings["fused"] = not settings["differentiable"]
            self.groups.append({**settings, "params": views})

    def take_gradients(self) -> None:
        """Let the views have those of the stacked parameters."""
        for name, view in self.views.items():
            gradient = self._params[name].grad
            view.grad = None if gradient is None else gradient[self.start : self.end]


def by_settings(members: Sequence[Member]) -> list[Member]:
    """Return the members, those with equal settings one after the other."""
    found: dict[Any, list[Member]] = {}
    for member in members:
        found.setdefault(settings_of(member), []).append(member)
    return [member for equal in found.values() for member in equal]


def settings_of(member: Member) -> Any:
    """Return what decides on an update, and how it changes, hashable."""
    return identity([_settings(member.net), of_optimizer(member.schedules)])


def _settings(net: Any) -> list[dict[str, Any]]:
    """Return the settings of the groups of a net's optimizer."""
    groups = net.optimizer_.param_groups
    return [{k: v for k, v in group.items() if k != "params"} for group in groups]


def _view(parameter: Tensor, start: int, end: int) -> Tensor:
    if end - start == len(parameter):
        return parameter
    view = parameter.detach()[start:end]
    return view.requires_grad_(parameter.requires_grad)


def _slice(value: Any, view: Tensor, i: int) -> Any:
    if not isinstance(value, Tensor):
        return value
    return (value[i] if value.shape == view.shape else value).clone()
