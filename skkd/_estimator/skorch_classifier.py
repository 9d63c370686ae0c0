"""skorch's classifier with scikit-learn's conventions: every hook that skorch calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.utils import check_random_state
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import get_len, unpack_data
from skorch.history import History
from skorch.utils import data_from_dataset, to_device, to_tensor
from torch.nn import CrossEntropyLoss, NLLLoss
from torch.utils.data import Subset

from skkd._data.batches import (
    TrainingSet,
    center_weights,
    labelled_part,
    make_iterator,
    unwrap,
)
from skkd._data.frames import to_numbers
from skkd._data.inputs import check_inputs
from skkd._data.keys import INPUT
from skkd._data.labels import check_labels, encode_labels, labels_of
from skkd._data.preprocessed import student_inputs
from skkd._estimator.build_student import (
    adapt_standardize,
    build_student,
    may_be_fused,
)
from skkd._estimator.compute import fetch_losses, optimized_pass
from skkd._estimator.lookups import evaluate_by_lookups
from skkd._estimator.params import SklearnParamsMixin
from skkd._estimator.pieces import evaluate_in_pieces, has_plain_steps, lies_in_arrays
from skkd._fit import batch_size, gradient_check
from skkd._fit.objective import Objective, loss_by_sample
from skkd._fit.param_names import check_names
from skkd._fit.student_check import no_parameters
from skkd._utils.modules import (
    first_tensor,
    log_probabilities,
    resolve_device,
)
from skkd._utils.rng import seeded_rng
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning


class SkorchClassifier(SklearnParamsMixin, NeuralNetClassifier):
    """A skorch classifier that keeps scikit-learn's conventions.

    Labels of any type go in and come out, data are checked, batches are shuffled whole
    slices of arrays, and ``random_state`` makes a fit repeatable. It trains on an
    :class:`~skkd._fit.objective.Objective`, without knowing what is in it.
    """

    input_shape_: tuple[int, ...] | None = None
    # Fitted; makes the student's inputs of X. None takes X as it is.
    preprocessor_: Any = None
    # Whether images are laid out with the channels last; None: not known yet.
    channels_last_: bool | None = None
    # What is trained for, while a fit is in progress.
    _objective_: Objective | None = None

    def __init__(self, module: Any = None, **params: Any) -> None:
        super().__init__(module, **params)
        for name in ("history_", "initialized_", "virtual_params_"):
            if vars(self)[name] in (None, False, {}):
                del self.__dict__[name]

    def __setattr__(self, name: str, value: Any) -> None:
        # skorch takes every torch module for a part of the net and registers it.
        if name in self._named_params or name in self._unregistered:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def device(self) -> Any:
        """The device in use, with ``"auto"`` resolved; None leaves it to accelerate."""
        device = vars(self)["device"]
        return resolve_device(device) if isinstance(device, str) else device

    @device.setter
    def device(self, device: Any) -> None:
        self.__dict__["device"] = device

    @property
    def history(self) -> History:
        """What was recorded of each epoch; empty before the first fit."""
        return History() if self.history_ is None else self.history_

    @history.setter
    def history(self, value: History) -> None:
        self.history_ = value

    # Building -----------------------------------------------------------------

    def initialize(self) -> Any:
        """Build student, criterion, optimizer and callbacks, as ``random_state`` says.

        Returns
        -------
        SkorchClassifier
            The net itself.
        """
        with self._random_stream(fresh=True):
            return super().initialize()

    def _validate_params(self) -> None:
        if self._params_to_validate:
            check_names(self)
        super()._validate_params()

    def initialize_module(self) -> Any:
        """Build the student; a module instance is copied, never trained in place."""
        self.module_ = build_student(self)
        # Which layout suits images is found out in the first forward pass.
        has_conv = any(isinstance(m, torch.nn.Conv2d) for m in self.module_.modules())
        self.channels_last_ = None if has_conv else False
        return self

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Return the arguments of an optimizer; a faster way of its steps, if one is.

        Parameters
        ----------
        prefix : str
            ``"optimizer"``, or the name of another one.
        named_parameters : iterable of (str, Parameter)

        Returns
        -------
        args : tuple
            The groups of parameters.
        kwargs : dict
        """
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if may_be_fused(getattr(self, prefix), args[0], kwargs):
            kwargs["fused"] = True
        return args, kwargs

    def _initialize_optimizer(self, reason: str | None = None) -> Any:
        # Not `initialize_optimizer`: a subclass that has one takes other arguments.
        try:
            return super()._initialize_optimizer(reason)
        except (TypeError, ValueError) as error:
            if "empty parameter list" in str(error):
                raise no_parameters(self.module_) from error
            given = {"lr": self.lr, **self.get_params_for("optimizer")}
            told = ", ".join(f"{name}={value!r}" for name, value in given.items())
            name = getattr(self.optimizer, "__name__", repr(self.optimizer))
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(
                f"optimizer={name} cannot be built with {told}: {error}. Set others by "
                "lr= and optimizer__*=."
            ) from error

    def initialize_history(self) -> Any:
        """Start a new history; that of the last fit stays as it was."""
        if type(self.history_) is History:  # not one of the user's own
            self.history_ = None
        return super().initialize_history()

    @contextmanager
    def _random_stream(self, fresh: bool = False) -> Iterator[int | None]:
        """Draw all that is random in a fit from ``random_state``.

        None draws from torch's global generator, as skorch does. The stream starts
        afresh when a student is built, and goes on from there in every fit.
        """
        seed = getattr(self, "next_seed_", None)
        if self.random_state is None:
            seed = None
        elif fresh or seed is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
        with seeded_rng(seed, self.device or "cpu"):
            yield seed
            if seed is not None:
                self.next_seed_ = int(torch.randint(2**31 - 1, ()).item())

    def check_is_fitted(
        self, attributes: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Raise NotInitializedError before `initialize` or `fit`, as skorch does."""
        # At once where it may: to scikit-learn it takes as long as a small network.
        if attributes or not self.initialized_:
            super().check_is_fitted(attributes, *args, **kwargs)

    # Data ---------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that sparse arrays are taken, a batch at a time."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """The sorted labels, in the order of the columns of `predict_proba`."""
        if "classes_inferred_" in vars(self):
            return self.classes_inferred_
        classes = super().classes_  # those declared, or an error that says what to do
        return np.unique(classes)

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the data were checked before the net was built."""

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Wrap X, and y if given, for an iterator; labels are encoded."""
        given = X
        if self.preprocessor_ is not None:
            X = student_inputs(self, X)
        elif hasattr(X, "columns"):
            X = to_numbers(X, "X")
        if y is None or isinstance(X, TrainingSet):
            return super().get_dataset(csr_matrix(X) if hasattr(X, "tocsr") else X)
        y, labelled = check_labels(X, y)
        encoded = encode_labels(y, labelled, self.classes_)
        return self._samples(X, y, encoded, X_as_given=given)

    def _samples(
        self,
        X: Any,
        y: np.ndarray,
        y_encoded: np.ndarray,
        X_as_given: Any = None,
        **more: Any,
    ) -> TrainingSet:
        # skorch takes rows out of sparse matrices, not out of arrays.
        rows = csr_matrix(X) if hasattr(X, "tocsr") else X
        base = super().get_dataset(rows, y_encoded)
        X = X if X_as_given is None else X_as_given
        return TrainingSet(base, X=X, y=y, y_encoded=y_encoded, **more)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as ``train_split`` says; unlabelled samples are never held out."""
        if not isinstance(X, TrainingSet):
            X = self.get_dataset(X, labels_of(X, y))
        if X.split is None:
            train, valid = self.split_samples(X, **fit_params)
        else:
            train, valid = X.split.parts_of(X)
        if valid is not None and not isinstance(unwrap(valid)[0], TrainingSet):
            valid = self._with_encoded_labels(valid)
        center_weights(train)
        index = unwrap(train)[1]
        if self._objective_ is not None:
            self._objective_.dataset_train = train
            if index is not None:
                self._objective_.set_train_indices(index)
        return train, valid

    def split_samples(self, X: TrainingSet, **fit_params: Any) -> Any:
        """Call ``train_split`` on the labelled samples; return training and validation.

        Parameters
        ----------
        X : TrainingSet
        **fit_params
            Of ``fit``.
        """
        known = labelled_part(X)
        if X.groups is not None:
            fit_params["groups"] = X.groups[X.y_encoded >= 0]
        if not self.train_split or known is X:
            return super().get_split_datasets(X, X.y, **fit_params)
        return self._split_labelled(X, known, **fit_params)

    def _split_labelled(self, X: TrainingSet, known: Any, **fit_params: Any) -> Any:
        y = X.y[X.y_encoded >= 0]
        train, valid = self.train_split(known, y, **fit_params)
        base, index = unwrap(train)
        if base is not X:
            raise ValueError(
                "train_split gave training data of its own, which have no "
                "unlabelled rows: use one that splits, such as ValidSplit."
            )
        unlabelled = np.flatnonzero(X.y_encoded < 0)
        return Subset(X, np.concatenate([index, unlabelled]).tolist()), valid

    def _with_encoded_labels(self, dataset: Any) -> Any:
        """Encode the labels of a dataset that came from elsewhere."""
        of_table = hasattr(getattr(unwrap(dataset)[0], "X", None), "columns")
        if of_table or self.preprocessor_ is not None:
            X, _ = data_from_dataset(dataset)
            return self.get_dataset(X, labels_of(dataset, None))
        y, known = check_labels(dataset, labels_of(dataset, None))
        encoded = encode_labels(y, known, self.classes_)
        if y.dtype == encoded.dtype and (y == encoded).all():
            return dataset
        X = getattr(dataset, "X", dataset)
        return TrainingSet(dataset, X=X, y=y, y_encoded=encoded)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Iterate over batches: whole slices of arrays, shuffled in a fit."""
        name = "iterator_train" if training else "iterator_valid"
        kwargs = {"batch_size": self.batch_size, **self.get_params_for(name)}
        # `forward(training=True)` iterates over other data, whose order matters.
        fitting = training and isinstance(unwrap(dataset)[0], TrainingSet)
        n, size = len(dataset), kwargs["batch_size"]
        if fitting and (not n or "sampler" in kwargs or n % (size or 1) == 1):
            kwargs["merge_last"] = batch_size.merges_last_row(self, dataset, kwargs)
        return make_iterator(
            getattr(self, name), dataset, device=self.device, fitting=fitting, **kwargs
        )

    # Training -----------------------------------------------------------------

    @contextmanager
    def _training(self, objective: Objective) -> Iterator[None]:
        """Train on `objective` in this block; nothing of it outlives the block."""
        self._objective_ = objective
        try:
            with objective.recording(self.optimizer_):
                yield
        finally:
            self.__dict__.pop("_objective_", None)

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Let the student's `Standardize` learn from the training samples, once."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kw)
        objective = self._objective_
        fit_params = {} if objective is None else objective.fit_params
        adapt_standardize(self, dataset_train, fit_params)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **kw: Any
    ) -> None:
        """Run an epoch as skorch does, reading losses off a device once, at its end."""
        if iterator is None:
            return
        batches, is_late = [], False
        # Scores of skorch read no loss of a batch within the epoch.
        shows_losses = self._has_listener("on_batch_end", but=EpochScoring)
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                batches.append(self.history[-1]["batches"][-1])
                step = step_fn(batch, **kw)
                loss = step["loss"].detach()
                is_late = not (shows_losses or loss.device.type == "cpu")
                batches[-1][f"{prefix}_loss"] = loss.clone() if is_late else loss.item()
                X = batch[0] if isinstance(batch, (tuple, list)) else batch
                batches[-1][f"{prefix}_batch_size"] = get_len(_inputs_of(X))
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            if is_late:
                fetch_losses(batches, f"{prefix}_loss")
        self.history.record(f"{prefix}_batch_count", len(batches))
        if training and not batches:
            raise batch_size.no_step(self)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Train on a batch, in the view of it that the student is to see."""
        views = None if self._objective_ is None else self._objective_.views
        if views is not None:
            X, y = unpack_data(batch)
            epoch = len(self.history)
            batch = views(X, self.module_, self.device, epoch), y
        return super().train_step(batch, **fit_params)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the gradients of a batch; at the first one, see whose are missing."""
        try:
            step = super().train_step_single(batch, **fit_params)
        except ValueError as error:
            raise batch_size.explained(self, batch, error) from error
        except RuntimeError as error:
            raise gradient_check.explained(self, error) from error
        if self._objective_ is not None and self._objective_.is_first_step:
            self._objective_.is_first_step = False
            parameters = self.module_.parameters()
            if any(p.requires_grad and p.grad is None for p in parameters):
                gradient_check.check_gradients(self, batch, fit_params)
        return step

    def _set_training(self, training: bool = True) -> None:
        # As skorch does before every batch, if there is anything to set.
        names = (*self._modules, *self._criteria)
        parts = [getattr(self, f"{name}_") for name in names]
        for part in parts:  # it grows; `modules()` takes several times as long
            if not isinstance(part, torch.nn.Module):
                continue
            # One of its own may do more, as to freeze a batch normalisation.
            own = type(part).train is not torch.nn.Module.train
            if own or part.training != training:
                super()._set_training(training)
                return
            parts.extend(part._modules.values())

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the module's outputs; it sees the input, without batch fields."""
        x = x[INPUT] if isinstance(x, Mapping) and INPUT in x else x
        if isinstance(x, torch.Tensor) and self._takes(x):
            return _for_skorch(self.module_(x, **fit_params))
        infer = super().infer
        return optimized_pass(
            self, x, lambda inputs: _for_skorch(infer(inputs, **fit_params))
        )

    def _takes(self, x: torch.Tensor) -> bool:
        """Tell whether the student takes `x` where it is, and as it is."""
        on_cpu = x.is_cpu and str(self.device) == "cpu"
        if not on_cpu or self.channels_last_ is not False or self.precision != "fp32":
            return False
        if x.is_floating_point():
            for parameter in self.module_.parameters():
                if parameter.is_floating_point():
                    return x.dtype == parameter.dtype
        return True

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes), or tuple that starts with it
            Outputs of the student. A criterion of torch takes the logits alone, any
            other all that the module gives.
        y_true : Tensor of shape (n,), int64
            Encoded labels, -1 for unlabelled samples.
        X : object, default=None
            The batch's inputs, with the batch fields.
        training : bool, default=False
            False gives the plain criterion, whatever the teacher says.

        Returns
        -------
        Tensor of shape ()
        """
        if not training or self._objective_ is None:
            return self._criterion_loss(y_pred, y_true)
        fields = X if isinstance(X, Mapping) and INPUT in X else {}
        y_true = to_tensor(y_true, device=self.device)
        return self._objective_(y_pred, y_true, fields, self._criterion_loss)

    def _criterion_loss(
        self, y_pred: Any, y_true: Any, reduction: str = "mean"
    ) -> torch.Tensor:
        criterion = getattr(self.criterion_, "_orig_mod", self.criterion_)
        if reduction == "none":
            return loss_by_sample(
                criterion, lambda y: self._criterion_loss(y_pred, y), y_true
            )
        if isinstance(criterion, (CrossEntropyLoss, NLLLoss)):
            y_pred = (
                y_pred if isinstance(y_pred, torch.Tensor) else first_tensor(y_pred)
            )
            y_pred = y_pred.float() if y_pred.dtype.itemsize < 4 else y_pred
        if isinstance(criterion, NLLLoss) and criterion is not self.criterion_:
            # What skorch does for the module's probabilities, unless it is compiled.
            y_pred = log_probabilities(y_pred)
        return super().get_loss(y_pred, y_true)

    @property
    def expects_probabilities(self) -> bool:
        """Whether the student is to give probabilities, not logits."""
        criterion = getattr(self, "criterion_", None)
        return isinstance(getattr(criterion, "_orig_mod", criterion), NLLLoss)

    # What callbacks see -------------------------------------------------------

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, with X and labels as the user gave them."""
        if isinstance(kwargs.get("X"), TrainingSet):
            kwargs["X"] = kwargs["X"].X
        if "batch" in kwargs and self._has_listener(
            method_name, kwargs.get("training")
        ):
            kwargs.update(self._decode_batch(kwargs["batch"], kwargs.get("y_pred")))
        elif "batch" in kwargs and method_name != "on_batch_begin":
            return
        if method_name == "on_epoch_end" and "dataset_train" in kwargs:  # to be scored
            kwargs["dataset_train"] = labelled_part(kwargs["dataset_train"])
        super().notify(method_name, **kwargs)

    def _has_listener(
        self, method_name: str, training: bool | None = None, but: Any = ()
    ) -> bool:
        """Tell whether the net, or a callback, does anything when notified so."""
        method = getattr(self, method_name)
        if getattr(method, "__func__", None) is not getattr(NeuralNet, method_name):
            return True
        idle = getattr(Callback, method_name)
        for _, callback in self.callbacks_:
            method = getattr(callback, method_name, None)
            function = getattr(method, "__func__", None)
            if function is idle or isinstance(callback, but):
                continue
            # Scores of held out data keep nothing of the batches that are trained on.
            is_score = function is EpochScoring.on_batch_end
            if not is_score or callback.on_train == training:
                return True
        return False

    def _decode_batch(self, batch: Any, y_pred: Any) -> dict[str, Any]:
        """Return batch and prediction with labels, without unlabelled samples."""
        X, encoded = unpack_data(batch)
        X = _inputs_of(X)
        encoded = torch.as_tensor(encoded)
        if self._objective_ is not None and self._objective_.plain_labels:
            return {"batch": (X, encoded)}
        labelled = encoded >= 0
        if not labelled.all():
            X, encoded, y_pred = (_select(v, labelled) for v in (X, encoded, y_pred))
        plain = np.array_equal(self.classes_, np.arange(len(self.classes_)))
        y = encoded if plain else self.classes_[encoded.cpu().numpy()]
        return {"batch": (X, y)} | ({} if y_pred is None else {"y_pred": y_pred})

    # Prediction ---------------------------------------------------------------

    def forward_iter(
        self, X: Any, training: bool = False, device: Any = "cpu"
    ) -> Iterator[Any]:
        """Yield the student's outputs: those of arrays in a few large pieces.

        Parameters
        ----------
        X : array-like of shape (n, ...), mapping of arrays or torch Dataset
        training : bool, default=False
            Whether the student is in train mode.
        device : str or torch.device, default="cpu"
            Where the outputs are put.

        Yields
        ------
        Tensor of shape (n_rows, ...), or tuple of these
        """
        plain = not training and has_plain_steps(self, SkorchClassifier)
        pieces = None
        if plain and self.preprocessor_ is not None:
            pieces = evaluate_by_lookups(self, X)
            X = student_inputs(self, X) if pieces is None else X
        if pieces is None and plain and lies_in_arrays(X):
            pieces = evaluate_in_pieces(self, X)
        if pieces is None:
            yield from super().forward_iter(X, training=training, device=device)
            return
        for outputs in pieces:
            yield to_device(outputs, device=device)

    def _get_predict_nonlinearity(self) -> Any:
        if self.predict_nonlinearity != "auto" or len(self._criteria) > 1:
            return super()._get_predict_nonlinearity()
        criterion = getattr(self, "criterion_", None)
        criterion = getattr(criterion, "_orig_mod", criterion)
        # skorch knows few criteria by name and would return logits for the others.
        return _as_is if isinstance(criterion, (type(None), NLLLoss)) else _softmax

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n, ...), mapping of arrays or torch Dataset

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of ``classes_``.
        """
        self.check_is_fitted()
        is_raw = self.preprocessor_ is not None  # it is checked, and transformed, later
        return super().predict_proba(X if is_raw else check_inputs(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label.

        Parameters
        ----------
        X : array-like of shape (n, ...), mapping of arrays or torch Dataset

        Returns
        -------
        ndarray of shape (n,)
            Labels, of the type that `fit` was given.
        """
        best = self.predict_proba(X).argmax(axis=1)
        if not hasattr(self, "classes_"):
            warn(
                "The labels are unknown, since this net was initialised, not fitted: "
                "predict returns column numbers. Pass classes=[...] to have labels.",
                DistillationWarning,
            )
            return best
        return self.classes_[best]


def _for_skorch(outputs: Any) -> Any:
    # skorch moves tuples and mappings between devices, and no other objects.
    is_plain = isinstance(outputs, (torch.Tensor, tuple, Mapping))
    return outputs if is_plain else (first_tensor(outputs),)


def _inputs_of(X: Any) -> Any:
    """Return the inputs of a batch, without the batch fields."""
    return X[INPUT] if isinstance(X, Mapping) and INPUT in X else X


def _as_is(outputs: Any) -> torch.Tensor:
    values = outputs if isinstance(outputs, torch.Tensor) else first_tensor(outputs)
    # NumPy has no bfloat16, and float16 has too few digits for probabilities.
    return values if values.dtype.itemsize >= 4 else values.float()


def _softmax(outputs: Any) -> torch.Tensor:
    return torch.softmax(_as_is(outputs), dim=-1)


def _select(values: Any, index: torch.Tensor) -> Any:
    if isinstance(values, Mapping):
        return {key: _select(value, index) for key, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_select(value, index) for value in values)
    return None if values is None else values[index.to(values.device)]
