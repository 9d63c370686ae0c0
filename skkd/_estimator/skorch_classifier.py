"""skorch's classifier with the manners of a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from torch.nn import CrossEntropyLoss, NLLLoss
from torch.utils.data import DataLoader, Subset

from skkd._data.batches import (
    TrainingSet,
    as_is,
    center_weights,
    labelled_part,
    unwrap,
    whole_batches,
)
from skkd._data.inputs import check_inputs
from skkd._data.keys import split_inputs
from skkd._data.labels import (
    check_labels,
    encode_labels,
    find_classes,
    labels_of,
)
from skkd._estimator.compute import ComputedNet
from skkd._estimator.params import SklearnParamsMixin
from skkd._utils.modules import first_tensor, log_probabilities, uncompiled
from skkd.exceptions import DistillationWarning

# Prefixes of what skorch builds the network anew for.
_BUILT = ("module", "criterion", "compile")


class SklearnNet(SklearnParamsMixin, ComputedNet):
    """A skorch classifier that keeps scikit-learn's conventions.

    Labels of any type go in and come out; the data are checked; batches are shuffled.
    It knows nothing of teachers.
    """

    # Whether a batch of this fit is already what a callback shall see.
    labels_are_codes_: bool = False

    def set_params(self, **params: Any) -> Any:
        """Set parameters, as scikit-learn does.

        On a net that is built, another ``module__*`` or ``criterion__*`` builds it
        anew at once, as in skorch.

        Parameters
        ----------
        **params
            Names as in :meth:`get_params`, and parameters of the parts.

        Returns
        -------
        SklearnNet
            The estimator itself.
        """
        if self.initialized_:
            # A value that is there already is no reason to lose a trained student.
            params = {
                k: v for k, v in params.items() if not _is_unchanged(vars(self), k, v)
            }
        builds = any(name.startswith(_BUILT) for name in params)
        if not self.initialized_ or not builds:
            return super().set_params(**params)
        with self._random_stream(fresh=True):
            return super().set_params(**params)

    # Data ---------------------------------------------------------------------

    def _read(
        self, X: Any, y: Any, *, fresh: bool, classes: Any = None, unlabeled: Any = None
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Validate a fit's X and y; return them with each row's class number."""
        reset = fresh or not hasattr(self, "classes_inferred_")
        X = check_inputs(self, X, reset=reset)
        y, labelled = check_labels(X, labels_of(X, y), unlabeled)
        if reset:
            declared = classes if self.classes is None else self.classes
            self.classes_inferred_ = find_classes(y[labelled], declared)
            self.input_dtype_ = getattr(X, "dtype", None)
        if classes is not None and set(classes) != set(self.classes_.tolist()):
            raise ValueError(
                f"classes={list(classes)} differs from those that are known already, "
                f"{self.classes_.tolist()[:20]}. Leave it out, or fit anew."
            )
        return X, y, encode_labels(y, labelled, self.classes_)

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the data were checked before the net was built."""

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Wrap X, and y if given, for an iterator; labels become class numbers."""
        X = np.asarray(X) if hasattr(X, "iloc") else X
        if y is None or isinstance(X, TrainingSet):
            return super().get_dataset(X)
        y, labelled = check_labels(X, y)
        return self._rows(X, y, encode_labels(y, labelled, self.classes_))

    def _rows(
        self,
        X: Any,
        y: np.ndarray,
        y_encoded: np.ndarray,
        batch_fields: dict[str, np.ndarray] | None = None,
        given_X: Any = None,
    ) -> TrainingSet:
        base = super().get_dataset(X, y_encoded)
        given_X = X if given_X is None else given_X
        return TrainingSet(
            base, X=given_X, y=y, y_encoded=y_encoded, batch_fields=batch_fields
        )

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as ``train_split`` says; rows without a label are never held out."""
        if not isinstance(X, TrainingSet):  # `fit_loop` was called, not `fit`
            X = self._rows(*self._read(X, y, fresh=False))
        plain = np.array_equal(self.classes_, np.arange(len(self.classes_)))
        self.labels_are_codes_ = plain and bool((X.y_encoded >= 0).all())
        known = labelled_part(X)
        if not self.train_split or known is X:
            train, valid = super().get_split_datasets(X, X.y, **fit_params)
        else:
            y = X.y[X.y_encoded >= 0]
            train, valid = self.train_split(known, y, **fit_params)
            base, rows = unwrap(train)
            if base is not X:
                raise ValueError(
                    "train_split gave training data of its own, which have no "
                    "unlabelled rows: use one that splits, such as ValidSplit."
                )
            unlabelled = np.flatnonzero(X.y_encoded < 0)
            train = Subset(X, np.concatenate([rows, unlabelled]).tolist())
        if valid is not None and not isinstance(unwrap(valid)[0], TrainingSet):
            valid = self._with_codes(valid)
        center_weights(train)
        return train, valid

    def _with_codes(self, dataset: Any) -> Any:
        """Replace labels by class numbers in a dataset that came from elsewhere."""
        y, known = check_labels(dataset, labels_of(dataset, None))
        y_encoded = encode_labels(y, known, self.classes_)
        if y.dtype == y_encoded.dtype and (y == y_encoded).all():
            return dataset
        return TrainingSet(
            dataset, X=getattr(dataset, "X", dataset), y=y, y_encoded=y_encoded
        )

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Iterate over batches: whole slices of arrays, shuffled in a fit."""
        name = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, name)
        kwargs = {"batch_size": self.batch_size, **self.get_params_for(name)}
        if kwargs["batch_size"] == -1:
            kwargs["batch_size"] = len(dataset)
        if iterator is not DataLoader:
            return iterator(dataset, **kwargs)
        if "batch_sampler" in kwargs:
            del kwargs["batch_size"]
        # `forward(training=True)` iterates over other data, whose order matters.
        fitting = training and isinstance(unwrap(dataset)[0], TrainingSet)
        if fitting and not {"shuffle", "sampler", "batch_sampler"} & kwargs.keys():
            kwargs["shuffle"] = True
        if not training:
            # Without its own, a DataLoader draws from the global generator.
            kwargs.setdefault("generator", torch.Generator())
        on_cuda = torch.device(self.device).type == "cuda"
        device = self.device if fitting and on_cuda else "cpu"
        fast = None if "collate_fn" in kwargs else whole_batches(dataset, device)
        if on_cuda and not (fast is not None and fast.is_resident):
            kwargs.setdefault("pin_memory", True)
        if fast is None:
            return iterator(dataset, **kwargs)
        return iterator(fast, collate_fn=as_is, **kwargs)

    def get_loss(
        self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Return the criterion's loss of a batch.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes), or tuple that starts with it
            A criterion of torch takes the logits alone, any other all that the
            module gives.
        y_true : Tensor of shape (n,)
        *args, **kwargs
            As in :meth:`skorch.net.NeuralNet.get_loss`.

        Returns
        -------
        Tensor of shape ()
        """
        criterion = uncompiled(self.criterion_)
        if isinstance(criterion, (CrossEntropyLoss, NLLLoss)):
            y_pred = first_tensor(y_pred)
            y_pred = y_pred.float() if y_pred.dtype.itemsize < 4 else y_pred
        if isinstance(criterion, NLLLoss) and criterion is not self.criterion_:
            # What skorch does for the module's probabilities, unless it is compiled.
            y_pred = log_probabilities(y_pred)
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    # What callbacks see -------------------------------------------------------

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, with X and labels as the user gave them."""
        if isinstance(kwargs.get("X"), TrainingSet):
            kwargs["X"] = kwargs["X"].X
        if "batch" in kwargs:
            if method_name != "on_batch_begin" and not self._has_listener(method_name):
                return
            kwargs.update(self._decode_batch(kwargs["batch"], kwargs.get("y_pred")))
        if method_name == "on_epoch_end" and "dataset_train" in kwargs:  # to be scored
            kwargs["dataset_train"] = labelled_part(kwargs["dataset_train"])
        super().notify(method_name, **kwargs)

    def _has_listener(self, method_name: str) -> bool:
        """Tell whether the net, or a callback, does anything when notified so."""
        parties = [(self, NeuralNet), *((cb, Callback) for _, cb in self.callbacks_)]
        return any(
            getattr(getattr(party, method_name), "__func__", None)
            is not getattr(base, method_name)
            for party, base in parties
        )

    def _decode_batch(self, batch: Any, y_pred: Any) -> dict[str, Any]:
        """Return batch and prediction in labels, without the unlabelled rows."""
        X, y_encoded = unpack_data(batch)
        X, y_encoded = split_inputs(X)[0], torch.as_tensor(y_encoded)
        if self.labels_are_codes_:
            return {"batch": (X, y_encoded)}
        labelled = y_encoded >= 0
        if not labelled.all():
            X, y_encoded, y_pred = (
                _select(v, labelled) for v in (X, y_encoded, y_pred)
            )
        plain = np.array_equal(self.classes_, np.arange(len(self.classes_)))
        y = y_encoded if plain else self.classes_[y_encoded.cpu().numpy()]
        return {"batch": (X, y)} | ({} if y_pred is None else {"y_pred": y_pred})

    # Prediction ---------------------------------------------------------------

    def _get_predict_nonlinearity(self) -> Any:
        if self.predict_nonlinearity != "auto" or len(self._criteria) > 1:
            return super()._get_predict_nonlinearity()
        criterion = uncompiled(getattr(self, "criterion_", None))
        # skorch knows few criteria by name and would return logits for the others.
        known = isinstance(criterion, (type(None), NLLLoss))
        return _as_they_are if known else _softmax

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
        return super().predict_proba(check_inputs(self, X, reset=False))

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
            warnings.warn(
                "The labels are unknown, since this net was initialised, not fitted: "
                "predict returns column numbers. Pass classes=[...] to have labels.",
                DistillationWarning,
                stacklevel=2,
            )
            return best
        return self.classes_[best]


def _is_unchanged(params: Mapping[str, Any], name: str, value: Any) -> bool:
    held = params.get(name, params)
    plain = isinstance(value, (str, int, float, tuple)) and type(held) is type(value)
    return name.startswith(_BUILT) and (held is value or (plain and held == value))


def _as_they_are(outputs: Any) -> torch.Tensor:
    values = first_tensor(outputs)
    # NumPy has no bfloat16, and float16 has too few digits for probabilities.
    return values if values.dtype.itemsize >= 4 else values.float()


def _softmax(outputs: Any) -> torch.Tensor:
    return torch.softmax(_as_they_are(outputs), dim=-1)


def _select(values: Any, rows: torch.Tensor) -> Any:
    if isinstance(values, Mapping):
        return {key: _select(value, rows) for key, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_select(value, rows) for value in values)
    return None if values is None else values[rows.to(values.device)]
