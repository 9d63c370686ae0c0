"""skorch's callbacks on a DistilledClassifier."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import check_scoring, f1_score, make_scorer
from skorch.callbacks import (
    BatchScoring,
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
from skorch_helpers import N, Recorder, distil, equal, quiet_teachers

pytestmark = quiet_teachers


def test_early_stopping_looks_at_the_validation_loss(net, X, y):
    net.set_params(
        callbacks=[EarlyStopping(patience=2, load_best=True)],
        train_split=ValidSplit(3),
        max_epochs=100,
        lr=0.1,
    ).fit(X, y)
    losses = net.history[:, "valid_loss"]
    assert len(losses) < 100
    assert np.argmin(losses) == len(losses) - 3


def test_a_fit_resumes_from_a_checkpoint(net, X, y, tmp_path):
    def checkpoint():
        return Checkpoint(dirname=tmp_path, monitor=None)

    net.set_params(callbacks=[checkpoint()]).fit(X, y)
    again = clone(net)
    again.set_params(callbacks=[LoadInitState(checkpoint())], max_epochs=2)
    again.fit(X, y)
    assert len(again.history) == 5
    np.testing.assert_array_equal(again.history[:3, "epoch"], [1, 2, 3])


def test_train_end_checkpoint_stores_the_last_state(net, X, y, tmp_path):
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
def test_lr_scheduler_policies(net, X, y, policy, params):
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
def test_epoch_scoring_scores_the_right_samples(
    teacher, X, y, scoring, on_train, use_caching
):
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
def test_batch_scoring_scores_the_right_samples(teacher, X, y, use_caching, on_train):
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


def test_progress_bar_and_clipping(net, X, y, capsys):
    callbacks = [ProgressBar(), GradientNormClipping(1.0)]
    net.set_params(callbacks=callbacks, train_split=ValidSplit(3)).fit(X, y)
    assert "it" in capsys.readouterr().err


def test_callbacks_see_samples_and_labels_as_they_were_passed(net, X, y):
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


def test_callbacks_see_no_logits_and_no_weights(net, X, y):
    recorder = Recorder()
    net.set_params(callbacks=[recorder]).fit(X, y, sample_weight=np.ones(N))
    assert {type(batch) for batch, *_ in recorder.batches} == {torch.Tensor}


def test_parameters_of_callbacks_can_be_set(net, X, y):
    net.set_params(callbacks=[("stop", EarlyStopping())], train_split=ValidSplit(3))
    net.set_params(callbacks__stop__patience=7).fit(X, y)
    assert dict(net.callbacks_)["stop"].patience == 7
    net.set_params(callbacks__stop__patience=8, callbacks__valid_acc=None).fit(X, y)
    assert dict(net.callbacks_)["stop"].patience == 8
    assert "valid_acc" not in net.history[-1]
    assert clone(net).get_params()["callbacks__stop__patience"] == 8


def test_history_has_valid_loss_only_with_a_split(net, X, y):
    net.fit(X, y)
    assert {"train_loss", "dur", "epoch"} <= net.history[-1].keys()
    assert "valid_loss" not in net.history[-1]
    net.set_params(train_split=ValidSplit(3, stratified=True)).fit(X, y)
    assert len(net.history) == 3
    _, valid = ValidSplit(3, stratified=True)(SkorchDataset(X, y), y)
    rows = valid.indices
    assert net.history[-1, "valid_acc"] == net.score(X[rows], y[rows])
