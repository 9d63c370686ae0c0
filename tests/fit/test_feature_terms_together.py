"""Losses on features together with what else a fit may have: nothing goes unsaid."""

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from skkd import DistilledClassifier, TeacherWarning
from skkd.augment import Mixup
from skkd.callbacks import Anneal
from skkd.exceptions import DistillationWarning
from skkd.losses import DKD, FeatureLoss, FitNet, WeightedSum, _negatives
from skkd.students import SmallCNN

N = 60
RNG = np.random.RandomState(0)
X = RNG.randn(N, 20).astype(np.float32)
y = (X[:, :3] + 0.3 * RNG.randn(N, 3)).argmax(1)
IMAGES = RNG.randint(0, 256, (N, 3, 8, 8)).astype(np.uint8)


def network(hidden, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(20, hidden), nn.ReLU(), nn.Linear(hidden, 3))


def trained(module):
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        logits = module(torch.as_tensor(X))
        nn.functional.cross_entropy(logits, torch.as_tensor(y)).backward()
        optimizer.step()
    return module.eval()


TEACHER = trained(network(32, 1))


def distil(distillation="fitnet", module=None, **params):
    params = {"teacher": TEACHER, "max_epochs": 2, "batch_size": 20} | params
    module = network(8) if module is None else module
    params = {"random_state": 0, "distillation": distillation} | params
    return DistilledClassifier(module, **params)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


def frozen(*layers):
    module = network(8)
    for layer in layers:
        module[layer].requires_grad_(False)
    return module


# What would teach nothing, or something else than it says -------------------------


@pytest.mark.parametrize("distillation", ["fitnet", "rkd"])
def test_a_frozen_layer_cannot_learn(distillation):
    with pytest.raises(ValueError, match="lies behind frozen parameters alone"):
        distil(distillation, module=frozen(0)).fit(X, y)
    distil(distillation, module=frozen(2)).fit(X, y)


@pytest.mark.parametrize(
    ("labels", "params", "message"),
    [
        (y, {"alpha": 1.0}, r"alpha=1 uses no label, and .* nothing to 2.weight"),
        (np.full(N, -1), {"unlabeled": -1, "classes": [0, 1, 2]}, "no row has a label"),
    ],
)
def test_features_alone_do_not_teach_the_head(labels, params, message):
    with pytest.raises(ValueError, match=message):
        distil(**params).fit(X, labels)
    both = WeightedSum([("kd", "kd"), ("hint", "fitnet")])
    distil(both, **params).fit(X, labels)
    # The outputs of the head are features like any other.
    distil(FitNet("2", "2"), **params).fit(X, labels)


class Written(nn.Module):
    """Its ReLU may write into what batch normalisation gave."""

    def __init__(self, channels, inplace, n_classes=3):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels)
        self.relu, self.head = nn.ReLU(inplace), nn.Linear(channels, n_classes)

    def forward(self, x):
        x = self.relu(self.bn(self.conv(x.float() / 255)))
        return self.head(x.mean((2, 3)))


# Layers are what counts here, not what the teacher says.
@pytest.mark.filterwarnings(r"ignore:\[random-head\]:skkd.TeacherWarning")
def test_a_layer_is_seen_before_others_write_into_it():
    nets = []
    for inplace in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            teacher = Written(8, inplace).eval()
        student = DistilledClassifier(
            Written,
            module__channels=4,
            module__inplace=inplace,
            teacher=teacher,
            distillation=FitNet("bn", "bn"),
            max_epochs=1,
            random_state=0,
        )
        nets.append(weights(student.fit(IMAGES, y)))
    assert torch.equal(*nets)


class Swapped(Mixup):
    """Each row is wholly another one, whose label is the right one."""

    def mix(self, x):
        partner = torch.arange(len(x)).flip(0)
        return x[partner], partner, torch.zeros(len(x))


# The teacher is noise, since only the labels are to be heard.
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
def test_mixed_rows_have_the_labels_of_what_is_shown():
    seen = []

    def loss(student_logits, teacher_logits, labels, temperature):
        seen.append(labels)
        return torch.nn.functional.cross_entropy(
            student_logits, labels, reduction="none"
        )

    shown = {"batch_size": N, "max_epochs": 40, "lr": 0.02}
    net = DistilledClassifier(
        SmallCNN,
        module__width=4,
        teacher=lambda X: RNG.randn(len(X), 3),
        distillation=loss,
        augment=Swapped(),
        alpha=1.0,
        random_state=0,
        **shown,
    )
    net.fit(IMAGES, y)
    assert torch.equal(seen[1], seen[0].flip(0))
    plain = net.set_params(alpha=0.0).fit(IMAGES, y).predict_proba(IMAGES)
    taught = net.set_params(alpha=1.0).fit(IMAGES, y)
    np.testing.assert_allclose(taught.predict_proba(IMAGES), plain, rtol=0.1, atol=0.02)


def test_rows_that_are_mixed_cannot_be_contrasted():
    teacher = SmallCNN(3, (3, 8, 8), width=8).eval()
    net = DistilledClassifier(
        SmallCNN, module__width=4, teacher=teacher, distillation="crd", augment=Mixup()
    )
    with pytest.raises(ValueError, match="contrasts each row with others"):
        net.fit(IMAGES, y)


def test_negatives_are_training_rows(monkeypatch):
    drawn, draw = set(), _negatives.Negatives.draw

    def spy(self, rows, n):
        found = draw(self, rows, n)
        drawn.update(found.ravel().tolist())
        return found

    monkeypatch.setattr(_negatives.Negatives, "draw", spy)
    held_out = []

    def split(dataset, y=None, **kwargs):
        train, valid = ValidSplit(3)(dataset, y, **kwargs)
        held_out.extend(valid.indices)
        return train, valid

    distil("crd", distillation__n_negatives=64, train_split=split).fit(X, y)
    assert held_out
    assert drawn == {*range(N)} - {*map(int, held_out)}


@pytest.mark.parametrize("beta", [0.0, 4.0])
@pytest.mark.parametrize("part", ["dkd", DKD()], ids=["name", "object"])
def test_a_part_given_by_name_can_be_scheduled(part, beta):
    both = WeightedSum([("dkd", part), ("hint", "fitnet")])
    schedule = ("anneal", Anneal("distillation__dkd__beta", beta, beta))
    scheduled = distil(both, callbacks=[schedule]).fit(X, y)
    fixed = WeightedSum([("dkd", DKD(beta=beta)), ("hint", "fitnet")])
    assert torch.equal(weights(scheduled), weights(distil(fixed).fit(X, y)))
    assert both.losses[0][1] is part


# What is looked at before training -------------------------------------------------


@pytest.mark.parametrize("cache", [False, True])
def test_a_teacher_of_features_alone_is_looked_at_too(cache):
    net = distil(teacher=network(32, 3), distillation__cache=cache, strict=True)
    with pytest.raises(ValueError, match=r"\[random-head\]"):
        net.fit(X, y)


def test_logits_that_were_passed_are_no_finding_about_the_teacher():
    bad, good = network(32, 3), TEACHER(torch.as_tensor(X)).detach().numpy()
    both = WeightedSum([("kd", "kd"), ("hint", "fitnet")])
    net = distil(both, teacher=bad, strict=True)
    assert net.fit(X, y, teacher_logits=good).teacher_findings_ == []


# With skorch's ways ------------------------------------------------------------------


def test_adapters_follow_the_learning_rate():
    rates = []

    class Noting(torch.optim.SGD):
        def step(self, *args, **kwargs):
            rates.append([(len(g["params"]), g["lr"]) for g in self.param_groups])
            return super().step(*args, **kwargs)

    groups = [("0.*", {"lr": 0.001})]
    each = LRScheduler(LambdaLR, lr_lambda=[lambda epoch: 1.0, lambda epoch: 0.5])
    net = distil(
        optimizer=Noting, optimizer__param_groups=groups, callbacks=[each], lr=0.1
    )
    net.fit(X, y)
    assert rates[0] == [(2, 0.001), (4, 0.05)]  # the head's, and the adapter's two
    assert [len(g["params"]) for g in net.optimizer_.param_groups] == [2, 2]
    net = distil(optimizer=Noting, lr=0.001).fit(X, y)
    net.set_params(lr=0.002).partial_fit(X, y)
    assert rates[-1] == [(6, 0.002)]


class Scaled(nn.Module):
    def __init__(self, n_classes=3):
        super().__init__()
        self.net = network(8)

    def forward(self, x, scale):
        return self.net(scale * x)


def test_fit_params_reach_the_probe():
    net = distil(FitNet("net.0", "0"), module=Scaled()).fit(X, y, scale=2.0)
    assert net.history[-1, "train_loss"] > 0


def test_views_of_another_size():
    teacher = SmallCNN(3, (3, 8, 8), width=8).eval()
    net = DistilledClassifier(
        SmallCNN,
        module__width=4,
        teacher=teacher,
        distillation=FitNet("body.0", "body.0"),
        augment=lambda x: x[..., 1:-1, 1:-1],
        max_epochs=1,
    )
    with (
        pytest.warns(TeacherWarning, match="head|chance"),
        pytest.warns(DistillationWarning, match=r"of shape \(3, 6, 6\) of \(3, 8, 8\)"),
    ):
        net.fit(IMAGES, y)


class Tokens(nn.Module):
    def __init__(self, n_classes=3):
        super().__init__()
        self.tokens, self.head = nn.Linear(5, 6), nn.Linear(6, n_classes)

    def forward(self, x):
        tokens = self.tokens(x.view(len(x), 4, 5).transpose(0, 1))  # (4, n, 6)
        return self.head(tokens.mean(0))


class Column(FeatureLoss):
    def compare(self, student, teacher):
        return student.mean(1, keepdim=True) - teacher.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"teacher": torch.compile(TEACHER, backend="eager")}, "teacher is compiled"),
        ({"distillation": FitNet("tokens", "0"), "module": Tokens()}, "the rows first"),
        ({"distillation__weight": float("nan")}, "expected a finite number"),
        ({"distillation": "rkd", "distillation__angle": "a"}, "expected a finite"),
        ({"distillation": "crd", "distillation__tau": 0}, "tau=0: expected .* above 0"),
        ({"distillation": Column()}, r"shape \(20, 1\), expected \(20,\)"),
    ],
)
def test_mistakes_with_outputs_of_layers_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        distil(**params).fit(X, y)


def test_passed_logits_have_no_layers():
    with pytest.raises(ValueError, match="teacher_logits says nothing of layers"):
        distil(teacher=None).fit(X, y, teacher_logits=np.zeros((N, 3)))
