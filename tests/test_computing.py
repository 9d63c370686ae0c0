"""Precision, memory layout and the epoch loop: how the student is computed."""

import copy
import pickle
import shutil
import sys
from collections import OrderedDict, namedtuple
from unittest.mock import Mock

import numpy as np
import oracles
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Subset

from skkd import DistilledClassifier
from skkd._data.batches import TrainingSet, whole_batches
from skkd._data.keys import TEACHER_LOGITS, split_inputs
from skkd._estimator import compute
from skkd._estimator.compute import fetch_losses, resolve_precision
from skkd._estimator.skorch_classifier import SkorchClassifier
from skkd.augment import RandomHorizontalFlip
from skkd.losses import KD
from skkd.students import MLP
from skkd.teachers import as_teacher

N, C = 48, 3
SHAPE = (2, 6, 6)


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, *SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0].mean((1, 2)) > 0).astype(int) + (X[:, 1, 0, 0] > 0.5)


@pytest.fixture(scope="module")
def table():
    return np.random.RandomState(1).randn(N, C).astype(np.float32) * 3


def distil(**params):
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(**{"batch_size": 16, **params})


def state(net):
    return [value.clone() for value in net.module_.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def losses(net, key="train_loss"):
    return net.history[:, "batches", :, key]


def is_last(tensor):
    """Tell whether the channels of a tensor lie last in memory, and only so."""
    return (
        tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )


class Convolutions(nn.Module):
    """Notes what its head, and the convolution, are given."""

    def __init__(self, n_classes=C, width=4):
        super().__init__()
        self.conv = nn.Conv2d(SHAPE[0], width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width * 16, n_classes)
        self.given, self.dtypes = [], []

    def forward(self, x, scale=1.0):
        hidden = self.norm(self.conv(x))
        logits = self.head(self.flattened(hidden)) * scale
        self.given.append(x)
        self.dtypes.append((hidden.dtype, logits.dtype))
        return logits

    def flattened(self, hidden):
        return hidden.flatten(1)


class Viewing(Convolutions):
    def flattened(self, hidden):
        return hidden.view(len(hidden), -1)


class Double(Convolutions):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.double()


class Pair(Convolutions):
    def forward(self, x):
        with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu")):
            logits = super().forward(x)
        return logits, self.head(self.norm(self.conv(x)).flatten(1))


Named = namedtuple("Named", ["logits", "extra"])


class NamedPair(Convolutions):
    def forward(self, x):
        return Named(super().forward(x), None)


class NamedCriterion(nn.Module):
    def forward(self, outputs, y):
        return nn.functional.cross_entropy(outputs.logits, y)


class Output(OrderedDict):
    @property
    def logits(self):
        return self["logits"]


class ObjectOutput(Convolutions):
    def forward(self, x):
        return Output(logits=super().forward(x))


class SpyCriterion(nn.CrossEntropyLoss):
    seen = []

    def forward(self, logits, y):
        self.seen.append(logits.dtype)
        return super().forward(logits, y)


class Steady:
    """A teacher whose content can be told."""

    def __call__(self, rows):
        means = np.asarray(rows, np.float32).reshape(len(rows), -1).mean(axis=1)
        return np.stack([means, -means, 0 * means], axis=1)


class TestPrecision:
    @pytest.mark.parametrize("module", [MLP, Convolutions])
    def test_fp32_is_what_it_was(self, X, y, table, module):
        """Bit for bit what a loop of bare torch gives, in the same layout."""
        net = distil(module=module, alpha=0.5, temperature=4.0, precision="fp32")
        net.set_params(optimizer__foreach=False)
        net.set_params(optimizer=torch.optim.SGD, max_epochs=1)
        net.set_params(module__dropout=0.0) if module is MLP else None
        batches = []

        class Batches(Callback):
            def on_epoch_begin(self, net, **kwargs):
                self.start = copy.deepcopy(net.module_)

            def on_batch_begin(self, net, batch, training, **kwargs):
                batches.append(batch)

        recorder = Batches()
        net.set_params(callbacks=[recorder]).fit(X, y, teacher_logits=table)
        bare = recorder.start
        if module is MLP:  # what it learns of its rows, before the first batch
            for name, buffer in net.module_.named_buffers():
                bare.get_buffer(name).copy_(buffer)
        optimizer = torch.optim.SGD(bare.parameters(), lr=net.lr, foreach=False)
        of_row = {row.tobytes(): said for row, said in zip(X, table, strict=True)}
        for rows, y_encoded in batches:
            if net.channels_last_:
                inputs = rows.contiguous(memory_format=torch.channels_last)
            else:
                inputs = rows
            said = np.stack([of_row[row.tobytes()] for row in rows.numpy()])
            optimizer.zero_grad()
            out = bare.train()(inputs)
            hard = nn.functional.cross_entropy(out, y_encoded)
            soft = KD()(out, torch.from_numpy(said), y_encoded, 4.0).mean()
            (0.5 * hard + 0.5 * soft).backward()
            optimizer.step()
        assert len(batches) == 3
        assert equal(state(net), bare.state_dict().values())

    def test_bf16_computes_in_it_and_keeps_float32(self, X, y):
        dtypes = []

        class Spy(Callback):
            def on_grad_computed(self, net, named_parameters, **kwargs):
                dtypes.extend(p.grad.dtype for _, p in named_parameters)

        net = distil(
            module=Convolutions, teacher=Steady(), precision="bf16", callbacks=[Spy()]
        ).fit(X, y)
        assert {*net.module_.dtypes} == {(torch.bfloat16, torch.bfloat16)}
        assert {*dtypes} == {torch.float32}
        assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
        slots = net.optimizer_.state_dict()["state"].values()
        assert {s["exp_avg"].dtype for s in slots} == {torch.float32}
        net.module_.dtypes.clear()
        proba = net.predict_proba(X)
        assert proba.dtype == np.float32
        assert {*net.module_.dtypes} == {(torch.bfloat16, torch.bfloat16)}
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
        assert net.forward(X).dtype == torch.float32

    def test_the_losses_see_float32(self, X, y):
        seen = []

        def spy(student, teacher, y, temperature):
            seen.extend([student.dtype, teacher.dtype])
            return ((student - teacher) ** 2).sum(dim=1)

        SpyCriterion.seen.clear()
        net = distil(
            module=Convolutions,
            teacher=Steady(),
            precision="bf16",
            distillation=spy,
            criterion=SpyCriterion,
            train_split=ValidSplit(3),
        ).fit(X, y)
        assert {*seen, *SpyCriterion.seen} == {torch.float32}
        for kind in ("train", "valid"):
            value = net.history[-1, f"{kind}_loss"]
            assert value != float(torch.tensor(value).bfloat16())

    # The digits of any teacher will do.
    @pytest.mark.filterwarnings(r"ignore:\[random-head\]:skkd.TeacherWarning")
    def test_what_is_remembered_is_float32(self, X, y):
        """The teacher speaks as it would of a student in float32."""
        torch.manual_seed(0)
        teacher = nn.Sequential(nn.Flatten(), nn.Linear(72, 99), nn.Linear(99, C))
        heard = []

        def spy(student, logits, y, temperature):
            heard.append(logits)
            return (student - logits).square().sum(dim=1)

        params = {"batch_size": -1, "max_epochs": 1, "iterator_train__shuffle": False}
        for precision in ("bf16", "fp32", "bf16"):
            net = distil(
                module=Convolutions,
                teacher=teacher,
                distillation=spy,
                precision=precision,
                **params,
            ).fit(X, y)
        assert net.cache_info_.hits == N
        with torch.no_grad():
            expected = teacher(torch.from_numpy(X))
        for logits in heard:
            torch.testing.assert_close(logits, expected)
        assert torch.equal(heard[0], heard[1])

    def test_float64_students_stay_float64(self, X, y, table):
        fits = [
            distil(module=Double, precision=precision).fit(X, y, teacher_logits=table)
            for precision in ("fp32", "bf16")
        ]
        assert {*fits[1].module_.dtypes} == {(torch.float64, torch.float64)}
        assert fits[1].predict_proba(X).dtype == np.float64
        assert equal(*map(state, fits))

    def test_digits_are_learnt_as_well(self):
        X, y = load_digits(return_X_y=True)
        images = X.reshape(-1, 1, 8, 8).astype(np.float32)
        for rows, epochs in ((X, 15), (images, 6)):
            scores = [
                distil(precision=precision, max_epochs=epochs, batch_size=64, lr=3e-3)
                .fit(rows[:1000], y[:1000])
                .score(rows[1000:], y[1000:])
                for precision in ("fp32", "bf16")
            ]
            assert scores[0] > 0.88
            assert abs(scores[0] - scores[1]) <= 0.02

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            ((), "fp32"),
            (("_is_avx512_bf16_supported",), "bf16"),
            (("_is_amx_tile_supported",), "bf16"),
        ],
    )
    def test_auto_asks_the_cpu(self, X, y, monkeypatch, names, expected):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            there = name in names
            monkeypatch.setattr(torch.cpu, name, lambda there=there: there, False)
        assert resolve_precision("auto", "cpu") == expected
        net = distil(module=Convolutions, precision="auto").fit(X, y)
        half = net.module_.dtypes[-1] == (torch.bfloat16, torch.bfloat16)
        assert half == (expected == "bf16")

    def test_auto_is_careful_where_torch_cannot_tell(self, monkeypatch):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.delattr(torch.cpu, name, raising=False)
        assert resolve_precision("auto", "cpu") == "fp32"
        assert resolve_precision("auto", "mps") == "fp32"

    @pytest.mark.parametrize("native", [True, False])
    def test_auto_asks_cuda_what_it_multiplies_in(self, monkeypatch, native):
        def supported(including_emulation=True):
            return including_emulation or native

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        assert resolve_precision("auto", "cuda") == ("bf16" if native else "fp32")

    @pytest.mark.parametrize("precision", ["fp16", "float32", None, 16, True, []])
    def test_another_value_is_refused_before_training(self, X, y, precision):
        asked = []
        net = distil(precision=precision, teacher=lambda rows: asked.append(rows))
        with pytest.raises(ValueError, match=r"precision=.*expected 'fp32', 'bf16'"):
            net.fit(X, y)
        assert not net.initialized_
        assert asked == []

    def test_it_is_a_parameter_like_any_other(self, X, y):
        search = GridSearchCV(
            distil(module=Convolutions), {"precision": ["fp32", "bf16"]}, cv=2
        ).fit(X, y)
        assert search.cv_results_["param_precision"].tolist() == ["fp32", "bf16"]
        assert clone(distil(precision="bf16")).precision == "bf16"
        net = distil(module=Convolutions).fit(X, y)
        before = [p.data_ptr() for p in net.module_.parameters()]
        net.set_params(precision="bf16")  # of a trained student, which it keeps
        assert [p.data_ptr() for p in net.module_.parameters()] == before
        net.module_.dtypes.clear()
        net.predict(X)
        assert net.module_.dtypes[-1][1] == torch.bfloat16

    @pytest.mark.parametrize("precision", ["bf16", "auto"])
    def test_copies_predict_the_same(self, X, y, precision):
        net = distil(precision=precision).fit(X, y)
        twin = pickle.loads(pickle.dumps(net))
        np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))

    def test_tuples_of_outputs(self, X, y, table):
        net = distil(module=Pair, precision="bf16").fit(X, y, teacher_logits=table)
        assert net.predict_proba(X).dtype == np.float32
        first, second = net.forward(X[:5])
        assert first.dtype == second.dtype == torch.float32

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_a_named_tuple_keeps_its_names(self, X, y, precision):
        net = distil(module=NamedPair, criterion=NamedCriterion, precision=precision)
        assert net.fit(X, y).history[-1, "train_loss"] > 0

    def test_objects_of_outputs(self, X, y, table):
        SpyCriterion.seen.clear()
        net = distil(module=ObjectOutput, criterion=SpyCriterion, precision="bf16")
        net.fit(X, y, teacher_logits=table)
        assert net.predict_proba(X).dtype == np.float32
        assert {*SpyCriterion.seen} == {torch.float32}

    # The digits of any teacher will do.
    @pytest.mark.filterwarnings(
        r"ignore:\[(random-head|train-mode)\]:skkd.TeacherWarning"
    )
    def test_a_live_teacher_computes_in_its_own_precision(self, X, y):
        teacher, dtypes, heard = nn.Sequential(nn.Flatten(), nn.Linear(72, C)), [], []
        teacher.register_forward_hook(lambda *args: dtypes.append(args[-1].dtype))

        def spy(student, logits, y, temperature):
            heard.append(logits.dtype)
            return (student - logits).square().sum(dim=1)

        params = {"module": nn.Sequential(nn.Flatten(), nn.Linear(72, C))}
        distil(
            **params,
            teacher=teacher,
            augment=RandomHorizontalFlip(),
            precision="bf16",
            distillation=spy,
        ).fit(X, y)
        assert {*dtypes} == {torch.float32}
        assert {*heard} == {torch.float32}
        assert {p.dtype for p in teacher.parameters()} == {torch.float32}
        assert all(p.grad is None for p in teacher.parameters())


class TestLayout:
    def test_images_lie_with_their_channels_last(self, X, y):
        net = distil(module=Convolutions).fit(X, y)
        assert net.channels_last_ is True
        assert all(map(is_last, net.module_.given))
        assert is_last(net.module_.conv.weight)
        slots = net.optimizer_.state[net.module_.conv.weight]
        assert slots["exp_avg"].shape == net.module_.conv.weight.shape

    @pytest.mark.parametrize("params", [{"module": Convolutions}, {"module": None}])
    def test_results_are_those_of_the_other_layout(self, X, y, params, monkeypatch):
        fits = []
        for likes in (True, False):
            answer = Mock(return_value=likes)
            monkeypatch.setattr(compute, "_likes_channels_last", answer)
            # Steps as large as the gradient: Adam's double every last digit.
            net = distil(teacher=Steady(), optimizer=torch.optim.SGD, **params)
            fits.append(net.fit(X, y))
            assert net.channels_last_ is likes
        for one, other in zip(*map(state, fits), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        one, other = (net.predict_proba(X) for net in fits)
        np.testing.assert_allclose(one, other, atol=1e-5)
        np.testing.assert_allclose(*map(losses, fits), atol=1e-5)

    @pytest.mark.parametrize("checked", [True, False])
    def test_a_student_that_takes_views_trains(self, X, y, checked, monkeypatch):
        arguments = {} if checked else {"scale": torch.tensor(1.0)}
        net = distil(module=Viewing, optimizer=torch.optim.SGD)
        net.fit(X, y, **arguments)
        assert net.channels_last_ is False
        assert net.module_.conv.weight.is_contiguous()
        monkeypatch.setattr(compute, "_likes_channels_last", lambda *_: False)
        plain = distil(module=Viewing, optimizer=torch.optim.SGD)
        plain.fit(X, y, **arguments)
        # Not the parameters alone: a batch counts once in the running statistics.
        assert equal(state(net), state(plain))

    def test_another_error_is_not_swallowed(self, X, y):
        class Broken(Convolutions):
            def flattened(self, hidden):
                raise RuntimeError("something else")

        with pytest.raises(ValueError, match="something else"):
            distil(module=Broken).fit(X, y)

    @pytest.mark.parametrize("rows", ["images", "table"])
    def test_students_without_convolutions_are_left_alone(self, X, y, rows):
        inputs = X if rows == "images" else X.reshape(N, -1)
        given = []

        class Noting(nn.Module):
            def __init__(self, n_classes):
                super().__init__()
                self.four = nn.Parameter(torch.ones(2, 3, 4, 5))
                self.head = nn.Linear(72, n_classes)

            def forward(self, x):
                given.append(x)
                return self.head(x.flatten(1)) * self.four.mean()

        net = distil(module=Noting).fit(inputs, y)
        assert net.channels_last_ is False
        assert all(x.is_contiguous() for x in given)
        assert net.module_.four.is_contiguous()

    def test_the_template_is_untouched(self, X, y):
        template = Convolutions()
        before = copy.deepcopy(template.state_dict())
        net = distil(module=template).fit(X, y)
        assert net.channels_last_
        assert is_last(net.module_.conv.weight)
        assert template.conv.weight.is_contiguous()
        assert template.given == []
        assert equal(before.values(), template.state_dict().values())

    @pytest.mark.parametrize("module", [Convolutions, Viewing])
    @pytest.mark.parametrize("arguments", [{}, {"scale": torch.tensor(1.0)}])
    def test_the_optimizer_holds_the_same_parameters(self, X, y, module, arguments):
        starts = []

        class Start(Callback):
            def on_train_begin(self, net, **kwargs):
                starts.append([p.clone() for p in net.module_.parameters()])

        net = distil(module=module, callbacks=[Start()]).fit(X, y, **arguments)
        held = [p for group in net.optimizer_.param_groups for p in group["params"]]
        parameters = [*net.module_.parameters()]
        assert all(a is b for a, b in zip(held, parameters, strict=True))
        changed = zip(starts[0], parameters, strict=True)
        assert not any(torch.equal(a, b) for a, b in changed)

    def test_lazy_layers(self, X, y):
        module = nn.Sequential(
            nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, C)
        )
        assert distil(module=module).fit(X, y).predict(X).shape == (N,)

    @pytest.mark.parametrize("module", [Convolutions, Viewing])
    def test_it_survives_what_is_done_to_nets(self, X, y, module, tmp_path):
        net = distil(module=module).fit(X, y)
        expected, layout = net.predict_proba(X), net.channels_last_
        net.module_.given.clear()
        for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin.channels_last_ is layout
            np.testing.assert_array_equal(twin.predict_proba(X), expected)
            twin.partial_fit(X, y)
        assert not hasattr(clone(net), "module_")
        assert clone(net).channels_last_ is None

        net.save_params(f_params=tmp_path / "p.pt", f_optimizer=tmp_path / "o.pt")
        fresh = distil(module=module, classes=range(C)).initialize()
        assert fresh.channels_last_ is None
        fresh.load_params(f_params=tmp_path / "p.pt", f_optimizer=tmp_path / "o.pt")
        np.testing.assert_allclose(fresh.predict_proba(X), expected, atol=1e-6)
        assert fresh.channels_last_ is layout
        used = distil(module=module).fit(X[::-1], y)  # whose layout is known
        used.load_params(f_params=tmp_path / "p.pt", f_optimizer=tmp_path / "o.pt")
        np.testing.assert_array_equal(used.predict_proba(X), expected)
        assert equal(state(used.partial_fit(X, y)), state(net.partial_fit(X, y))) is (
            used.next_seed_ == net.next_seed_
        )

    def test_it_is_found_out_anew_for_another_student(self, X, y):
        net = distil(module=Convolutions, warm_start=True).fit(X, y)
        weight = net.module_.conv.weight
        assert net.fit(X, y).module_.conv.weight is weight
        assert net.channels_last_ is True
        net.set_params(module__width=5)
        assert net.channels_last_ is None
        assert net.fit(X, y).channels_last_ is True
        net.set_params(module=Viewing, warm_start=False).fit(X, y)
        assert net.channels_last_ is False
        net.set_params(module=Convolutions).fit(X, y)
        assert net.channels_last_ is True

    def test_frozen_parameters_stay_frozen(self, X, y):
        template = Convolutions()
        template.conv.requires_grad_(False)
        net = distil(module=template).fit(X, y)
        assert not net.module_.conv.weight.requires_grad
        assert torch.equal(net.module_.conv.weight, template.conv.weight)


class TestLayoutOfTeachers:
    def skorch_net(self, module, X, y):
        net = NeuralNetClassifier(
            module,
            criterion=nn.CrossEntropyLoss,
            max_epochs=1,
            verbose=0,
            train_split=None,
            device="cpu",
        )
        return net.fit(X, y.astype(np.int64))

    @pytest.mark.parametrize("kind", [Convolutions, Viewing])
    @pytest.mark.parametrize("wrapped", ["module", "skorch"])
    # The modes and layouts of any teacher will do.
    @pytest.mark.filterwarnings(
        r"ignore:\[(random-head|train-mode)\]:skkd.TeacherWarning"
    )
    def test_they_teach_right_and_stay_as_they_are(self, X, y, kind, wrapped):
        torch.manual_seed(0)
        module = kind()
        teacher = module if wrapped == "module" else self.skorch_net(module, X, y)
        module = module if wrapped == "module" else teacher.module_
        module.eval()
        with torch.no_grad():
            expected = module(torch.from_numpy(X))
        before = {k: v.clone() for k, v in module.state_dict().items()}
        strides = [p.stride() for p in module.parameters()]
        places = [p.data_ptr() for p in module.parameters()]
        module.train()
        module.given.clear()
        said = as_teacher(teacher).logits(X, np.arange(C))
        np.testing.assert_allclose(said, expected.numpy(), atol=1e-5)
        distil(teacher=teacher, module=MLP, module__hidden=(2,)).fit(X, y)
        assert module.training
        assert [p.stride() for p in module.parameters()] == strides
        assert [p.data_ptr() for p in module.parameters()] == places
        assert equal(before.values(), module.state_dict().values())
        assert any(map(is_last, module.given)) is (kind is Convolutions)

    def test_a_student_that_was_a_student(self, X, y):
        first = distil(module=Viewing).fit(X, y)
        net = distil(teacher=first, alpha=1, module=MLP, module__hidden=(2,))
        net.fit(X, y)
        assert first.channels_last_ is False


class Watching(Callback):
    """Notes what a progress bar would show."""

    def __init__(self):
        self.shown, self.losses, self.gradients = [], [], 0

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.shown.append([])

    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        key = "train_loss" if training else "valid_loss"
        self.shown[-1].append((key, net.history[-1, "batches", -1, key]))
        self.losses.append(loss.item())

    def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
        assert all(p.grad is not None for _, p in named_parameters)
        self.gradients += 1


class TestEpochs:
    def rows_of(self, history):
        return [
            {k: v for k, v in row.items() if k != "dur"}
            | {"batches": [dict(b) for b in row["batches"]]}
            for row in history
        ]

    @pytest.mark.parametrize("train_split", [None, ValidSplit(3)])
    def test_the_history_is_that_of_skorch(self, X, y, table, train_split, monkeypatch):
        def fit():
            net = distil(module=Convolutions, train_split=train_split, batch_size=10)
            return net.fit(X, y, teacher_logits=table)

        ours = fit()
        for name in ("run_single_epoch", "_set_training"):
            monkeypatch.setattr(
                SkorchClassifier, name, getattr(NeuralNetClassifier, name)
            )
        theirs = fit()
        assert self.rows_of(ours.history) == self.rows_of(theirs.history)
        assert equal(state(ours), state(theirs))
        assert {type(v) for row in losses(ours) for v in row} == {float}

    def test_callbacks_see_the_loss_of_the_batch(self, X, y):
        watching = Watching()
        net = distil(train_split=ValidSplit(3), callbacks=[watching]).fit(X, y)
        shown = [value for batch in watching.shown for _, value in batch]
        assert shown == pytest.approx(watching.losses)
        assert len(shown) == sum(len(row["batches"]) for row in net.history)
        assert [k for b in watching.shown for k, _ in b].count("valid_loss") == 2
        assert watching.gradients == 2 * 2

    def test_callbacks_may_read_only_the_beginning_of_a_batch(self, X, y):
        begun = []

        class Beginning(Callback):
            def on_batch_begin(self, net, batch=None, training=None, **kwargs):
                begun.append(batch)

        names = np.array(["a", "b", "c"])[y]
        distil(callbacks=[Beginning()], max_epochs=1).fit(X, names)
        assert sorted(np.concatenate([b[1] for b in begun])) == sorted(names)
        assert all(isinstance(b[0], torch.Tensor) for b in begun)

    def test_a_hook_put_on_an_instance_is_called(self, X, y):
        calls = []
        callback = Callback()
        net = distil(callbacks=[callback], max_epochs=1)
        net.initialize = lambda: net  # not to lose what is put there
        del net.initialize
        callback.on_batch_end = lambda *args, **kwargs: calls.append("callback")
        net.on_batch_end = lambda *args, **kwargs: calls.append("net")
        net.fit(X, y)
        assert calls == ["net", "callback"] * 3

    def test_a_subclass_is_heeded(self, X, y):
        seen = []

        class Mine(DistilledClassifier):
            def on_batch_end(self, net, batch=None, training=None, **kwargs):
                seen.append(batch[1])
                super().on_batch_end(net, batch=batch, training=training, **kwargs)

        Mine(max_epochs=1, device="cpu", random_state=0).fit(
            X, np.array(list("abc"))[y]
        )
        assert sorted(np.concatenate(seen)) == sorted(np.array(list("abc"))[y])

    @pytest.mark.parametrize("use_caching", [True, False])
    @pytest.mark.parametrize("unlabelled", [0, 20])
    # Its teacher is random, and the same everywhere.
    @pytest.mark.filterwarnings(r"ignore:\[chance-level\]:skkd.TeacherWarning")
    def test_scores_of_epochs(self, X, y, use_caching, unlabelled):
        names = np.array(["no", "yes", "why"])[y].astype(object)
        names[:unlabelled] = "?"
        scoring = [
            EpochScoring("accuracy", name=name, on_train=name == "ours", **kwargs)
            for name, kwargs in (("ours", {}), ("held", {}))
            for kwargs in [{"use_caching": use_caching}]
        ]
        net = distil(
            teacher=Steady(),
            unlabeled="?",
            callbacks=scoring,
            train_split=ValidSplit(3),
            max_epochs=1,
            lr=0.0,
            module=nn.Sequential(nn.Flatten(), nn.Linear(72, C)),
        ).fit(X, names)
        held = net.history[-1, "held"]
        assert held == net.history[-1, "valid_acc"]
        known = names != "?"
        train, valid = ValidSplit(3)(Dataset(X[known], y[known]), y[known])
        predicted = net.predict(X[known])
        right = predicted == names[known]
        assert net.history[-1, "ours"] == pytest.approx(right[train.indices].mean())
        assert held == pytest.approx(right[valid.indices].mean())

    def test_a_part_in_another_mode_is_put_right(self, X, y):
        modes = []

        class Meddling(Callback):
            def on_batch_end(self, net, training=None, **kwargs):
                net.module_.norm.eval() if training else net.module_.norm.train()

        class Noting(Convolutions):
            def forward(self, x, scale=1.0):
                modes.append((self.training, self.norm.training))
                return super().forward(x)

        net = distil(
            module=Noting, callbacks=[Meddling()], train_split=ValidSplit(3)
        ).fit(X, y)
        assert {*modes} == {(True, True), (False, False)}
        net.module_.train()
        modes.clear()
        net.predict(X)
        assert {*modes} == {(False, False)}
        net.forward(X, training=True)
        assert modes[-1] == (True, True)

    def test_a_criterion_has_a_mode_too(self, X, y):
        modes = []

        class Moody(nn.CrossEntropyLoss):
            def forward(self, logits, y):
                modes.append(self.training)
                return super().forward(logits, y)

        distil(criterion=Moody, train_split=ValidSplit(3), max_epochs=1).fit(X, y)
        assert modes[0] is True
        assert modes[-1] is False

    def test_a_train_method_of_its_own_is_called(self, X, y):
        """As freezes the statistics of a batch normalisation, in many networks."""

        class Frozen(Convolutions):
            def train(self, mode=True):
                super().train(mode)
                self.norm.eval()
                return self

        net = distil(module=Frozen).fit(X, y)
        assert net.module_.norm.num_batches_tracked == 0

    def test_losses_are_fetched_together(self):
        batches = [
            {"train_loss": torch.tensor(1.5), "train_batch_size": 3},
            {"train_loss": 2.5},
            {"train_loss": torch.tensor(0.25, dtype=torch.float64)},
            {"train_batch_size": 1},  # where the epoch was interrupted
        ]
        fetch_losses(batches, "train_loss")
        assert batches == [
            {"train_loss": 1.5, "train_batch_size": 3},
            {"train_loss": 2.5},
            {"train_loss": 0.25},
            {"train_batch_size": 1},
        ]
        assert {type(b["train_loss"]) for b in batches[:3]} == {float}
        fetch_losses([], "train_loss")

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    def test_an_interrupted_epoch_keeps_its_losses(self, X, y, error):
        class Interrupting(Callback):
            def on_batch_begin(self, net, training=None, **kwargs):
                if len(net.history[-1]["batches"]) == 3:
                    raise error

        net = distil(callbacks=[Interrupting()])
        if error is KeyboardInterrupt:
            net.fit(X, y)
        else:
            with pytest.raises(RuntimeError):
                net.fit(X, y)
        values = [b.get("train_loss") for b in net.history[-1]["batches"]]
        assert [type(v) for v in values] == [float, float, type(None)]
        assert "train_batch_count" not in net.history[-1]
        assert pickle.loads(pickle.dumps(net.history)) == net.history
        assert net.predict(X).shape == (N,)

    def test_a_deferred_loss_is_a_number_when_the_epoch_ends(self, X, y, monkeypatch):
        """As on a device that is not to be waited for."""

        class Elsewhere:
            """A loss that says it lies on another device."""

            def __init__(self, loss):
                self.loss = loss

            def detach(self):
                elsewhere = self.loss.detach().as_subclass(Far)
                return elsewhere

        class Far(torch.Tensor):
            @property
            def device(self):
                return torch.device("cuda")

            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                with torch._C.DisableTorchFunctionSubclass():
                    return function(*args, **(kwargs or {}))

        during = []

        class Peeking(Callback):
            def on_batch_begin(self, net, **kwargs):
                earlier = net.history[-1]["batches"][:-1]
                during.extend(batch["train_loss"] for batch in earlier)

        class Showing(Peeking):
            """Reads each loss when it is there, as a progress bar does."""

            def on_batch_end(self, net, **kwargs):
                during.append(net.history[-1]["batches"][-1]["train_loss"])

        plain = distil(batch_size=10).fit(X, y)
        step = DistilledClassifier.train_step

        def far_step(self, batch, **kwargs):
            taken = step(self, batch, **kwargs)
            return {**taken, "loss": Elsewhere(taken["loss"])}

        monkeypatch.setattr(DistilledClassifier, "train_step", far_step)
        net = distil(batch_size=10, callbacks=[Peeking()]).fit(X, y)
        assert {type(value) for value in during} == {torch.Tensor}
        assert losses(net) == losses(plain)
        assert {type(v) for row in losses(net) for v in row} == {float}
        assert net.history[-1, "train_loss"] == plain.history[-1, "train_loss"]
        during.clear()
        distil(batch_size=10, callbacks=[Showing()]).fit(X, y)
        assert {type(value) for value in during} == {float}


class TestBatchesOnADevice:
    @pytest.fixture
    def rows(self, X, y, table):
        base = Dataset(X, y)
        beside = {TEACHER_LOGITS: table}
        return TrainingSet(
            base, X=X, y=y, y_encoded=y.astype(np.int64), batch_fields=beside
        )

    def batches(self, dataset):
        drawn = DataLoader(
            dataset,
            batch_size=7,
            shuffle=True,
            collate_fn=lambda batch: batch,
            generator=torch.Generator().manual_seed(3),
        )
        return [*drawn]

    def assert_same(self, one, other):
        for (a, y_encoded), (b, other_codes) in zip(one, other, strict=True):
            assert torch.equal(y_encoded, other_codes)
            assert y_encoded.dtype == other_codes.dtype == torch.int64
            (inputs, beside), (others, besides) = split_inputs(a), split_inputs(b)
            assert torch.equal(inputs, others)
            assert inputs.dtype == others.dtype
            assert beside.keys() == besides.keys()
            for key, value in beside.items():
                assert torch.equal(value, besides[key])

    def test_rows_that_moved_give_the_same_batches(self, rows, monkeypatch):
        stays = whole_batches(rows)
        assert not stays.is_resident
        monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
        moved = whole_batches(rows, "cpu")
        assert moved.is_resident
        assert moved.dataset is not rows
        self.assert_same(self.batches(moved), self.batches(stays))
        part = Subset(Subset(rows, range(5, 40)), range(0, 30, 2))
        monkeypatch.undo()
        there = whole_batches(part)
        monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
        self.assert_same(self.batches(whole_batches(part, "cpu")), self.batches(there))

    # Random logits show where rows went.
    @pytest.mark.filterwarnings(r"ignore:\[chance-level\]:skkd.TeacherWarning")
    def test_a_fit_on_moved_rows_is_the_same(self, X, y, table, monkeypatch):
        def fit():
            net = distil(unlabeled=2, batch_size=10, train_split=ValidSplit(3))
            weight = np.arange(N) + 1.0
            return net.fit(X, y, teacher_logits=table[:, :2], sample_weight=weight)

        y = np.where(np.arange(N) % 5 == 0, 2, y % 2)
        stayed = fit()
        monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
        assert equal(state(stayed), state(fit()))

    # Its teacher is random and sure.
    @pytest.mark.filterwarnings(r"ignore:\[saturated\]:skkd.TeacherWarning")
    def test_arrays_that_are_read_only_make_no_warning(self, X, y, table):
        for values in (X, X[::-1], X.astype(np.uint8)):
            shown = values.view()
            shown.setflags(write=False)
            y_encoded = y.astype(np.int64)
            y_encoded.setflags(write=False)
            said = table.view()
            said.setflags(write=False)
            rows = TrainingSet(
                Dataset(shown, y_encoded),
                X=shown,
                y=y_encoded,
                y_encoded=y_encoded.copy(),
                batch_fields={TEACHER_LOGITS: said},
            )
            moved = rows.to("cpu")
            np.testing.assert_array_equal(moved.arrays().numpy(), values)
            assert moved.arrays().dtype == torch.as_tensor(values.copy()).dtype
            distil(max_epochs=1, teacher=Steady()).fit(shown, y_encoded)

    def test_mappings_move_key_by_key(self, X, y):
        parts = {"a": X[:, :1], "b": X[:, 1:]}
        rows = TrainingSet(
            Dataset(parts, y), X=parts, y=y, y_encoded=y.astype(np.int64)
        )
        moved = rows.to("cpu").arrays()
        assert moved.keys() == parts.keys()
        np.testing.assert_array_equal(moved["b"].numpy(), parts["b"])


class TestFewClasses:
    """A softmax of few classes goes along the other axis; the numbers stay."""

    @pytest.mark.parametrize("n_classes", [2, 31, 32, 33])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("temperature", [1.0, 4.0])
    def test_value_and_gradient(self, n_classes, dtype, temperature):
        rng = np.random.RandomState(n_classes)
        student, teacher = rng.randn(2, 9, n_classes) * 5
        z_s = torch.tensor(student, dtype=dtype, requires_grad=True)
        z_t = torch.tensor(teacher, dtype=dtype)
        each = KD()(z_s, z_t, torch.zeros(9, dtype=torch.int64), temperature)
        each.sum().backward()
        assert each.shape == (9,)
        assert each.dtype == dtype
        tolerance = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
        np.testing.assert_allclose(
            each.detach(),
            oracles.kd(student, teacher, temperature),
            rtol=tolerance,
            atol=tolerance,
        )
        np.testing.assert_allclose(
            z_s.grad,
            oracles.kd_gradient(student, teacher, temperature),
            rtol=tolerance,
            atol=tolerance,
        )

    def test_rows_that_are_not_contiguous(self):
        student, teacher = np.random.RandomState(0).randn(2, 7, 5)
        one = KD()(
            torch.tensor(np.asfortranarray(student)),
            torch.tensor(teacher.T.copy()).t(),
            torch.zeros(7, dtype=torch.int64),
            2.0,
        )
        np.testing.assert_allclose(one, oracles.kd(student, teacher, 2.0), rtol=1e-12)


@pytest.mark.slow  # the compiler takes half a minute
@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("g++"), reason="needs a compiler"
)
@pytest.mark.filterwarnings("default")  # of torch's compiler, of all kinds
@pytest.mark.parametrize("module", [MLP, Viewing])
def test_a_compiled_student_trains(X, y, module):
    net = distil(module=module, compile=True, max_epochs=1, batch_size=24)
    net.set_params(teacher=Steady()).fit(X, y)
    plain = distil(module=module, max_epochs=1, batch_size=24, teacher=Steady())
    plain.fit(X, y)
    # Adam's first steps have the size of lr however small a gradient is, so that a
    # rounding, which compiled code does elsewhere, may turn one around.
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=5e-3)
    assert net.channels_last_ is False
    torch._dynamo.reset()
