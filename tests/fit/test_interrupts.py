"""CTRL-C ends a fit with KeyboardInterrupt, and half a fit is not taken for a fit."""

import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistillationWarning, DistilledClassifier
from skkd.callbacks import UpdateBatchNorm
from skkd.memory import clear_cache
from skkd.recipes import AssistantChain, BornAgain, DistilledEnsemble, MutualLearning
from skkd.report import gain
from skkd.search import pruned_cross_val_score

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)


class Interrupt(Callback):
    """As CTRL-C at some point of some epoch; `left` may be shared by several nets."""

    def __init__(self, method="on_epoch_end", epoch=2, left=None):
        self.method, self.epoch, self.left = method, epoch, left

    def __getattribute__(self, name):
        if name.startswith("on_") and name == vars(self)["method"]:
            return self.interrupt
        return super().__getattribute__(name)

    def interrupt(self, net, *args, **kwargs):
        if len(net.history) >= self.epoch:
            if self.left is not None:
                self.left[0] -= 1
                if self.left[0] >= 0:
                    return
            raise KeyboardInterrupt


POINTS = ["on_epoch_begin", "on_batch_begin", "on_grad_computed", "on_batch_end"]
POINTS = [*POINTS, "on_epoch_end", "on_train_end"]


def student(*callbacks, **params):
    defaults = {"teacher": TEACHER, "max_epochs": 4, "random_state": 0}
    return DistilledClassifier(callbacks=[*callbacks], **{**defaults, **params})


@pytest.mark.parametrize("method", POINTS)
def test_an_interrupted_fit_of_a_new_estimator_leaves_it_unfitted(method):
    net = student(Interrupt(method))
    before = dict(vars(net))
    with pytest.raises(KeyboardInterrupt) as caught:
        net.fit(X, Y)
    assert "on_interrupt='keep'" in caught.value.__notes__[0]
    assert vars(net) == before
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("method", POINTS)
def test_an_interrupted_fit_leaves_the_student_of_the_fit_before(method):
    net = student().fit(X, Y)
    answers, classes = net.predict_proba(X), net.classes_
    net.set_params(callbacks=[Interrupt(method)])
    with pytest.raises(KeyboardInterrupt):
        net.set_params(alpha=0.0, teacher=None).fit(X[:90], Y[:90] + 1)
    np.testing.assert_array_equal(net.predict_proba(X), answers)
    assert net.classes_ is classes and len(net.history) == 4
    # The next fit is that of a new estimator.
    again = net.set_params(callbacks=None, alpha=0.3, teacher=TEACHER).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), answers)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_that_goes_on_keeps_what_was_learnt(method):
    net = student(warm_start=True).fit(X, Y)
    net.set_params(callbacks=[Interrupt(epoch=6)])
    with pytest.raises(KeyboardInterrupt) as caught:
        getattr(net, method)(X, Y)
    assert "keeps what it has learnt" in caught.value.__notes__[0]
    two_more = student(max_epochs=6).fit(X, Y)
    assert len(net.history) == 6 == len(two_more.history)
    assert net.predict(X).shape == (150,)


def test_the_word_keep_stops_early():
    net = student(Interrupt(), on_interrupt="keep")
    with pytest.warns(DistillationWarning, match="interrupted in epoch 2"):
        net.fit(X, Y)
    assert net.history[-1]["interrupted"] and len(net.history) == 2
    assert net.predict(X).shape == (150,)
    # Nothing was learnt yet, so there is nothing to keep.
    net = student(Interrupt("on_grad_computed", 1), on_interrupt="keep")
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    with pytest.raises(NotFittedError):
        net.predict(X)
    with pytest.raises(ValueError, match="on_interrupt='stop': expected 'raise' or"):
        student(on_interrupt="stop").fit(X, Y)


@pytest.mark.parametrize("on_interrupt", ["raise", "keep"])
def test_early_stopping_of_skorch_is_no_interrupt(on_interrupt):
    class Own(EarlyStopping):
        """A subclass, as users write."""

    for kind in (EarlyStopping, Own):
        stop = kind("train_loss", patience=2, threshold=10.0, threshold_mode="abs")
        net = student(stop, max_epochs=9, on_interrupt=on_interrupt).fit(X, Y)
        assert len(net.history) == 3
        assert net.predict(X).shape == (150,)


def test_ctrl_c_inside_of_a_callback_of_skorch_is_an_interrupt():
    def sink(text):
        raise KeyboardInterrupt

    stop = EarlyStopping(
        "train_loss", patience=1, threshold=10.0, threshold_mode="abs", sink=sink
    )
    with pytest.raises(KeyboardInterrupt):
        student(stop, verbose=1).fit(X, Y)


def test_callbacks_hear_of_the_end_only_if_there_is_one():
    class Ends(Callback):
        ended = 0

        def on_train_end(self, net, **kwargs):
            type(self).ended += 1

    with pytest.raises(KeyboardInterrupt):
        student(Interrupt(), Ends()).fit(X, Y)
    assert Ends.ended == 0
    with pytest.warns(DistillationWarning, match="interrupted"):
        student(Interrupt(), Ends(), on_interrupt="keep").fit(X, Y)
    assert Ends.ended == 1


def test_what_the_teacher_said_stays():
    clear_cache()
    with pytest.raises(KeyboardInterrupt):
        student(Interrupt()).fit(X, Y)
    assert student().fit(X, Y).cache_info_.misses == 0


def test_an_interrupt_while_batch_norm_is_updated_leaves_its_statistics():
    class Net(nn.Module):
        passes = 0

        def __init__(self, n_classes, input_shape):
            super().__init__()
            self.norm = nn.BatchNorm1d(*input_shape)
            self.head = nn.Linear(*input_shape, n_classes)

        def forward(self, x):
            Net.passes -= 1
            if not Net.passes:
                raise KeyboardInterrupt
            return self.head(self.norm(x))

    def stats(net):
        return [b.clone() for b in net.module_.buffers()]

    net = student(UpdateBatchNorm(), module=Net).fit(X, Y)
    before, Net.passes = stats(net), 4 * 3 + 3  # after 2 looks, 4 epochs of 3 batches
    plain = student(module=Net)
    with pytest.raises(KeyboardInterrupt):
        net.partial_fit(X, Y)
    Net.passes = 0
    after = stats(net)
    assert not all((a == b).all() for a, b in zip(before, after, strict=True))
    assert after[2] == before[2] + 12  # batches counted, none of the pass of averages
    assert net.module_.norm.momentum == plain.fit(X, Y).module_.norm.momentum


class Counter(list):
    """Shared by the clones of a callback."""

    def __deepcopy__(self, memo):
        return self

    def __sklearn_clone__(self):
        return self


RECIPES = {
    "born-again": lambda net: BornAgain(net, n_generations=2),
    "chain": lambda net: AssistantChain(net, [{}]),
    "ensemble": lambda net: DistilledEnsemble(net, 2),
    "mutual": MutualLearning,
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_recipe_is_not_fitted(recipe):
    teacher = None if recipe == "mutual" else TEACHER
    n = 0 if recipe == "mutual" else 3
    callback = Interrupt("on_epoch_end", 2, left=Counter([n]))
    net = RECIPES[recipe](student(callback, teacher=teacher))
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    assert not hasattr(net, "student_")
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("on_interrupt", ["raise", "keep"])
def test_a_gain_that_was_interrupted_is_resumed_without_the_half_fit(
    tmp_path, monkeypatch, on_interrupt
):
    notify, left = DistilledClassifier.notify, [10]

    def interrupted(net, name, **kwargs):
        left[0] -= name == "on_epoch_end"
        if left[0] == 0:
            raise KeyboardInterrupt
        notify(net, name, **kwargs)

    path = tmp_path / "fits.jsonl"
    run = {"seeds": 1, "cv": 2}
    net = student(Callback(), on_interrupt=on_interrupt)  # trained one by one
    with monkeypatch.context() as patch:
        patch.setattr(DistilledClassifier, "notify", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gain(net, X, Y, **run, resume=path)
    assert len(path.read_text().splitlines()) == 1 + 2  # each fit has 4 epochs
    resumed, whole = (gain(net, X, Y, **run, resume=p) for p in (path, None))
    np.testing.assert_array_equal(resumed.distilled, whole.distilled)
    np.testing.assert_array_equal(resumed.plain, whole.plain)


@pytest.mark.parametrize(
    "run",
    [
        lambda net: cross_val_score(net, X, Y, cv=3),
        lambda net: GridSearchCV(net, {"alpha": [0.1, 0.9]}, cv=2).fit(X, Y),
        lambda net: pruned_cross_val_score(
            net.set_params(on_interrupt="keep"),
            *(X, Y, optuna.create_study(direction="maximize").ask()),
        ),
    ],
)
def test_what_fits_several_students_ends(run):
    left = Counter([4])
    with pytest.raises(KeyboardInterrupt):
        run(student(Interrupt(left=left)))
    assert left == [-1]  # no further fit


@pytest.mark.slow
def test_an_interrupt_ends_a_search_in_processes():
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(student(Interrupt()), {"alpha": [0.1]}, cv=2, n_jobs=2).fit(X, Y)


def test_validation_may_be_interrupted():
    class InValidation(Callback):
        def on_batch_end(self, net, training=True, **kwargs):
            if not training:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        student(InValidation(), train_split=ValidSplit(3)).fit(X, Y)


SCRIPT = """
    import sys, warnings
    import numpy as np
    from sklearn.datasets import load_digits
    from torch import nn
    from skkd import DistilledClassifier
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = X.astype("float32")
    layers = [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5)]
    teacher = nn.Sequential(*layers, nn.Linear(64, 10)).train()
    net = DistilledClassifier(teacher=teacher, max_epochs=60, random_state=0)
    net.set_params(memory=False, augment=(lambda x: x) if sys.argv[1] == "1" else None)
    net.fit(X[:64], y[:64])
    answers = net.predict_proba(X)
    print("ready", flush=True)
    try:
        while True:
            net.fit(X, y)
    except KeyboardInterrupt:
        pass
    print(all(part.training for part in teacher.modules()))
    alone = np.array_equal(net.predict_proba(X), answers)
    whole = len(net.history) == 60 and all("train_loss" in e for e in net.history)
    print(alone or whole, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("live", ["0", "1"])
def test_a_signal_at_any_moment(live):
    rng = np.random.default_rng(0)
    for _ in range(3):
        run = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), live],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert run.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 1.0))
        run.send_signal(signal.SIGINT)
        out, errors = run.communicate(timeout=60)
        assert out.split() == ["True", "True"], errors
