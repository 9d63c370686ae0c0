"""scikit-learn's callbacks for estimators: a progress bar shows the epochs of a fit.

They exist since scikit-learn 1.9 and are experimental; with an older version nothing
here has an effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback

from skkd._fit.interrupts import StopTraining
from skkd._fit.plan import FitPlan

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9
    CallbackSupportMixin = None


def support_callbacks(cls: Any) -> Any:
    """Give a skorch net scikit-learn's ``set_callbacks``; a class decorator."""
    if CallbackSupportMixin is not None:
        cls.set_callbacks = CallbackSupportMixin.set_callbacks
        cls._init_callback_context = CallbackSupportMixin._init_callback_context
    return cls


def run_as_task(net: Any, plan: FitPlan, run: Callable[[Any], Any], train: Any) -> Any:
    """Call ``run(train)`` as a task of scikit-learn's, with a subtask for each epoch.

    Callbacks are those that were set on the net, and those of a search around it.
    """

    @with_callbacks
    def managed(net: Any) -> Any:
        context = net._init_callback_context(max_subtasks=net.max_epochs)
        metadata = {"sample_weight": plan.sample_weight}
        data = {"estimator": net, "X": plan.X_as_given, "y": plan.y}
        context.fit_data = {**data, "metadata": metadata}
        context.call_on_fit_task_begin(**context.fit_data)

        def train_by_tasks(samples: Any) -> Any:
            # Called after all of skorch's callbacks.
            net.callbacks_.append(("sklearn_callbacks", _EpochTasks(context)))
            try:
                return train(samples)
            finally:
                del net.callbacks_[-1]

        run(train_by_tasks)
        context.call_on_fit_task_end(**context.fit_data, reconstruction_attributes={})
        return net

    return managed(net)


class _EpochTasks(Callback):
    """A callback of skorch for which each epoch is a task of scikit-learn's."""

    observes_only = True  # what scikit-learn's callbacks do, they do beside the fit
    context: Any = None
    has_stopped = False

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
            self.has_stopped = True
            raise StopTraining
