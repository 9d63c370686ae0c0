"""scikit-learn's callbacks for estimators: a progress bar shows the epochs of a fit.

They exist since scikit-learn 1.9 and are experimental; with an older version nothing
here has an effect.
"""

from __future__ import annotations

import functools
from typing import Any

from skorch.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9
    CallbackSupportMixin = None


def support_callbacks(cls: Any) -> Any:
    """Let scikit-learn's callbacks see the epochs of a skorch net; a class decorator.

    Parameters
    ----------
    cls : type
        The net.

    Returns
    -------
    type
        The class itself, with ``set_callbacks``, and a `fit` that calls the callbacks.
    """
    if CallbackSupportMixin is not None:
        cls.set_callbacks = CallbackSupportMixin.set_callbacks
        cls._init_callback_context = CallbackSupportMixin._init_callback_context
        cls.fit = _with_tasks(cls.fit)
        cls.on_train_begin = _with_epoch_tasks(cls.on_train_begin)
    return cls


def _with_tasks(fit: Any) -> Any:
    @with_callbacks
    def fit_as_task(net: Any, X: Any, y: Any = None, **kwargs: Any) -> Any:
        max_epochs = kwargs.get("epochs") or net.max_epochs
        context = net._init_callback_context(max_subtasks=max_epochs)
        metadata = {"sample_weight": kwargs.get("sample_weight")}
        context.fit_data = {"estimator": net, "X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(**context.fit_data)
        try:
            fit(net, X, y, **kwargs)
        finally:
            callbacks = getattr(net, "callbacks_", [])
            callbacks[:] = [c for c in callbacks if not isinstance(c[1], _EpochTasks)]
        context.call_on_fit_task_end(**context.fit_data, reconstruction_attributes={})
        return net

    @functools.wraps(fit)
    def fit_with_callbacks(net: Any, *args: Any, **kwargs: Any) -> Any:
        # Those that were set here, and those that a search or a pipeline passes on.
        has_callbacks = hasattr(net, "_skl_callbacks")
        return (fit_as_task if has_callbacks else fit)(net, *args, **kwargs)

    return fit_with_callbacks


def _with_epoch_tasks(on_train_begin: Any) -> Any:
    @functools.wraps(on_train_begin)
    def on_train_begin_with_callbacks(net: Any, *args: Any, **kwargs: Any) -> None:
        on_train_begin(net, *args, **kwargs)
        context = getattr(net, "_callback_fit_ctx", None)
        if context is not None:  # after all of skorch's callbacks
            net.callbacks_.append(("sklearn_callbacks", _EpochTasks(context)))

    return on_train_begin_with_callbacks


class _EpochTasks(Callback):
    """A callback of skorch for which each epoch is a task of scikit-learn's."""

    context: Any = None

    def __init__(self, context: Any) -> None:
        self.context = context

    def __getstate__(self) -> dict[str, Any]:
        return {}  # a net that is pickled in the middle of a fit has no tasks

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        if self.context is not None:
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(**self.context.fit_data)

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        if self.context is None:
            return
        # No attribute is missing: the net can predict as it is.
        data = {**self.context.fit_data, "reconstruction_attributes": {}}
        if self.task_.call_on_fit_task_end(**data):
            raise KeyboardInterrupt  # this ends a fit of skorch, as its EarlyStopping
