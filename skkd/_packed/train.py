"""The training loop of several students, as one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from skkd._packed.dropout import StackedDropout
from skkd._packed.member import Member
from skkd._packed.objective import StackedObjective
from skkd._packed.optimizer import StackedOptimizer, by_settings
from skkd._packed.progress import Progress
from skkd._packed.refusal import CannotBePacked
from skkd._packed.samples import StackedRows, batch_indices
from skkd._packed.schedules import begin_epoch, end_epoch
from skkd._packed.stack import Stack
from skkd._utils.modules import eval_mode

# Of samples that are kept a second time, behind the first layers of a student.
_MAX_BYTES = 2**28


def train(members: Sequence[Member]) -> None:
    """Train the members of one group, each as a single fit would.

    Parameters
    ----------
    members : sequence of Member
        A group of :func:`skkd._packed.groups.groups_of`. Their nets are fitted
        afterwards.

    Raises
    ------
    CannotBePacked
        If the stack cannot be computed, or differs from its members; these are as
        they were.
    """
    members = by_settings(members)
    for member in members:
        member.net._set_training(True)
    dropout = StackedDropout(members)
    stack = Stack([member.net.module_ for member in members], dropout)
    optimizer = StackedOptimizer(members, stack.params)
    objective = StackedObjective(members)
    rows = _Batches(members, stack)
    _check_stack(members, stack, objective, rows, dropout.is_used)
    changes = any(member.schedules for member in members)
    progress = Progress(members)
    for epoch in range(members[0].net.max_epochs):
        start, losses = time.perf_counter(), []
        begin_epoch(members)
        if changes:
            optimizer.read_settings()
            objective = StackedObjective(members)
        steps = batch_indices(dropout.epoch(epoch))
        for index, sizes in steps:
            dropout.start_batch(sizes)
            X, y, fields = rows.take(index)
            stack.zero_grad()
            loss = objective(stack(X), y, fields, sizes.to(y.device))
            loss.sum().backward()
            optimizer.step()
            losses.append(loss.detach())
        seconds = time.perf_counter() - start
        weight = torch.stack([sizes for _, sizes in steps])
        mean = (torch.stack(losses).cpu() * weight).sum(0) / weight.sum(0)
        _record(members, epoch, mean.tolist(), seconds / len(members))
        progress.show(mean.tolist(), seconds)
        end_epoch(members)
    stack.unstack()
    optimizer.unstack()
    dropout.finish()
    for member in members:
        member.net._check_loss()
        if member.saved is not None:
            member.saved.finish(member.net)


def _check_stack(
    members: Sequence[Member],
    stack: Stack,
    objective: StackedObjective,
    rows: _Batches,
    has_dropout: bool,
) -> None:
    """Raise CannotBePacked unless a batch has the losses of single fits, and gradients.

    A single fit looks into why a parameter has none, and refuses the student where that
    is a mistake.
    """
    # The last batch: the only one that may be filled up.
    index, sizes = batch_indices([m.batches[0] for m in members])[-1]
    X, y, fields = rows.take(index)
    try:
        losses = objective(stack(X), y, fields, sizes.to(y.device))
        losses.sum().backward()
    except Exception as error:  # what vmap refuses, it refuses by various types
        text = f"{type(error).__name__}: {error}".partition(". ")[0]
        raise CannotBePacked(" ".join(text.split())) from error
    for name, parameter in stack.params.items():
        if parameter.requires_grad and parameter.grad is None:
            raise CannotBePacked(f"{name} has no gradient")
    # Of each: a seed may decide on more than its weights.
    for i, n in enumerate(sizes.tolist()):
        net = members[i].net
        own = {name: fields[name][i, :n] for name in members[i].fields}
        # The stack drops nothing yet.
        evaluated = [net.module_] if has_dropout else []
        with torch.no_grad(), eval_mode(*evaluated):
            outputs, labels = net.infer(members[i].X[index[i, :n]]), y[i, :n]
            single = members[i].objective(outputs, labels, own, net._criterion_loss)
        if not torch.allclose(losses[i], single, rtol=2e-5, atol=1e-6, equal_nan=True):
            raise CannotBePacked(
                f"the loss of a batch is {losses[i]:.6g}, and {single:.6g} by itself"
            )


class _Batches:
    """What the members learn from, batch by batch."""

    def __init__(self, members: Sequence[Member], stack: Stack) -> None:
        net = members[0].net
        floats = next(net.module_.parameters()).dtype
        X = [m.X for m in members]
        self._dtype = floats if X[0].is_floating_point() else X[0].dtype
        n_numbers = sum({id(x): x.numel() for x in X}.values())
        if n_numbers * floats.itemsize <= _MAX_BYTES:
            cast = {id(x): x.to(net.device, self._dtype) for x in X}
            X = stack.apply_front([cast[id(x)] for x in X])
            self._dtype = X[0].dtype
        self._X = StackedRows(X, net.device)
        self._y = StackedRows([m.y for m in members], net.device)
        self._fields = {
            name: StackedRows([_field(m, name, floats) for m in members], net.device)
            for name in {name for m in members for name in m.fields}
        }

    def take(self, index: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        fields = {name: rows.take(index) for name, rows in self._fields.items()}
        return self._X.take(index).to(self._dtype), self._y.take(index), fields


def _field(member: Member, name: str, dtype: torch.dtype) -> Tensor:
    dtype = torch.promote_types(dtype, torch.float32)
    if name in member.fields:
        return member.fields[name].to(dtype)
    # Of a member that nobody teaches the rows are not read.
    n_classes = len(member.net.classes_)
    return torch.zeros((), dtype=dtype).expand(len(member.y), n_classes)


def _record(
    members: Sequence[Member], epoch: int, losses: list[float], seconds: float
) -> None:
    for member, loss in zip(members, losses, strict=True):
        history = member.net.history_
        history.record("train_loss", loss)
        history.record("train_batch_count", len(member.batches[epoch]))
        history.record("dur", seconds)
