"""Traced and exported networks as teachers, and networks that are not steady."""

import copy
import io
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from skkd import DistilledClassifier
from skkd.exceptions import DistillationWarning
from skkd.students import MLP
from skkd.teachers import as_teacher

N, D, C = 40, 6, 3
student = partial(
    DistilledClassifier, MLP, module__hidden=(), max_epochs=1, random_state=0
)
X = np.random.default_rng(0).normal(size=(N, D)).astype("float32")
Y = np.arange(N) % C
EXAMPLE = torch.from_numpy(X[:16])

pytestmark = [
    # The teachers know nothing.
    pytest.mark.filterwarnings("ignore::skkd.TeacherWarning"),
    # torch.jit says so from 2.13 on.
    pytest.mark.filterwarnings("ignore:.*torch.jit.*"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def network(dropout=0.5, norm=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(D, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, C)]
        if norm:
            layers.insert(1, nn.BatchNorm1d(8))
        return nn.Sequential(*layers)


def traced(net):
    return torch.jit.trace(net, EXAMPLE, check_trace=False)


def loaded(net):
    file = io.BytesIO()
    torch.jit.save(traced(net), file)
    file.seek(0)
    return torch.jit.load(file)


def exported(net, **limits):
    batch = torch.export.Dim("batch", **limits)
    return torch.export.export(net, (EXAMPLE,), dynamic_shapes=({0: batch},))


def of_static_batch(net):
    return torch.export.export(net, (EXAMPLE,))


def compiled_in_place(net):
    net.compile(backend="eager")
    return net


PROGRAMS = {
    "traced": traced,
    "loaded": loaded,
    "scripted": torch.jit.script,
    "frozen": lambda net: torch.jit.freeze(torch.jit.script(net)),
    "exported": exported,
    "its module": lambda net: exported(net).module(),
    "static batch": of_static_batch,
    "module of static batch": lambda net: of_static_batch(net).module(),
    "limited batch": lambda net: exported(net, min=12, max=18),
    "fx": torch.fx.symbolic_trace,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled in place": compiled_in_place,
    "data parallel": nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "double": lambda net: copy.deepcopy(net).double(),
}


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model, before):
    after = model.state_dict()
    return all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_of_a_network_in_eval_mode_teach_as_it_does(make):
    net = network().eval()
    expected = net(torch.from_numpy(X)).detach().numpy()
    program = make(net)
    before = state_of(program) if isinstance(program, nn.Module) else {}
    for rows in (X, X[:1], X[:17]):
        got = as_teacher(program).logits(rows, range(C))
        np.testing.assert_allclose(got, expected[: len(rows)], rtol=1e-4, atol=1e-5)
    student(teacher=program).fit(X, Y)
    if before:
        assert unchanged(program, before)


IN_TRAIN_MODE = {
    "traced": (traced, True),
    "traced, dropout alone": (traced, False),
    "loaded": (loaded, True),
    "exported": (exported, True),
    "exported, dropout alone": (lambda net: exported(net).module(), False),
}


@pytest.mark.parametrize(("make", "norm"), IN_TRAIN_MODE.values(), ids=IN_TRAIN_MODE)
def test_programs_of_a_network_in_train_mode_are_refused_unchanged(make, norm):
    program = make(network(norm=norm).train())
    before = state_of(program) if isinstance(program, nn.Module) else program.state_dict
    before = {name: value.clone() for name, value in before.items()}
    net = student(teacher=program)
    with pytest.raises(ValueError, match=r"in train mode.*network\.eval\(\)"):
        net.fit(X, Y)
    if isinstance(program, nn.Module):
        assert unchanged(program, before)
    as_teacher(make(network(norm=norm).eval())).logits(X, range(C))  # the remedy


class Noisy(nn.Module):
    def __init__(self, matters=True):
        super().__init__()
        self.linear, self.matters = nn.Linear(D, C), matters

    def forward(self, x):
        noise = torch.rand(len(x), C, device=x.device)
        return self.linear(x) + (noise if self.matters else 0)


class Counting(Noisy):
    def __init__(self):
        super().__init__()
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, x):
        self.n_calls += 1
        return self.linear(x)


def test_networks_that_draw_numbers_are_named():
    with pytest.warns(DistillationWarning, match="other outputs each time"):
        as_teacher(Noisy()).logits(X, range(C))
    as_teacher(Noisy(matters=False)).logits(X, range(C))


def test_networks_that_change_themselves_are_refused_unchanged():
    teacher = Counting()
    with pytest.raises(ValueError, match=r"changes itself .* 1 of its buffers"):
        student(teacher=teacher).fit(X, Y)
    assert teacher.n_calls == 0


def test_a_teacher_is_run_once_on_each_row():
    teacher, rows = network(), []
    teacher.register_forward_hook(lambda module, args, out: rows.append(len(args[0])))
    student(teacher=teacher, memory=False).fit(X, Y)
    assert rows == [128]  # one batch of one size, whatever N is


class Outputs(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.linear, self.wrap = nn.Linear(D, C), wrap

    def forward(self, x):
        return self.wrap(self.linear(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: {"logits": z, "features": z[:, :1]},
        lambda z: (z, z[:, :1]),
        lambda z: z[:, :, None, None],
    ],
    ids=["dict", "tuple", "(n, k, 1, 1)"],
)
def test_logits_are_found_in_what_a_network_returns(wrap):
    teacher = Outputs(wrap)
    expected = teacher.linear(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_array_equal(as_teacher(teacher).logits(X, range(C)), expected)


def test_networks_without_weights_are_refused():
    with pytest.raises(ValueError, match=r"device 'meta'.*load_state_dict"):
        student(teacher=network().to("meta")).fit(X, Y)


def test_networks_without_a_head_are_refused():
    teacher = nn.Linear(D, C)
    teacher.num_classes = 0  # as timm marks them
    with pytest.raises(ValueError, match=r"gives features.*num_classes=3"):
        student(teacher=teacher).fit(X, Y)


@pytest.mark.parametrize("make", [network, of_static_batch], ids=["eager", "exported"])
def test_what_a_teacher_learns_of_itself_is_no_part_of_its_content(make):
    teacher = as_teacher(make(network().eval()) if make is of_static_batch else make())
    before = joblib.hash(sorted(teacher.__getstate__()))
    teacher.logits(X, range(C))
    assert joblib.hash(sorted(teacher.__getstate__())) == before
    if make is network:
        infos = [student(teacher=teacher).fit(X, Y).cache_info_ for _ in range(2)]
        assert infos[1].hits == N


def test_networks_quantised_by_torchao_teach():
    quantization = pytest.importorskip("torchao.quantization")
    teacher = nn.Sequential(nn.Linear(D, 32), nn.ReLU(), nn.Linear(32, C))
    quantization.quantize_(teacher, quantization.Int8WeightOnlyConfig())
    expected = teacher(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_array_equal(as_teacher(teacher).logits(X, range(C)), expected)
    student(teacher=teacher, memory=False).fit(X, Y)
