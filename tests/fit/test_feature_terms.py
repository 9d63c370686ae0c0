"""Losses on features in a fit: which layers are compared, and what is left behind."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from torch import nn

from skkd import DistilledClassifier
from skkd.augment import RandomCrop, RandomHorizontalFlip
from skkd.losses import KD, FeatureLoss, WeightedSum
from skkd.memory import LogitMemory
from skkd.students import MLP, SmallCNN

N = 24
RNG = np.random.RandomState(0)
IMAGES = RNG.randint(0, 256, (N, 3, 8, 8)).astype(np.uint8)
TABLE = RNG.randn(N, 5).astype(np.float32)
LABELS = np.arange(N) % 3

# What the losses of this file saw, as long as a test listens.
SEEN = []


class Gap(FeatureLoss):
    """The squared gap of pooled features, through a trained linear map."""

    def __init__(
        self,
        student_layer=None,
        teacher_layer=None,
        *,
        weight=1.0,
        cache=False,
        scalar=False,
    ):
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)
        self.scalar = scalar

    def adapter(self, student, teacher):
        return nn.Linear(student[0], teacher[0])

    def compare(self, student, teacher):
        SEEN.append((student, teacher))
        gap = (student - pooled(teacher)).square().mean(1)
        return gap.mean() if self.scalar else gap

    def build(self, shapes, labels):
        built = super().build(shapes, labels)
        BUILT.append((built, [p.detach().clone() for p in built.parameters()]))
        built.register_forward_pre_hook(pool_the_students)
        return built


def pool_the_students(module, args):
    student, *rest = args
    return ([*map(pooled, student)], *rest)


BUILT = []


@pytest.fixture(autouse=True)
def _fresh():
    SEEN.clear()
    BUILT.clear()


def pooled(x):
    return x.flatten(2).mean(2) if x.ndim > 2 else x


def network(seed=0, width=8, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SmallCNN(classes, (3, 8, 8), width=width).eval()


class HorizontalFlip(nn.Module):
    def forward(self, x):
        return x.flip(3)


TEACHER = network(1)
LAYERS = ("body.0", "body.2")


def distil(distillation=None, **params):
    params = {"module": SmallCNN, "module__width": 4, "max_epochs": 2} | params
    params = {"batch_size": 10, "random_state": 0, "teacher": TEACHER} | params
    params = {"temperature": 4.0, "alpha": 0.5} | params
    distillation = Gap(*LAYERS) if distillation is None else distillation
    return DistilledClassifier(distillation=distillation, **params)


def weights(net):
    return {k: v.clone() for k, v in net.module_.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def hooks(module):
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks)
        for part in module.modules()
    )


def teacher_features(X, layer="body.2"):
    seen = []
    parts = dict(TEACHER.named_modules())
    handle = parts[layer].register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.no_grad():
        TEACHER(torch.as_tensor(X))
    handle.remove()
    return pooled(seen[0]).numpy()


def rows_seen():
    """The teacher's features of the training batches, in the order of their values."""
    every = torch.cat([pooled(teacher) for _, teacher in SEEN]).detach().numpy()
    return every[np.lexsort(every.T)]


def expected_rows(X, epochs=2, layer="body.2"):
    every = np.tile(teacher_features(X, layer), (epochs, 1))
    return every[np.lexsort(every.T)]


@pytest.mark.parametrize("cache", [False, True])
def test_the_teachers_layer_is_what_the_loss_sees(cache):
    distil(Gap(*LAYERS, cache=cache)).fit(IMAGES, LABELS)
    np.testing.assert_allclose(rows_seen(), expected_rows(IMAGES), rtol=1e-4, atol=1e-5)


def test_the_students_layer_is_what_the_loss_sees():
    net = distil(max_epochs=1, batch_size=-1, optimizer__lr=0.0).fit(IMAGES, LABELS)
    twin = copy.deepcopy(net.module_).train()
    with torch.no_grad():
        features = pooled(twin.body[0](twin.standardize(torch.as_tensor(IMAGES))))
        adapted = BUILT[0][0].adapters[0](features)
    seen = SEEN[-1][0].detach()
    order, other = (np.lexsort(a.numpy().T) for a in (seen, adapted))
    np.testing.assert_allclose(seen[order], adapted[other], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cache", [False, True])
def test_fixed_views_are_shown_to_both(cache):
    net = distil(Gap(*LAYERS, cache=cache), augment=RandomHorizontalFlip(), n_views=2)
    net.fit(IMAGES, LABELS)
    seen = rows_seen()
    both = np.concatenate(
        [teacher_features(IMAGES), teacher_features(IMAGES[..., ::-1].copy())]
    )
    distance = np.abs(seen[:, None] - both[None]).max(2).min(1)
    assert distance.max() < 1e-4
    assert net.cache_info_.misses == (2 * N if cache else 0)


def test_live_and_plain_views():
    distil(augment=RandomCrop(2), teacher_view="clean").fit(IMAGES, LABELS)
    np.testing.assert_allclose(rows_seen(), expected_rows(IMAGES), rtol=1e-4, atol=1e-5)
    SEEN.clear()
    distil(augment=RandomCrop(2)).fit(IMAGES, LABELS)
    assert np.abs(rows_seen() - expected_rows(IMAGES)).max() > 1e-2


def test_remembered_features_change_nothing_in_the_student():
    live = distil().fit(IMAGES, LABELS)
    kept = distil(Gap(*LAYERS, cache=True)).fit(IMAGES, LABELS)
    for a, b in zip(weights(live).values(), weights(kept).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_remembered_features_are_asked_for_once(tmp_path):
    memory = LogitMemory(tmp_path, top_k=1)  # which is meant for classes
    loss = Gap(*LAYERS, cache=True)
    first = distil(loss, memory=memory).fit(IMAGES, LABELS)
    again = distil(loss, memory=memory).fit(IMAGES, LABELS)
    other = distil(Gap("body.0", "body.0", cache=True), memory=memory)
    other.fit(IMAGES, LABELS)
    passes = [net.cache_info_[:2] for net in (first, again, other)]
    assert passes == [(N, 0), (0, N), (N, 0)]
    assert same(weights(first), weights(again))


def test_logits_are_not_asked_for_in_vain():
    assert distil().fit(IMAGES, LABELS).cache_info_.misses == 0


def test_without_names_the_inputs_of_the_last_linear_layers_are_compared():
    distil(Gap()).fit(IMAGES, LABELS)
    assert [p.shape for p in BUILT[0][1]] == [(32, 16), (32,)]
    expected = expected_rows(IMAGES, layer="body.5")
    np.testing.assert_allclose(rows_seen(), expected, rtol=1e-4, atol=1e-5)


def test_several_layers_are_compared_pair_by_pair():
    pairs = (["body.0", "body.2"], ["body.2", "body.4"])
    distil(Gap(*pairs)).fit(IMAGES, LABELS)
    assert [p.shape for p in BUILT[0][1][::2]] == [(16, 4), (32, 8)]


def test_the_adapter_is_trained_and_dropped():
    net = distil(optimizer=torch.optim.SGD, optimizer__momentum=0.9, lr=0.01)
    net.fit(IMAGES, LABELS)
    built, before = BUILT[0]
    assert not any(map(torch.equal, built.parameters(), before))
    assert len(net.optimizer_.param_groups) == 1
    trained = {*net.optimizer_.state}
    assert trained == {*net.module_.parameters()}
    assert net._objective_ is None
    assert weights(net).keys() == weights(distil("kd").fit(IMAGES, LABELS)).keys()


def test_the_student_is_pulled_towards_the_teacher():
    distil(max_epochs=30, alpha=0.9, lr=0.02).fit(IMAGES, LABELS)
    gaps = [(s - pooled(t)).square().mean().item() for s, t in SEEN]
    assert np.mean(gaps[-3:]) < 0.2 * np.mean(gaps[:3])


class Fails(Callback):
    def __init__(self, error):
        self.error = error

    def on_batch_end(self, net, **kwargs):
        raise self.error


@pytest.mark.parametrize("error", [None, ValueError("stop"), KeyboardInterrupt()])
def test_no_hook_is_left_behind(error):
    net = distil().fit(IMAGES, LABELS)
    net.set_params(callbacks=[] if error is None else [Fails(error)])
    if error is None:
        net.partial_fit(IMAGES, LABELS)
    else:
        with pytest.raises(type(error)):
            net.partial_fit(IMAGES, LABELS)
    assert hooks(net.module_) == hooks(TEACHER) == 0
    assert len(net.optimizer_.param_groups) == 1
    assert net._objective_ is None


# Left in train mode on purpose.
@pytest.mark.filterwarnings(r"ignore:\[train-mode\]:skkd.TeacherWarning")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cache", [False, True])
def test_the_teacher_is_bit_for_bit_the_same(cache, training):
    teacher = network(1).train(training)
    before = pickle.dumps(teacher.state_dict())
    loss = WeightedSum([("kd", KD()), ("gap", Gap(*LAYERS, cache=cache))])
    distil(loss, teacher=teacher).fit(IMAGES, LABELS)
    assert pickle.dumps(teacher.state_dict()) == before
    assert all(part.training is training for part in teacher.modules())
    assert all(p.grad is None and p.requires_grad for p in teacher.parameters())
    assert hooks(teacher) == 0


def test_alpha_0_is_the_plain_student_bit_for_bit():
    plain = distil(teacher=None).fit(IMAGES, LABELS)
    assert same(weights(plain), weights(distil(alpha=0.0).fit(IMAGES, LABELS)))
    assert not BUILT


def test_a_fit_is_repeatable():
    assert same(*(weights(distil().fit(IMAGES, LABELS)) for _ in range(2)))


@pytest.mark.parametrize("teacher_logits", [False, True])
def test_a_sum_of_losses_on_logits_and_features(teacher_logits):
    """One step of SGD, by hand."""
    loss = WeightedSum([("kd", "kd"), ("gap", Gap(*LAYERS))], weights=[2, 0.5])
    net = distil(loss, batch_size=-1, max_epochs=1, optimizer=torch.optim.SGD, lr=0.1)
    logits = TEACHER(torch.as_tensor(IMAGES)).detach()
    given = {"teacher_logits": logits} if teacher_logits else {}
    net.fit(IMAGES, LABELS, **given)

    twin = distil("kd", alpha=0.0, max_epochs=0).fit(IMAGES, LABELS).module_.train()
    twin.standardize.load_state_dict(net.module_.standardize.state_dict())
    adapter = nn.Linear(4, 16)
    adapter.weight.data, adapter.bias.data = BUILT[0][1]
    X, y = torch.as_tensor(IMAGES), torch.as_tensor(LABELS)
    stage = twin.body[0](twin.standardize(X))
    gap = adapter(pooled(stage)) - torch.as_tensor(teacher_features(IMAGES))
    mine = twin.head(twin.body[1:](stage))
    soft = 2 * KD()(mine, logits, y, 4.0).mean() + 0.5 * gap.square().mean(1).mean()
    total = 0.5 * nn.functional.cross_entropy(mine, y) + 0.5 * soft
    assert net.history[0, "train_loss"] == pytest.approx(total.item(), rel=1e-4)
    total.backward()
    for got, start in zip(net.module_.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got, start - 0.1 * start.grad, rtol=1e-3, atol=1e-4)


# Teachers and students of other kinds ------------------------------------------


def test_a_skorch_net_teaches_and_may_be_fitted_on_the_way():
    module = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    teacher = NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, train_split=None, max_epochs=2, verbose=0
    )
    params = {"module": MLP, "module__hidden": 4, "max_epochs": 2}
    for teacher_cv in (None, "prefit"):
        if teacher_cv:
            teacher.fit(TABLE, LABELS)
        net = DistilledClassifier(
            teacher=teacher,
            distillation=Gap(None, "0"),
            teacher_cv=teacher_cv,
            **params,
        )
        net.fit(TABLE, LABELS)
        assert SEEN[-1][1].shape[1] == 7


@pytest.mark.parametrize("cache", [False, True])
def test_a_transformed_teacher_has_layers(cache):
    net = distil(Gap(*LAYERS, cache=cache), teacher_transform=HorizontalFlip())
    net.fit(IMAGES, LABELS)
    flipped = expected_rows(IMAGES[..., ::-1].copy())
    np.testing.assert_allclose(rows_seen(), flipped, rtol=1e-4, atol=1e-5)


def test_a_table_of_float64_is_learnt_in_float64():
    teacher = MLP(3, (5,), hidden=300).eval()
    net = DistilledClassifier(teacher=teacher, distillation=Gap(), max_epochs=1)
    net.fit(TABLE.astype(np.float64), LABELS)
    assert SEEN[-1][0].dtype == torch.float64


def test_bf16():
    net = distil(precision="bf16").fit(IMAGES, LABELS)
    assert SEEN[-1][0].dtype == torch.float32
    assert np.isfinite(net.history[-1, "train_loss"])


class Viewing(nn.Module):
    """A network that does not take images with their channels last."""

    def __init__(self, n_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Linear(6 * 64, n_classes)

    def forward(self, x):
        return self.head(self.conv(x.float() / 255).view(len(x), -1))


def test_networks_that_view_their_activations():
    loss = Gap("conv", "conv")
    teacher = Viewing().eval()
    net = distil(loss, module=partial(Viewing), teacher=teacher)
    del net.module__width
    net.fit(IMAGES, LABELS)
    assert SEEN[-1][1].shape[1:] == (6, 8, 8)
    assert net.channels_last_ is False


# In scikit-learn's tools -------------------------------------------------------


def test_search_clone_and_pickle():
    net = distil(max_epochs=1)
    search = GridSearchCV(
        net,
        {
            "distillation__weight": [0.1, 1.0],
            "distillation__student_layer": ["body.0", "body.2"],
        },
        cv=2,
        error_score="raise",
    ).fit(IMAGES, LABELS)
    best = search.best_estimator_
    assert best.teacher is TEACHER
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict(IMAGES), best.predict(IMAGES))
    assert clone(best).distillation.get_params() == best.distillation.get_params()


def test_in_a_pipeline():
    flip = FunctionTransformer(lambda X: X[..., ::-1].copy())
    make_pipeline(flip, distil()).fit(IMAGES, LABELS)
    flipped = expected_rows(IMAGES[..., ::-1].copy())
    np.testing.assert_allclose(rows_seen(), flipped, rtol=1e-4, atol=1e-5)


def test_partial_fit_goes_on():
    net = distil(max_epochs=1).partial_fit(IMAGES, LABELS)
    before = weights(net)
    net.partial_fit(IMAGES, LABELS)
    assert len(net.history) == 2
    assert not same(before, weights(net))
    assert len(net.optimizer_.param_groups) == 1


def test_a_checkpoint_of_the_whole_net_within_a_fit(tmp_path):
    saved = tmp_path / "net.pkl"
    others = dict.fromkeys(("f_params", "f_optimizer", "f_criterion", "f_history"))
    checkpoint = Checkpoint(monitor=None, f_pickle=saved, **others)
    distil(callbacks=[checkpoint]).fit(IMAGES, LABELS)
    loaded = pickle.loads(saved.read_bytes())
    assert loaded.predict(IMAGES).shape == (N,)


def test_weights_and_rows_without_a_label():
    weight = np.linspace(0.5, 1.5, N)
    distil().fit(IMAGES, LABELS, sample_weight=weight)
    partly = np.where(np.arange(N) % 2, LABELS, -1)
    for scalar in (False, True):
        distil(Gap(*LAYERS, scalar=scalar), unlabeled=-1).fit(IMAGES, partly)
    with pytest.raises(ValueError, match="one loss for a batch"):
        distil(Gap(*LAYERS, scalar=True)).fit(IMAGES, LABELS, sample_weight=weight)


def test_a_teachers_rows_of_its_own_are_remembered():
    other = IMAGES[..., ::-1].copy()
    with pytest.raises(ValueError, match="cache=True"):
        distil().fit(IMAGES, LABELS, teacher_X=other)
    distil(Gap(*LAYERS, cache=True)).fit(IMAGES, LABELS, teacher_X=other)
    np.testing.assert_allclose(rows_seen(), expected_rows(other), rtol=1e-4, atol=1e-5)


# Mistakes, told before any training --------------------------------------------


class Shared(nn.Module):
    """A network that calls one layer twice, and another never."""

    def __init__(self, n_classes=3):
        super().__init__()
        self.relu, self.spare = nn.ReLU(), nn.ReLU()
        self.inner, self.head = nn.Linear(192, 192), nn.Linear(192, n_classes)

    def forward(self, x):
        return self.head(self.relu(self.inner(self.relu(x.float().flatten(1)))))


SHARED = Shared().eval()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"distillation": Gap("bodi.0", "body.2")},
            r"student_layer='bodi.0'.*no such layer.*mean 'body.0'.*standardize, body,",
        ),
        ({"distillation": Gap("body.0", "layer3")}, "teacher_layer='layer3'.*body.6"),
        ({"distillation": Gap(["body.0"], LAYERS)}, "expected as many of both"),
        ({"distillation": Gap("body.0", 3)}, "expected the name of a layer"),
        ({"distillation": Gap("body.0", "relu"), "teacher": SHARED}, "more than once"),
        ({"distillation": Gap("body.0", "spare"), "teacher": SHARED}, "not called"),
        (
            {
                "distillation": Gap(*LAYERS, cache=True),
                "augment": RandomHorizontalFlip(),
            },
            "fixed views",
        ),
        (
            {
                "distillation": WeightedSum(
                    [("a", Gap(*LAYERS)), ("b", Gap(*LAYERS, cache=True))]
                )
            },
            "expected the same for all",
        ),
        ({"compile": True}, "compile=True leaves no layers"),
        ({"optimizer": torch.optim.LBFGS}, "LBFGS looks at all parameters"),
        (
            {"teacher": LogisticRegression(), "teacher_cv": 2},
            "gives each fold its own teacher",
        ),
    ],
)
def test_mistakes_with_layers_of_feature_losses_are_refused(params, message):
    told = []
    net = distil(**params, callbacks=[Fails(AssertionError("it was trained"))])
    with pytest.raises(ValueError, match=message) as error:
        net.fit(IMAGES, LABELS)
    told.append(str(error.value))
    assert hooks(TEACHER) == hooks(SHARED) == 0


@pytest.mark.parametrize(
    "teacher",
    [
        LogisticRegression(max_iter=500).fit(IMAGES.reshape(N, -1), LABELS),
        [network(1), network(2)],
        lambda X: np.zeros((len(X), 3)),
    ],
    ids=["sklearn", "list", "function"],
)
def test_only_a_network_has_layers(teacher):
    with pytest.raises(TypeError, match="has no layers to learn features from"):
        distil(teacher=teacher).fit(IMAGES, LABELS)


class Wide(nn.Module):
    """Hundreds of layers: an error names those that can be read."""

    def __init__(self):
        super().__init__()
        stages = [nn.Sequential(*(nn.ReLU() for _ in range(30))) for _ in range(5)]
        self.stages, self.head = nn.Sequential(*stages), nn.Linear(192, 3)
        self.spare = nn.Linear(192, 99)

    def forward(self, x):
        return self.head(self.stages(x.float().flatten(1)))


def test_of_many_layers_the_outer_ones_are_named():
    net = distil(Gap("body.0", "stage"), teacher=Wide().eval())
    with pytest.raises(
        ValueError, match=r"stages.4, head, spare, and 150 more inside"
    ) as error:
        net.fit(IMAGES, LABELS)
    assert len(str(error.value)) < 500
