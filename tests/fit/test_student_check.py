"""A student is looked at before it is trained, and while it takes its first step."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from skorch.callbacks import Freezer
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistilledClassifier
from skkd.exceptions import DistillationWarning
from skkd.losses import RKD
from skkd.students import SmallCNN, Standardize

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")


def student(module=None, **params):
    return DistilledClassifier(module, **{"max_epochs": 1, "random_state": 0} | params)


def net(*tail, n_out=3):
    return nn.Sequential(nn.Linear(4, n_out), *tail)


class TwoHeads(nn.Module):
    """Returns both heads in training, and their mean in evaluation."""

    def __init__(self, n_classes, both=True):
        super().__init__()
        self.a, self.b = nn.Linear(4, n_classes), nn.Linear(4, n_classes)
        self.norm, self.both = nn.BatchNorm1d(4), both

    def forward(self, x):
        x = self.norm(x)
        a, b = self.a(x), self.b(x)
        return (a, b) if self.training and self.both else (a + b) / 2


class Auxiliary(TwoHeads):
    """As Inception: the second head helps in training alone."""

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        return (a, b) if self.training else a


class SkippedAtRandom(TwoHeads):
    """A layer is left out of some batches, as in stochastic depth."""

    def forward(self, x):
        skips = self.training and torch.rand(()) < 0.6
        return self.b(x) if skips else self.a(x) + self.b(x)


def test_a_head_that_predicts_and_is_not_trained_is_named():
    one = student(TwoHeads)
    with pytest.raises(ValueError, match=r"predicts with b\.weight, b\.bias, and the"):
        one.fit(X, Y)
    assert not hasattr(one, "module_")
    # The remedies.
    student(TwoHeads, module__both=False).fit(X, Y)
    frozen = TwoHeads(3)
    frozen.b.requires_grad_(False)
    student(frozen).fit(X, Y)


def test_an_auxiliary_head_and_a_layer_skipped_at_random_are_no_mistakes():
    student(Auxiliary).fit(X, Y)
    for seed in range(4):
        student(SkippedAtRandom, random_state=seed).fit(X, Y)


def test_the_look_at_the_gradients_changes_nothing():
    """Neither random streams nor the statistics of batch normalisation."""
    frozen = SkippedAtRandom(3)
    frozen.a.requires_grad_(False)  # nothing is missing: no look
    torch.manual_seed(0)
    for _ in range(2):  # in one of them the layer is skipped at first
        one = student(copy.deepcopy(frozen), random_state=None).fit(X, Y)
        state = torch.get_rng_state()
        assert one.module_.norm.num_batches_tracked == 0
    torch.manual_seed(0)
    for _ in range(2):
        student(copy.deepcopy(frozen).requires_grad_(), random_state=None).fit(X, Y)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("tail", [nn.Softmax(1), nn.Sequential(nn.Softmax(1))])
def test_a_softmax_under_cross_entropy_is_refused(tail):
    with pytest.raises(
        ValueError, match=r"ends in a softmax.*criterion=torch\.nn\.NLL"
    ):
        student(net(tail)).fit(X, Y)
    student(net(tail), criterion=nn.NLLLoss).fit(X, Y)
    student(net()).fit(X, Y)


@pytest.mark.filterwarnings("default")  # of torch's compiler, of all kinds
def test_a_softmax_is_seen_in_a_compiled_student():
    params = {"compile": True, "compile__backend": "eager"}
    with pytest.raises(ValueError, match="ends in a softmax"):
        student(net(nn.Softmax(1)), **params).fit(X, Y)
    student(net(), **params).fit(X, Y)


@pytest.mark.parametrize("tail", [nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.ReLU6()])
def test_an_activation_at_the_end_is_told(tail):
    with pytest.warns(DistillationWarning, match="ends in an activation that leaves"):
        student(net(tail)).fit(X, Y)


@pytest.mark.parametrize("tail", [nn.LogSoftmax(1), nn.LogSigmoid(), nn.BatchNorm1d(3)])
def test_other_ends_are_nobodys_affair(tail):
    student(net(tail)).fit(X, Y)


class Log(nn.Linear):
    def forward(self, x):
        return (-super().forward(x).abs()).log()


class Ignoring(nn.Linear):
    def forward(self, x):
        return super().forward(torch.ones_like(x))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (net(n_out=7), r"outputs of shape \(n, 7\), expected \(n, 3\)"),
        (net().requires_grad_(False), "has no parameter to train"),
        (Log(4, 3), "gives NaN or infinity before training"),
        (Ignoring(4, 3), "does not use its input"),
    ],
)
def test_a_student_that_cannot_learn(module, message):
    with pytest.raises(ValueError, match=message):
        student(module).fit(X, Y)


def test_one_output_for_two_classes():
    with pytest.raises(ValueError, match="two outputs in place of one, and no sigmoid"):
        student(net(nn.Sigmoid(), n_out=1)).fit(X, Y == 1)


def test_outputs_that_start_at_zero_depend_on_the_input():
    module = net()
    nn.init.zeros_(module[0].weight)
    student(module).fit(X, Y)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_an_instance_that_cannot_be_copied():
    def build(n_classes):
        return nn.utils.weight_norm(nn.Linear(4, n_classes))

    module = build(3)
    module(torch.zeros(1, 4))
    for use in (lambda one: one.fit(X, Y), clone):
        with pytest.raises(
            ValueError, match="Pass its class, or a function that build"
        ):
            use(student(module))
    student(build).fit(X, Y)
    student(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))).fit(X, Y)


IMAGES = np.random.RandomState(0).randint(0, 256, (12, 8, 8, 3)).astype("uint8")
LABELS = np.arange(12) % 2


def test_images_with_the_channels_last():
    with pytest.warns(DistillationWarning, match=r"pass X\.transpose\(0, 3, 1, 2\)"):
        student(SmallCNN).fit(IMAGES, LABELS)
    conv = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    floats = IMAGES.astype("float32")
    with pytest.raises(ValueError, match=r"pass X\.transpose\(0, 3, 1, 2\)"):
        student(conv).fit(floats, LABELS)
    student(conv).fit(floats.transpose(0, 3, 1, 2), LABELS)
    student(nn.Sequential(nn.Flatten(), nn.Linear(192, 2))).fit(floats, LABELS)


@pytest.mark.parametrize(
    "loss", ["standardized_kd", "dist", RKD(angle=0.0)], ids=["z", "dist", "rkd"]
)
def test_a_loss_that_is_constant_is_refused(loss):
    two = Y > 0
    logits = np.random.RandomState(0).normal(size=(150, 2))
    size = 1 if loss == "dist" else 2
    teacher = {} if isinstance(loss, str) else {"teacher": nn.Linear(4, 2)}
    one = student(distillation=loss, batch_size=size, **teacher)
    with pytest.raises(ValueError, match="is constant with"):
        one.fit(X, two, teacher_logits=None if teacher else logits)
    one.set_params(distillation="kd", teacher=None).fit(X, two, teacher_logits=logits)


def test_a_loss_is_not_asked_where_nobody_teaches():
    student(distillation="standardized_kd").fit(X, Y > 0)


def test_a_loss_without_a_gradient():
    def loss(student_logits, teacher_logits, y, temperature):
        return (student_logits.argmax(1) != teacher_logits.argmax(1)).float()

    logits = 3 * np.eye(3)[Y] + np.random.RandomState(0).normal(size=(150, 3))
    with pytest.raises(ValueError, match=r"look for detach\(\), argmax\(\)"):
        student(distillation=loss).fit(X, Y, teacher_logits=logits)


class Ending(nn.Linear):
    """A linear layer with a last operation."""

    def __init__(self, end):
        super().__init__(4, 3)
        self.end = end

    def forward(self, x):
        return self.end(super().forward(x))


class AxesSwapped(nn.Module):
    """Takes the samples of a batch for the steps of one sequence."""

    def __init__(self, n_classes, batch_first=False):
        super().__init__()
        self.rnn = nn.GRU(2, n_classes, batch_first=batch_first)

    def forward(self, x):
        steps = x.view(-1, 2, 2)
        return self.rnn(steps)[0][:, -1]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (AxesSwapped(3), "of the other rows of a batch.*batch_first=True"),
        (Ending(lambda z: z - z.mean(0)), "of the other rows of a batch"),
        (net(nn.BatchNorm1d(3, track_running_stats=False)), "of the other rows"),
        (Ending(nn.functional.dropout), r"of chance.*takes training=self\.training"),
    ],
)
def test_a_prediction_that_depends_on_more_than_its_row(module, message):
    with pytest.warns(DistillationWarning, match=f"depend on more than.*{message}"):
        student(module).fit(X, Y)


def test_rows_that_stand_alone_are_silent():
    student(AxesSwapped, module__batch_first=True).fit(X, Y)
    student(net(nn.Dropout())).fit(X, Y)
    parts = {"input": X, "weight": X[:, :1]}
    student(Parts).fit(parts, Y)


class Parts(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.head = nn.Linear(4, n_classes)

    def forward(self, input, weight):
        return self.head(input) * weight


def test_inputs_that_are_named_otherwise():
    with pytest.raises(ValueError, match=r"the inputs input, w\): .*names of the arg"):
        student(Parts).fit({"input": X, "w": X[:, :1]}, Y)


@pytest.mark.parametrize("size", [1e4, 1e9])
def test_inputs_far_from_1(size):
    far = (X * size).astype("float32")
    with pytest.warns(
        DistillationWarning, match=r"outputs up to .* Scale X, by make_pi"
    ):
        student(net()).fit(far, Y)
    student(nn.Sequential(Standardize((4,)), nn.Linear(4, 3))).fit(far, Y)
    student(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))).fit(far, Y)
    student(net()).fit(X * 30, Y)


@pytest.mark.parametrize("end", [torch.detach, torch.no_grad()(torch.sinh)])
def test_a_forward_without_a_gradient(end):
    with pytest.raises(ValueError, match=r"none of the weights.*look for detach\(\)"):
        student(Ending(end)).fit(X, Y)
    with pytest.raises(ValueError, match="a callback, as Freezer"):
        student(net(), callbacks=[Freezer("*")]).fit(X, Y)


@dataclass
class Outputs:
    logits: torch.Tensor


def test_an_object_with_logits():
    one = student(Ending(Outputs), train_split=ValidSplit(3, stratified=True))
    assert one.fit(X, Y).predict_proba(X).shape == (150, 3)
