"""Settings of other libraries make the loss that the table of settings says.

Of libraries that need more than torch, the one file that holds the loss is loaded by
its path: `.ci/run` installs them without what they depend on (other_libraries.txt).
"""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from zoo_case import ZOO

from skkd.losses import KD

pytestmark = ZOO
K = 5
PINNED = (Path(__file__).parent / "other_libraries.txt").read_text()
VERSIONS = dict(re.findall(r"^([\w-]+)==(\S+)$", PINNED, re.M))


def module_of(distribution, path):
    """Import one file of an installed library, and nothing else of it."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{distribution} is not installed")
    assert found.version == VERSIONS[distribution]
    file = found.locate_file(path)
    spec = importlib.util.spec_from_file_location(f"of_{distribution}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 8, K, generator=generator) * 3
    return student.requires_grad_(), teacher


LABELS = torch.arange(8) % K


def ours(logits, alpha, temperature):
    student, teacher = logits
    soft = KD()(student, teacher, LABELS, temperature).mean()
    return (1 - alpha) * cross_entropy(student, LABELS) + alpha * soft


def assert_same(logits, theirs, alpha, temperature, factor=1.0):
    """Compare the values and the gradients with respect to the student's logits."""
    mine = factor * ours(logits, alpha, temperature)
    torch.testing.assert_close(theirs, mine)
    slopes = [torch.autograd.grad(loss, logits[0])[0] for loss in (theirs, mine)]
    torch.testing.assert_close(*slopes)


def torchdistill(logits, **params):
    pytest.importorskip("torchdistill")
    from torchdistill.losses.mid_level import KDLoss

    loss = KDLoss("head", "output", "head", "output", **params)
    student, teacher = ({"head": {"output": z}} for z in logits)
    return loss(student, teacher, LABELS)


@pytest.mark.parametrize(
    ("params", "alpha", "factor"),
    [
        ({"alpha": 0.3}, 0.7, 1.0),
        ({"alpha": 0.5, "beta": 1.5}, 0.75, 2.0),
        ({"alpha": 0}, 1.0, 1 / 16),  # without T^2
        ({"beta": 5.0}, 1.0, 1 / 16),  # and without beta
    ],
)
def test_torchdistill(logits, params, alpha, factor):
    theirs = torchdistill(logits, temperature=4.0, **params)
    assert_same(logits, theirs, alpha, 4.0, factor)


def test_torchdistill_needs_alpha_or_beta(logits):
    with pytest.raises(TypeError, match="NoneType"):
        torchdistill(logits, temperature=4.0)


@pytest.mark.parametrize(
    ("params", "alpha", "temperature", "factor"),
    [
        ({}, 0.5, 1.0, 2.0),
        ({"task_loss_weight": 0.3, "temperature": 4.0}, 0.7, 4.0, 1.0),
        ({"distill_loss_weight": 3.0, "temperature": 2.0}, 0.75, 2.0, 4.0),
    ],
)
def test_timm(params, alpha, temperature, factor):
    timm = pytest.importorskip("timm")
    from timm.task.distillation import LogitDistillationTask

    torch.manual_seed(0)
    student, teacher = (
        timm.create_model("test_resnet", num_classes=K).eval() for _ in range(2)
    )
    images = torch.randn(8, 3, 32, 32)
    task = LogitDistillationTask(
        student, teacher, torch.nn.CrossEntropyLoss(), verbose=False, **params
    )
    out = task(images, LABELS)
    both = out["output"], teacher(images).detach()
    assert_same(both, out["loss"], alpha, temperature, factor)


# torch's, of the reduction that this test is about; and ModelOpt's, which expects the
# labels' loss that is passed here.
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@pytest.mark.filterwarnings("ignore:`StaticLossBalancer` weights do not sum to 1")
@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_modelopt(logits, weight):
    losses = module_of("nvidia-modelopt", "modelopt/torch/distill/losses.py")
    balancers = module_of("nvidia-modelopt", "modelopt/torch/distill/loss_balancers.py")
    divided = weight / (weight + K * (1 - weight))
    for reduction, alpha, factor in (
        ({}, divided, (1 - weight) / (1 - divided)),
        ({"reduction": "batchmean"}, weight, 1.0),
    ):
        kd = losses.LogitsDistillationLoss(temperature=2.0, **reduction)
        parts = {
            "student_loss": cross_entropy(logits[0], LABELS),
            "LogitsDistillationLoss_0": kd(*logits),
        }
        theirs = balancers.StaticLossBalancer(weight)(parts)
        assert_same(logits, theirs, alpha, 2.0, factor)


def test_silverspoon(logits):
    kl = module_of("silverspoon-kd", "silverspoon_kd/losses/kl.py")
    theirs = kl.kl_divergence_loss(temperature=2.0)(*logits)
    assert_same(logits, theirs, 1.0, 2.0)


def test_tabtune_leaves_the_teacher_as_it_is(logits):
    losses = module_of("tabtune", "tabtune/distillation/losses.py")
    student, teacher = logits
    proba = teacher.softmax(dim=1)
    theirs = losses.kd_classification_loss(
        student, proba, LABELS, temperature=3.0, alpha=0.7
    )
    assert_same((student, 3 * proba.log()), theirs, 0.7, 3.0)


@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_keras(logits, weight):
    keras = pytest.importorskip("keras")
    from keras.distillation import Distiller, LogitsDistillation

    student = logits[0].detach().numpy()
    identity = [keras.Sequential([keras.Input((K,)), keras.layers.Dense(K)])]
    identity.append(keras.models.clone_model(identity[0]))
    for model, scale in zip(identity, (1.0, 2.0), strict=True):
        model.set_weights([scale * np.eye(K, dtype="float32"), np.zeros(K)])
    distiller = Distiller(
        *reversed(identity),
        LogitsDistillation(2.0, loss=keras.losses.KLDivergence()),
        student_loss_weight=weight,
    )
    distiller.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    theirs = distiller.compute_loss(student, LABELS.numpy())
    both = torch.from_numpy(student), torch.from_numpy(2 * student)
    mine = ours(both, 1 - weight, 2.0)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(theirs), mine.numpy(), rtol=1e-5
    )
    # The default, "kl_divergence", takes the logits for probabilities.
    taken = keras.ops.mean(keras.losses.kl_divergence(student, student / 2))
    default = LogitsDistillation(2.0).compute_loss(2 * student, student)
    assert float(default) == pytest.approx(float(taken))
