"""Images with their channels last in memory, in students and teachers."""

import copy
import pickle
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from compute_helpers import C, Convolutions, N, Steady, Viewing, distil, losses
from estimator_helpers import equal, state
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skkd._estimator import compute
from skkd.students import MLP
from skkd.teachers import as_teacher


def is_last(tensor):
    """Tell whether the channels of a tensor lie last in memory, and only so."""
    return (
        tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )


# --- Students ---


def test_images_and_convolutions_have_their_channels_last(X, y):
    net = distil(module=Convolutions).fit(X, y)
    assert net.channels_last_ is True
    assert all(map(is_last, net.module_.given))
    slots = net.optimizer_.state[net.module_.conv.weight]
    assert slots["exp_avg"].shape == net.module_.conv.weight.shape
    assert is_last(slots["exp_avg"])  # as the weights were in training


def test_the_weights_of_a_fitted_student_are_contiguous(X, y):
    net = distil(module=Convolutions).fit(X, y)
    weight = net.module_.conv.weight
    assert all(value.is_contiguous() for value in net.module_.state_dict().values())
    answers = net.predict_proba(X)
    with torch.no_grad():
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(net.predict_proba(X), answers)
    # Training goes on as if it had not ended.
    twice = distil(module=Convolutions, max_epochs=4).fit(X, y)
    again = distil(module=Convolutions).fit(X, y)
    for student in (twice, again.set_params(max_epochs=1).partial_fit(X, y)):
        assert student.module_.conv.weight.is_contiguous()


@pytest.mark.parametrize("params", [{"module": Convolutions}, {"module": None}])
def test_both_layouts_give_the_same_results(X, y, params, monkeypatch):
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
def test_a_student_that_views_its_activations_trains(X, y, checked, monkeypatch):
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


def test_an_error_of_the_student_is_not_taken_for_a_layout(X, y):
    class Broken(Convolutions):
        def flattened(self, hidden):
            raise RuntimeError("something else")

    with pytest.raises(ValueError, match="something else"):
        distil(module=Broken).fit(X, y)


@pytest.mark.parametrize("rows", ["images", "table"])
def test_students_without_convolutions_keep_their_layout(X, y, rows):
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


def test_the_template_keeps_its_layout(X, y):
    template = Convolutions()
    before = copy.deepcopy(template.state_dict())
    net = distil(module=template).fit(X, y)
    assert net.channels_last_
    assert template.conv.weight.is_contiguous()
    assert template.given == []
    assert equal(before.values(), template.state_dict().values())


@pytest.mark.parametrize("module", [Convolutions, Viewing])
@pytest.mark.parametrize("arguments", [{}, {"scale": torch.tensor(1.0)}])
def test_the_optimizer_holds_the_parameters_of_the_new_layout(X, y, module, arguments):
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


def test_lazy_convolutions_train(X, y):
    module = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, C)
    )
    assert distil(module=module).fit(X, y).predict(X).shape == (N,)


@pytest.mark.parametrize("module", [Convolutions, Viewing])
def test_the_layout_survives_copies_and_files(X, y, module, tmp_path):
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


def test_the_layout_is_found_anew_for_another_student(X, y):
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


def test_frozen_parameters_stay_frozen_in_the_new_layout(X, y):
    template = Convolutions()
    template.conv.requires_grad_(False)
    net = distil(module=template).fit(X, y)
    assert not net.module_.conv.weight.requires_grad
    assert torch.equal(net.module_.conv.weight, template.conv.weight)


# --- Teachers ---


def skorch_net(module, X, y):
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
@pytest.mark.filterwarnings(r"ignore:\[(random-head|train-mode)\]:skkd.TeacherWarning")
def test_teachers_keep_their_layout_and_mode(X, y, kind, wrapped):
    torch.manual_seed(0)
    module = kind()
    teacher = module if wrapped == "module" else skorch_net(module, X, y)
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


def test_a_student_as_teacher_keeps_its_layout(X, y):
    first = distil(module=Viewing).fit(X, y)
    net = distil(teacher=first, alpha=1, module=MLP, module__hidden=(2,))
    net.fit(X, y)
    assert first.channels_last_ is False
