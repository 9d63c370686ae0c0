"""What skorch's users do with a net, done with DistilledClassifier."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    ProgressBar,
    TrainEndCheckpoint,
)
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset, SliceDict, predefined_split
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from skkd import DistillationWarning, DistilledClassifier
from skkd.students import MLP

# Teachers in here merely have to say something.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(constant-output|chance-level)\]:skkd.TeacherWarning"
)

N, D = 60, 4


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, D).astype(np.float32)


@pytest.fixture(scope="module")
def y_encoded(X):
    return (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)


@pytest.fixture(scope="module")
def y(y_encoded):
    return np.array(["no", "yes"])[y_encoded]


@pytest.fixture(scope="module")
def teacher(X, y):
    return LogisticRegression().fit(X, y)


@pytest.fixture
def net(teacher):
    return distil(teacher=teacher)


def distil(**params):
    params = {"max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(**params)


def equal(one, other):
    """Tell whether two nets have the very same student."""
    pairs = zip(
        one.module_.state_dict().values(),
        other.module_.state_dict().values(),
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


def batch_sizes(net, kind="train"):
    key = f"{kind}_batch_size"
    return [b[key] for b in net.history[-1]["batches"] if key in b]


class Recorder(Callback):
    """Notes what callbacks are given."""

    def __init__(self):
        self.data, self.batches = [], []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.data.append((X, y))

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.batches.append((*batch, training))


class TwoInputs(nn.Module):
    def __init__(self, n_classes, seen=None):
        super().__init__()
        self.seen = [] if seen is None else seen
        self.linear = nn.Linear(D, n_classes)

    def forward(self, a, b):
        self.seen.append((a, b))
        return self.linear(torch.cat([a, b], dim=1))


class OneInput(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.seen = []
        self.linear = nn.Linear(*input_shape, n_classes)

    def forward(self, *args, **kwargs):
        self.seen.append((args, kwargs))
        return self.linear(args[0])


class Scaled(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(*input_shape, n_classes)

    def forward(self, x, scale=1.0):
        return self.linear(x) * scale


class FocalLoss(nn.Module):
    def forward(self, logits, y):
        p = logits.softmax(dim=1)[torch.arange(len(y)), y]
        return -((1 - p) ** 2 * p.log()).mean()


class Folder(Dataset):
    """As torchvision's: rows one by one, labels in `targets`."""

    def __init__(self, X, y, target_transform=None):
        self.rows, self.targets = X, y
        self.target_transform = target_transform
        self.n_read = 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        self.n_read += 1
        label = self.targets[i]
        if self.target_transform is not None:
            label = self.target_transform(label)
        return torch.as_tensor(self.rows[i]), label


class Bare(Dataset):
    """A Dataset that has nothing but rows."""

    def __init__(self, X, y):
        self.pairs = [*zip(torch.as_tensor(X), y, strict=True)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


class Doubled(SkorchDataset):
    """A dataset= of the user's, with a parameter."""

    def __init__(self, X, y=None, length=None, factor=2):
        super().__init__(X, y, length)
        self.factor = factor

    def transform(self, X, y):
        X, y = super().transform(X, y)
        return X * self.factor, y


def plus_ten(label):
    return label + 10


class TestCallbacks:
    def test_early_stopping_looks_at_the_true_task(self, net, X, y):
        net.set_params(
            callbacks=[EarlyStopping(patience=2, load_best=True)],
            train_split=ValidSplit(3),
            max_epochs=100,
            lr=0.1,
        ).fit(X, y)
        losses = net.history[:, "valid_loss"]
        assert len(losses) < 100
        assert np.argmin(losses) == len(losses) - 3

    def test_checkpoints_resume(self, net, X, y, tmp_path):
        def checkpoint():
            return Checkpoint(dirname=tmp_path, monitor=None)

        net.set_params(callbacks=[checkpoint()]).fit(X, y)
        again = clone(net)
        again.set_params(callbacks=[LoadInitState(checkpoint())], max_epochs=2)
        again.fit(X, y)
        assert len(again.history) == 5
        np.testing.assert_array_equal(again.history[:3, "epoch"], [1, 2, 3])

    def test_the_last_state_is_stored(self, net, X, y, tmp_path):
        net.set_params(callbacks=[TrainEndCheckpoint(dirname=tmp_path)]).fit(X, y)
        twin = clone(net).set_params(max_epochs=0, callbacks=None).fit(X, y)
        assert not equal(net, twin)
        twin.load_params(f_params=tmp_path / "train_end_params.pt")
        assert equal(net, twin)

    @pytest.mark.parametrize(
        ("policy", "params"),
        [
            ("StepLR", {"step_size": 1, "gamma": 0.1}),
            ("ReduceLROnPlateau", {"monitor": "train_loss", "patience": 0}),
        ],
    )
    def test_schedules(self, net, X, y, policy, params):
        net.set_params(callbacks=[LRScheduler(policy, event_name="lr", **params)])
        net.fit(X, y)
        assert net.history[0, "lr"] == 0.01
        if policy == "StepLR":
            assert net.history[-1, "lr"] == pytest.approx(1e-4)

    @pytest.mark.parametrize("use_caching", [True, False])
    @pytest.mark.parametrize("on_train", [True, False])
    @pytest.mark.parametrize(
        "scoring",
        [
            "accuracy",
            "balanced_accuracy",
            "roc_auc",
            "neg_log_loss",
            make_scorer(f1_score, pos_label="yes"),
            None,
        ],
    )
    def test_scores_of_an_epoch(self, teacher, X, y, scoring, on_train, use_caching):
        score = EpochScoring(
            scoring, on_train=on_train, use_caching=use_caching, name="score"
        )
        split = ValidSplit(3, stratified=True)
        # A student that hardly moves: what was cached is what is predicted now.
        net = distil(
            teacher=teacher,
            callbacks=[score],
            train_split=split,
            lr=1e-12,
            batch_size=16,
        ).fit(X, y)
        parts = split(SkorchDataset(X, y), y)
        rows = parts[0 if on_train else 1].indices
        if scoring is None:
            expected = net.score(X[rows], y[rows])
        else:
            expected = check_scoring(net, scoring)(net, X[rows], y[rows])
        assert net.history[-1, "score"] == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("use_caching", [True, False])
    @pytest.mark.parametrize("on_train", [True, False])
    def test_scores_of_batches(self, teacher, X, y, use_caching, on_train):
        frame = pd.DataFrame(X, columns=list("abcd"))
        score = BatchScoring(
            "accuracy", use_caching=use_caching, on_train=on_train, name="score"
        )
        net = distil(teacher=teacher, callbacks=[score], train_split=ValidSplit(3))
        net.set_params(lr=1e-12, batch_size=20, teacher=None).fit(frame, y)
        train, valid = ValidSplit(3)(SkorchDataset(X, y), y)
        rows = (train if on_train else valid).indices
        expected = net.score(frame.iloc[rows], y[rows])
        assert net.history[-1, "score"] == pytest.approx(expected)

    def test_progress_bar_and_clipping(self, net, X, y, capsys):
        callbacks = [ProgressBar(), GradientNormClipping(1.0)]
        net.set_params(callbacks=callbacks, train_split=ValidSplit(3)).fit(X, y)
        assert "it" in capsys.readouterr().err

    def test_they_see_the_users_rows_and_labels(self, net, X, y):
        frame = pd.DataFrame(X, columns=list("abcd"))
        for rows in (X, frame):
            recorder = Recorder()
            net.set_params(callbacks=[recorder], train_split=ValidSplit(3))
            net.set_params(teacher=None).fit(rows, y)
            ((seen_X, seen_y),) = recorder.data
            assert seen_X is rows
            np.testing.assert_array_equal(seen_y, y)
            labels = {tuple(row): label for row, label in zip(X, y, strict=True)}
            assert {training for *_, training in recorder.batches} == {True, False}
            for batch, batch_y, _ in recorder.batches:
                assert [labels[tuple(row)] for row in batch.numpy()] == batch_y.tolist()

    def test_teacher_and_weights_are_not_in_what_they_see(self, net, X, y):
        recorder = Recorder()
        net.set_params(callbacks=[recorder]).fit(X, y, sample_weight=np.ones(N))
        assert {type(batch) for batch, *_ in recorder.batches} == {torch.Tensor}

    def test_their_parameters_can_be_set(self, net, X, y):
        net.set_params(callbacks=[("stop", EarlyStopping())], train_split=ValidSplit(3))
        net.set_params(callbacks__stop__patience=7).fit(X, y)
        assert dict(net.callbacks_)["stop"].patience == 7
        net.set_params(callbacks__stop__patience=8, callbacks__valid_acc=None).fit(X, y)
        assert dict(net.callbacks_)["stop"].patience == 8
        assert "valid_acc" not in net.history[-1]
        assert clone(net).get_params()["callbacks__stop__patience"] == 8

    def test_history(self, net, X, y):
        net.fit(X, y)
        assert {"train_loss", "dur", "epoch"} <= net.history[-1].keys()
        assert "valid_loss" not in net.history[-1]
        net.set_params(train_split=ValidSplit(3, stratified=True)).fit(X, y)
        assert len(net.history) == 3
        _, valid = ValidSplit(3, stratified=True)(SkorchDataset(X, y), y)
        rows = valid.indices
        assert net.history[-1, "valid_acc"] == net.score(X[rows], y[rows])


class TestContinuing:
    def test_partial_fit(self, net, X, y):
        net.set_params(max_epochs=1)
        for _ in range(3):
            net.partial_fit(X, y)
        assert len(net.history) == 3
        first = net.history[0, "train_loss"]
        assert net.history[-1, "train_loss"] < first

    def test_partial_fit_keeps_the_standardisation(self, net, X, y):
        mean = net.partial_fit(X, y).module_.standardize.mean.clone()
        np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-5)
        net.partial_fit(X + 100, y)
        assert torch.equal(net.module_.standardize.mean, mean)

    def test_partial_fit_with_classes(self, net, X, y):
        rows = y == "yes"
        net.set_params(teacher=None).partial_fit(
            X[rows], y[rows], classes=["no", "yes"]
        )
        net.partial_fit(X[~rows], y[~rows])
        assert net.predict_proba(X).shape == (N, 2)
        net.partial_fit(X, y, classes=["yes", "no"])  # the same classes
        with pytest.raises(ValueError, match="differs"):
            net.partial_fit(X, y, classes=["yes", "no", "perhaps"])
        with pytest.raises(ValueError, match="outside the known classes: perhaps"):
            net.partial_fit(X, np.full(N, "perhaps"))

    def test_partial_fit_takes_what_fit_takes(self, net, X, y):
        net.partial_fit(X, y, teacher_logits=np.zeros((N, 2)), sample_weight=np.ones(N))
        net.partial_fit(X, y, teacher_X=X)

    def test_warm_start(self, net, X, y):
        net.set_params(warm_start=True).fit(X, y)
        before = net.history[-1, "train_loss"]
        net.fit(X, y)
        assert len(net.history) == 6
        assert net.history[-1, "train_loss"] < before
        with pytest.raises(ValueError, match="outside the known classes"):
            net.fit(X, np.arange(N) % 3)
        cold = net.set_params(warm_start=False, teacher=None).fit(X, np.arange(N) % 3)
        assert cold.classes_.tolist() == [0, 1, 2]

    def test_warm_start_equals_partial_fit(self, net, X, y):
        warm = clone(net).set_params(warm_start=True)
        assert equal(warm.fit(X, y).fit(X, y), net.partial_fit(X, y).partial_fit(X, y))

    @pytest.mark.parametrize("split", [None, ValidSplit(3)])
    def test_fit_loop(self, X, y, split):
        net = distil(train_split=split, max_epochs=1)
        expected = clone(net).fit(X, y).partial_fit(X, y)
        net.fit(X, y)
        torch.manual_seed(net.next_seed_)
        net.fit_loop(X, y, epochs=1)
        assert equal(net, expected)

    def test_parameters_survive_a_file(self, net, X, y, tmp_path):
        net.fit(X, y)
        files = {
            "f_params": tmp_path / "params.pt",
            "f_optimizer": tmp_path / "optimizer.pt",
            "f_criterion": tmp_path / "criterion.pt",
            "f_history": tmp_path / "history.json",
        }
        net.save_params(**files)
        shape = {"module__n_classes": 2, "module__input_shape": (D,)}
        other = distil(module=MLP, classes=["no", "yes"], **shape)
        other.initialize().load_params(**files)
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
        assert len(other.history) == len(net.history)
        nameless = distil(module=MLP, **shape).initialize()
        nameless.load_params(f_params=files["f_params"])
        with pytest.warns(DistillationWarning, match="classes="):
            columns = nameless.predict(X)
        np.testing.assert_array_equal(net.classes_[columns], net.predict(X))

    def test_parameters_can_be_set_on_a_fitted_net(self, net, X, y):
        net.fit(X, y).set_params(lr=0.5, temperature=2, alpha=0.1)
        net.partial_fit(X, y)
        assert net.optimizer_.param_groups[0]["lr"] == 0.5
        net.set_params(module__hidden=(3,)).partial_fit(X, y)
        assert net.module_.body[1].out_features == 3


class TestDatasets:
    @pytest.mark.parametrize(
        "make",
        [
            lambda X, y_encoded: TensorDataset(
                torch.tensor(X), torch.tensor(y_encoded)
            ),
            lambda X, y_encoded: SkorchDataset(X, y_encoded),
            lambda X, y_encoded: Folder(X, y_encoded.tolist()),
            lambda X, y_encoded: Folder(X, torch.tensor(y_encoded)),
            lambda X, y_encoded: Bare(X, y_encoded),
            lambda X, y_encoded: Bare(X, y_encoded.tolist()),
            lambda X, y_encoded: Bare(X, torch.tensor(y_encoded)),
        ],
        ids=["Tensor", "skorch", "targets", "tensor targets", "NumPy", "int", "tensor"],
    )
    @pytest.mark.parametrize("part", [False, True], ids=["whole", "Subset"])
    def test_one_in_the_place_of_X(self, X, y_encoded, make, part):
        rows = range(5, N) if part else range(N)
        dataset = make(X, y_encoded)
        dataset = Subset(dataset, rows) if part else dataset
        teacher = LogisticRegression().fit(X, y_encoded)
        params = {"module": MLP, "module__input_shape": (D,), "teacher": teacher}
        from_dataset = distil(**params).fit(dataset, None)
        from_arrays = distil(**params).fit(X[rows], y_encoded[rows])
        assert equal(from_dataset, from_arrays)
        assert from_dataset.score(dataset, None) == from_arrays.score(
            X[rows], y_encoded[rows]
        )
        np.testing.assert_array_equal(
            from_dataset.predict(dataset), from_arrays.predict(X[rows])
        )

    def test_nested_subsets(self, X, y_encoded):
        inner = Subset(Folder(X, y_encoded.tolist()), range(10, 50))
        net = distil().fit(Subset(inner, [30, 2, 7, 12, 39]), None)
        np.testing.assert_array_equal(net.history[0, "train_loss"] > 0, True)
        assert len(net.predict(inner)) == 40

    def test_labels_are_found_without_reading_rows(self, X, y_encoded):
        folder = Folder(X, y_encoded.tolist())
        distil(max_epochs=0).fit(Subset(folder, range(40)), None)
        assert folder.n_read == 1  # for its shape

    def test_but_not_where_they_are_transformed(self, X, y_encoded):
        net = distil().fit(Folder(X, y_encoded.tolist(), plus_ten), None)
        assert net.classes_.tolist() == [10, 11]

    def test_labels_beside_a_dataset(self, X, y_encoded, y):
        net = distil().fit(Folder(X, y_encoded.tolist()), y)
        assert net.classes_.tolist() == ["no", "yes"]

    def test_strings_in_a_skorch_dataset(self, net, X, y):
        dataset, twin = SkorchDataset(X, y), clone(net)
        assert equal(twin.fit(dataset, None), net.fit(X, y))
        for part, rows in (
            (dataset, slice(None)),
            (Subset(dataset, range(9)), slice(9)),
        ):
            np.testing.assert_array_equal(twin.predict(part), net.predict(X[rows]))
            assert twin.score(part, None) == net.score(X[rows], y[rows])

    def test_rows_of_several_float64_arrays(self, X, y_encoded):
        class Pairs(Bare):
            def __getitem__(self, i):
                row, code = super().__getitem__(i)
                return (row[:2].double(), row[2:].double()), code

        class First(TwoInputs):
            def forward(self, inputs):
                return super().forward(*inputs)

        net = distil(module=First).fit(Pairs(X, y_encoded), None)
        assert net.predict(Pairs(X, y_encoded)).shape == (N,)

    def test_teachers_of_every_kind_read_datasets(self, X, y_encoded):
        dataset = Bare(X, y_encoded)
        params = {"module": nn.Linear(D, 2), "random_state": 0}
        distil(teacher=nn.Linear(D, 2), **params).fit(dataset, None)
        distil(teacher=lambda x: np.zeros((len(x), 2)), **params).fit(dataset, None)

    def test_slices_in_a_search(self, X, y, teacher):
        dataset = SkorchDataset(X, y)
        net = distil(teacher=teacher, module=MLP, module__input_shape=(D,))
        grid = {"temperature": [1, 4]}
        search = GridSearchCV(net, grid, cv=3, error_score="raise")
        search.fit(SliceDataset(dataset), y)
        expected = GridSearchCV(net, grid, cv=3).fit(X, y)
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            expected.cv_results_["mean_test_score"],
        )
        assert search.score(SliceDataset(dataset), y) > 0.6

    @pytest.mark.parametrize("kind", [dict, SliceDict])
    def test_mappings(self, X, y, kind):
        asked = []

        def teacher(rows):
            asked.append(rows)
            return np.zeros((len(rows["a"]), 2))

        rows = kind(a=X[:, :2].astype(np.float64), b=X[:, 2:])
        net = distil(module=TwoInputs, teacher=teacher).fit(rows, y)
        assert {a.dtype for a, _ in net.module_.seen} == {torch.float32}
        assert [*asked[0]] == ["a", "b"]
        assert net.predict(rows).shape == (N,)
        assert not hasattr(net, "n_features_in_")

    def test_mappings_in_a_search(self, X, y):
        rows = SliceDict(a=X[:, :2], b=X[:, 2:])
        grid = {"lr": [0.1, 0.01]}
        search = GridSearchCV(
            distil(module=TwoInputs), grid, cv=2, error_score="raise"
        ).fit(rows, y)
        assert search.predict(rows).shape == (N,)

    def test_the_module_gets_the_input_alone(self, net, X, y):
        net.set_params(module=OneInput, train_split=ValidSplit(3))
        net.fit(X, y, sample_weight=np.ones(N)).predict(X)
        for args, kwargs in net.module_.seen:
            assert [type(arg) for arg in args] == [torch.Tensor]
            assert args[0].shape[1] == D
            assert kwargs == {}

    def test_the_module_gets_the_inputs_alone(self, X, y):
        rows = {"a": X[:, :2], "b": X[:, 2:]}
        net = distil(module=TwoInputs)  # another keyword would raise
        net.fit(rows, y, teacher_logits=np.zeros((N, 2)), sample_weight=np.ones(N))
        assert {(a.shape[1], b.shape[1]) for a, b in net.module_.seen} == {(2, 2)}

    @pytest.mark.parametrize(
        ("rows", "error", "message"),
        [
            ({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, ValueError, "consistent"),
            (TensorDataset(torch.zeros(0, 2), torch.zeros(0)), ValueError, "no rows"),
            (TensorDataset(torch.zeros(3, 2)), ValueError, "tuple of 1.*a pair"),
        ],
    )
    def test_what_has_no_rows_is_refused(self, rows, error, message):
        with pytest.raises(error, match=message):
            distil(module=TwoInputs).fit(rows, None if len(rows) in (0, 3) else [0] * 3)

    def test_streams_are_refused(self):
        class Stream(torch.utils.data.IterableDataset):
            def __iter__(self):
                yield torch.zeros(2), 0

        with pytest.raises(TypeError, match="IterableDataset"):
            distil().fit(Stream(), None)


class TestSplits:
    @pytest.mark.parametrize("names", [["no", "yes"], [5, 9], [0, 1]])
    def test_a_predefined_split_in_labels(self, X, y_encoded, names):
        labels = np.array(names)[y_encoded]
        held_out = SkorchDataset(X[:20], labels[:20])
        for valid in (held_out, Subset(held_out, range(5, 20))):
            net = distil(train_split=predefined_split(valid)).fit(X, labels)
            rows = slice(0, 20) if valid is held_out else slice(5, 20)
            expected = net.score(X[rows], labels[rows])
            assert net.history[-1, "valid_acc"] == pytest.approx(expected)
            p = net.predict_proba(X[rows])[
                np.arange(len(y_encoded[rows])), y_encoded[rows]
            ]
            expected = -np.log(p).mean()
            assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-4)

    def test_a_predefined_split_with_other_classes(self, X, y):
        split = predefined_split(SkorchDataset(X, np.full(N, "perhaps")))
        with pytest.raises(ValueError, match="outside the known classes: perhaps"):
            distil(train_split=split).fit(X, y)

    def test_stratified(self, net, X, y):
        rare = np.where(np.arange(N) < 6, "yes", "no")
        recorder = Recorder()
        net.set_params(train_split=ValidSplit(3, stratified=True), callbacks=[recorder])
        net.fit(X, rare)
        held_out = [y for _, y, training in recorder.batches if not training]
        assert (held_out[0] == "yes").sum() == 2

    def test_groups_reach_the_split(self, X, y):
        groups = np.arange(N) // 10
        split = ValidSplit(GroupKFold(3))
        recorder = Recorder()

        class Net(DistilledClassifier):
            def infer(self, x, groups=None, **fit_params):
                return super().infer(x, **fit_params)

        net = Net(train_split=split, callbacks=[recorder], max_epochs=1)
        net.fit(X, y, groups=groups)
        assert batch_sizes(net, "valid") == [20]

    def test_fit_params_reach_forward(self, X, y):
        one = distil(module=Scaled).fit(X, y, scale=0.0)
        assert one.history[-1, "train_loss"] == pytest.approx(np.log(2), rel=1e-6)


class TestIterators:
    def test_batch_sizes(self, net, X, y):
        assert batch_sizes(net.set_params(batch_size=25).fit(X, y)) == [25, 25, 10]
        assert batch_sizes(net.set_params(batch_size=-1).fit(X, y)) == [N]
        net.set_params(batch_size=25, iterator_train__drop_last=True)
        assert batch_sizes(net.fit(X, y)) == [25, 25]
        net.set_params(iterator_train__batch_size=-1)
        assert batch_sizes(net.fit(X, y)) == [N]

    def test_workers_change_nothing(self, net, X, y):
        expected = clone(net).fit(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork and threads
            net.set_params(iterator_train__num_workers=1, max_epochs=3).fit(X, y)
        assert equal(net, expected)

    def test_custom_collation(self, net, X, y):
        calls = []

        def collate(items):
            calls.append(len(items))
            return default_collate(items)

        expected = clone(net).fit(X, y)
        net.set_params(iterator_train__collate_fn=collate).fit(X, y)
        assert calls == [N] * 3
        assert equal(net, expected)

    def test_samplers(self, net, X, y):
        sampler = WeightedRandomSampler(np.ones(N), 30)
        net.set_params(iterator_train__sampler=sampler, batch_size=20).fit(X, y)
        assert batch_sizes(net) == [20, 10]

    def test_batch_samplers(self, net, X, y):
        recorder = Recorder()
        sampler = BatchSampler(SequentialSampler(range(N)), 25, drop_last=False)
        net.set_params(iterator_train__batch_sampler=sampler, callbacks=[recorder])
        net.fit(X, y)
        assert batch_sizes(net) == [25, 25, 10]
        np.testing.assert_array_equal(recorder.batches[1][0].numpy(), X[25:50])

    def test_order_can_be_kept(self, net, X, y):
        recorder = Recorder()
        net.set_params(iterator_train__shuffle=False, callbacks=[recorder]).fit(X, y)
        np.testing.assert_array_equal(recorder.batches[0][0].numpy(), X)

    def test_an_iterator_of_ones_own(self, net, X, y):
        class Loader(DataLoader):
            pass

        net.set_params(iterator_train=Loader, iterator_valid=Loader, batch_size=25)
        assert batch_sizes(net.fit(X, y)) == [25, 25, 10]
        assert net.predict(X).shape == (N,)

    @pytest.mark.parametrize("training", [False, True])
    def test_forward_keeps_the_order(self, net, X, y, training):
        net.set_params(batch_size=7).fit(X, y)
        out = net.forward(X, training=training)
        with torch.no_grad():
            expected = net.module_.eval()(torch.tensor(X))
        torch.testing.assert_close(out, expected)

    def test_a_dataset_class_of_ones_own(self, X, y):
        doubled = distil(module=OneInput, dataset=Doubled, dataset__factor=3).fit(X, y)
        ((batch,), _) = doubled.module_.seen[-1]
        rows = {tuple(np.round(row * 3, 4)) for row in X}
        assert {tuple(np.round(row, 4)) for row in batch.numpy()} == rows


class TestParts:
    def test_lbfgs(self, net, X, y):
        net.set_params(
            optimizer=torch.optim.LBFGS, lr=0.3, batch_size=-1, max_epochs=5
        ).fit(X, y)
        assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
        assert (net.predict(X) == y).mean() > 0.9

    def test_a_criterion_of_ones_own(self, net, X, y):
        net.set_params(criterion=FocalLoss, max_epochs=30).fit(X, y)
        p = net.predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert p.min() >= 0
        assert net.score(X, y) > 0.8

    def test_a_criterion_instance(self, net, X, y):
        twin = clone(net).set_params(criterion=nn.CrossEntropyLoss())
        assert equal(twin.fit(X, y), net.fit(X, y))

    @pytest.mark.parametrize("weight", [None, np.full(N, 2.0)])
    def test_label_smoothing(self, X, y, y_encoded, weight):
        net = distil(
            module=nn.Linear(D, 2), lr=0.0, criterion__label_smoothing=0.2, max_epochs=1
        ).fit(X, y, sample_weight=weight)
        log_p = np.log(net.predict_proba(X))
        target = np.full((N, 2), 0.1)
        target[np.arange(N), y_encoded] += 0.8
        expected = -(target * log_p).sum(axis=1).mean()
        assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)

    def test_a_nonlinearity_of_ones_own(self, net, X, y):
        net.set_params(predict_nonlinearity=None).fit(X, y)
        logits = net.predict_proba(X)
        assert not np.allclose(logits.sum(axis=1), 1)

    @pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss])
    def test_compiled(self, monkeypatch, X, y, teacher, criterion):
        """A wrapped criterion is told by what it wraps."""

        class Compiled(nn.Module):
            def __init__(self, module):
                super().__init__()
                self._orig_mod = module

            def forward(self, *args, **kwargs):
                return self._orig_mod(*args, **kwargs)

        monkeypatch.setattr(torch, "compile", lambda module, **kw: Compiled(module))
        student = nn.Sequential(nn.Linear(D, 2), nn.Softmax(dim=1))
        student = student if criterion is nn.NLLLoss else student[0]
        params = {"module": student, "criterion": criterion, "teacher": teacher}
        weight = np.arange(N) + 1.0
        plain = distil(**params).fit(X, y, sample_weight=weight)
        wrapped = distil(compile=True, **params).fit(X, y, sample_weight=weight)
        assert isinstance(wrapped.module_, Compiled)
        assert isinstance(wrapped.criterion_, Compiled)
        np.testing.assert_array_equal(
            wrapped.history[:, "train_loss"], plain.history[:, "train_loss"]
        )
        np.testing.assert_array_equal(wrapped.predict_proba(X), plain.predict_proba(X))

    def test_compile_is_off_by_default(self, net, X, y, monkeypatch):
        monkeypatch.delattr(torch, "compile")
        net.fit(X, y)

    def test_a_subclass(self, teacher, X, y):
        class Half(DistilledClassifier):
            def __init__(self, *args, factor=0.5, **kwargs):
                super().__init__(*args, **kwargs)
                self.factor = factor

            def get_loss(self, *args, **kwargs):
                return self.factor * super().get_loss(*args, **kwargs)

        params = {"teacher": teacher, "max_epochs": 1, "batch_size": -1}
        params |= {"random_state": 0, "device": "cpu"}
        half = clone(Half(factor=0.25, **params)).fit(X, y)
        whole = DistilledClassifier(**params).fit(X, y)
        assert half.teacher is teacher
        assert half.get_params()["factor"] == 0.25
        expected = 0.25 * whole.history[0, "train_loss"]
        assert half.history[0, "train_loss"] == pytest.approx(expected)

    def test_unknown_parameters_are_named(self, X, y):
        with pytest.raises(ValueError, match="temprature"):
            distil(temprature=3).fit(X, y)
        with pytest.raises(ValueError, match="iterator_train__x"):
            distil(iterator_trainx=3).fit(X, y)

    @pytest.mark.parametrize(
        "grid",
        [
            {"distillation": ["kd", "mse"]},
            {"alpha": [0, 1]},
            {"module__hidden": [(2,), (3,)]},
            {"optimizer": [torch.optim.SGD]},
            {"optimizer__weight_decay": [0.1]},
            {"criterion__label_smoothing": [0.1]},
            {"iterator_train__drop_last": [True]},
            {"callbacks": [None]},
            {"dataset": [SkorchDataset]},
            {"train_split": [None, ValidSplit(3)]},
        ],
        ids=lambda grid: next(iter(grid)),
    )
    def test_every_parameter_can_be_searched(self, net, X, y, grid):
        net.set_params(max_epochs=1)
        GridSearchCV(net, grid, cv=2, error_score="raise").fit(X, y)
