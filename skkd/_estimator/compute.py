"""How the student is computed: precision, memory layout, no waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import get_len
from skorch.utils import to_tensor

from skkd._data.keys import split_inputs
from skkd._estimator.build_student import StudentNet
from skkd._utils.modules import (
    cast_floats,
    channels_last,
    has_conv2d,
    is_layout_error,
)


class ComputedNet(StudentNet):
    """A net whose forward passes use what the hardware is good at."""

    precision: str = "fp32"
    # Whether images are laid out with the channels last; None: not known yet.
    channels_last_: bool | None = None

    def initialize_module(self) -> Any:
        """Build the student; which layout suits it is found out anew."""
        self.channels_last_ = None
        return super().initialize_module()

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on the input alone, without what travels beside it."""
        inputs, _ = split_inputs(x)
        # Before they move: not every device has float64.
        inputs = cast_floats(inputs, self.module_)
        inputs = to_tensor(self._to_device(inputs), device=self.device)
        first = self.channels_last_ is None
        if first:
            self.channels_last_ = False
            if has_conv2d(self.module_) and self._likes_channels_last:
                self._lay_out(channels_last=True)
        if not self.channels_last_:
            return self._run(inputs, **fit_params)
        before = self._random_and_buffers() if first else None
        try:
            return self._run(channels_last(inputs), **fit_params)
        except RuntimeError as error:
            # The student takes a `view` of its activations, which needs the layout
            # that it was written for.
            if not is_layout_error(error):
                raise
        self._lay_out(channels_last=False)
        if before is not None:  # a pass that failed half-way is to leave no trace
            state, buffers = before
            torch.set_rng_state(state)
            for buffer, value in buffers:
                buffer.copy_(value)
        return self._run(inputs, **fit_params)

    def _run(self, inputs: Any, **fit_params: Any) -> Any:
        with self._precise():
            return _at_least_float32(super().infer(inputs, **fit_params))

    def _random_and_buffers(self) -> tuple[torch.Tensor, list[Any]]:
        buffers = [(buffer, buffer.clone()) for buffer in self.module_.buffers()]
        return torch.get_rng_state(), buffers

    def _lay_out(self, *, channels_last: bool) -> None:
        self.channels_last_ = channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        for weight in self.module_.parameters():
            if weight.ndim == 4:  # in place: the optimizer holds the same tensors
                weight.data = weight.data.contiguous(memory_format=layout)

    @contextmanager
    def _precise(self) -> Iterator[None]:
        """Compute in the precision that was asked for."""
        kind = torch.device(self.device).type
        if resolve_precision(self.precision, kind) == "fp32":
            yield
            return
        with torch.autocast(kind, torch.bfloat16):
            yield

    @property
    def _likes_channels_last(self) -> bool:
        kind = torch.device(self.device).type
        # CPUs always do, CUDA's tensor cores do, others are not known to.
        half = resolve_precision(self.precision, kind) == "bf16"
        return kind == "cpu" or (kind == "cuda" and half)

    def _to_device(self, inputs: Any) -> Any:
        """Start the copy of pinned inputs to the device, without waiting for it."""
        if (
            isinstance(inputs, torch.Tensor)
            and torch.device(self.device).type == "cuda"
        ):
            return inputs.to(self.device, non_blocking=True)
        return inputs

    def _set_training(self, training: bool = True) -> None:
        # As skorch does before every batch, where there is anything to set.
        for name in (*self._modules, *self._criteria):
            part = getattr(self, f"{name}_")
            modules = part.modules() if isinstance(part, torch.nn.Module) else ()
            if any(
                module.training != training
                # One of its own may do more, as to freeze a batch normalisation.
                or type(module).train is not torch.nn.Module.train
                for module in modules
            ):
                super()._set_training(training)
                return

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **kw: Any
    ) -> None:
        """Run an epoch as skorch does, reading losses off a device once, at its end."""
        if iterator is None:
            return
        batches = []
        at_once = self._shows_losses()
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                batches.append(self.history[-1]["batches"][-1])
                step = step_fn(batch, **kw)
                loss = step["loss"].detach()
                soon = at_once or loss.device.type == "cpu"
                batches[-1][f"{prefix}_loss"] = loss.item() if soon else loss.clone()
                rows = batch[0] if isinstance(batch, (tuple, list)) else batch
                batches[-1][f"{prefix}_batch_size"] = get_len(rows)
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            fetch_losses(batches, f"{prefix}_loss")
        self.history.record(f"{prefix}_batch_count", len(batches))

    def _shows_losses(self) -> bool:
        """Tell whether a callback may read the loss of a batch within the epoch."""
        return any(
            type(callback).on_batch_end is not Callback.on_batch_end
            for _, callback in self.callbacks_
            if not isinstance(callback, EpochScoring)
        )


def fetch_losses(batches: list[dict[str, Any]], key: str) -> None:
    """Replace the tensors under `key` by numbers, in a single transfer.

    Parameters
    ----------
    batches : list of dict
        The batches of an epoch, as the history has them.
    key : str
    """
    waiting = [b for b in batches if isinstance(b.get(key), torch.Tensor)]
    if waiting:
        values = torch.stack([batch[key] for batch in waiting]).tolist()
        for batch, value in zip(waiting, values, strict=True):
            batch[key] = value


def resolve_precision(precision: Any, kind: str) -> str:
    """Return "fp32" or "bf16" for what was asked of a kind of device.

    Parameters
    ----------
    precision : {"fp32", "bf16", "auto"}
        "auto" takes bf16 where the hardware multiplies in it.
    kind : str
        "cpu", "cuda" and so on.

    Returns
    -------
    {"fp32", "bf16"}

    Raises
    ------
    ValueError
        If `precision` is none of these.
    """
    if precision not in ("fp32", "bf16", "auto"):
        raise ValueError(
            f"precision={precision!r}: expected 'fp32', 'bf16' or 'auto' (bf16 where "
            "the hardware multiplies in it)."
        )
    if precision != "auto":
        return precision
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = kind == "cpu" and _cpu_has_bf16()
    return "bf16" if native else "fp32"


def _cpu_has_bf16() -> bool:
    # Not public, and missing from some releases: then the safe answer is no.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def _at_least_float32(outputs: Any) -> Any:
    """Return outputs on which a loss can be computed."""
    if isinstance(outputs, tuple):
        parts = map(_at_least_float32, outputs)
        # Of a named tuple, a criterion may read the names.
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else tuple(parts)
    half = isinstance(outputs, torch.Tensor) and outputs.dtype in (
        torch.bfloat16,
        torch.float16,
    )
    return outputs.float() if half else outputs
