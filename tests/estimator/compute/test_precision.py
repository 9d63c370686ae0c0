"""precision=: what is computed in bfloat16, and what stays float32."""

import copy
import pickle
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from compute_helpers import C, Convolutions, N, Steady, distil
from estimator_helpers import equal, state
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from skkd._estimator.compute import resolve_precision
from skkd.augment import RandomHorizontalFlip
from skkd.losses import KD
from skkd.students import MLP


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


@pytest.mark.parametrize("module", [MLP, Convolutions])
def test_fp32_is_bit_for_bit_a_loop_of_bare_torch(X, y, table, module):
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


def test_bf16_computes_in_it_and_keeps_float32(X, y):
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


def test_losses_see_float32_under_bf16(X, y):
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
def test_cached_logits_are_float32_under_bf16(X, y):
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


def test_float64_students_stay_float64_under_bf16(X, y, table):
    fits = [
        distil(module=Double, precision=precision).fit(X, y, teacher_logits=table)
        for precision in ("fp32", "bf16")
    ]
    assert {*fits[1].module_.dtypes} == {(torch.float64, torch.float64)}
    assert fits[1].predict_proba(X).dtype == np.float64
    assert equal(*map(state, fits))


@pytest.mark.slow
def test_digits_are_learnt_as_well_in_bf16():
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
def test_precision_auto_asks_the_cpu(X, y, monkeypatch, names, expected):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        there = name in names
        monkeypatch.setattr(torch.cpu, name, lambda there=there: there, False)
    assert resolve_precision("auto", "cpu") == expected
    net = distil(module=Convolutions, precision="auto").fit(X, y)
    half = net.module_.dtypes[-1] == (torch.bfloat16, torch.bfloat16)
    assert half == (expected == "bf16")


def test_precision_auto_is_fp32_if_torch_cannot_tell(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("auto", "mps") == "fp32"


@pytest.mark.parametrize("native", [True, False])
def test_precision_auto_asks_cuda(monkeypatch, native):
    def supported(including_emulation=True):
        return including_emulation or native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve_precision("auto", "cuda") == ("bf16" if native else "fp32")


@pytest.mark.parametrize("precision", ["fp16", "float32", None, 16, True, []])
def test_an_unknown_precision_raises_before_training(X, y, precision):
    asked = []
    net = distil(precision=precision, teacher=lambda rows: asked.append(rows))
    with pytest.raises(ValueError, match=r"precision=.*expected 'fp32', 'bf16'"):
        net.fit(X, y)
    assert not net.initialized_
    assert asked == []


def test_precision_can_be_searched_cloned_and_set(X, y):
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
def test_a_pickled_net_predicts_the_same_in_its_precision(X, y, precision):
    net = distil(precision=precision).fit(X, y)
    twin = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))


def test_tuples_of_outputs_are_float32_under_bf16(X, y, table):
    net = distil(module=Pair, precision="bf16").fit(X, y, teacher_logits=table)
    assert net.predict_proba(X).dtype == np.float32
    first, second = net.forward(X[:5])
    assert first.dtype == second.dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_named_tuple_of_outputs_keeps_its_names(X, y, precision):
    net = distil(module=NamedPair, criterion=NamedCriterion, precision=precision)
    assert net.fit(X, y).history[-1, "train_loss"] > 0


def test_objects_of_outputs_are_float32_under_bf16(X, y, table):
    SpyCriterion.seen.clear()
    net = distil(module=ObjectOutput, criterion=SpyCriterion, precision="bf16")
    net.fit(X, y, teacher_logits=table)
    assert net.predict_proba(X).dtype == np.float32
    assert {*SpyCriterion.seen} == {torch.float32}


# The digits of any teacher will do.
@pytest.mark.filterwarnings(r"ignore:\[(random-head|train-mode)\]:skkd.TeacherWarning")
def test_a_live_teacher_computes_in_its_own_precision(X, y):
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
