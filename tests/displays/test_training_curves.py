"""TrainingCurvesDisplay: histories, and when they are comparable."""

import pytest

from skkd import DistilledClassifier
from skkd.displays import TrainingCurvesDisplay


def test_curves_are_the_history(fitted):
    students = {name: fitted[name] for name in ("plain", "distilled")}
    display = TrainingCurvesDisplay.from_estimators(students)
    recorded = fitted["distilled"][-1].history[:, "valid_loss"]
    assert display.lines_[1].get_ydata().tolist() == recorded
    assert display.lines_[1].get_xdata().tolist() == [1, 2, 3]
    assert display.ax_.get_ylabel() == "valid loss"
    styles = {(one.get_marker(), one.get_linestyle()) for one in display.lines_}
    assert len(styles) == 2


def test_curves_say_that_train_losses_do_not_compare(iris, fitted):
    X, y = iris
    plain = DistilledClassifier(max_epochs=2).fit(X, y)
    other = DistilledClassifier(max_epochs=2, lr=0.1).fit(X, y)
    students = {"plain": plain, "distilled": fitted["distilled"]}
    display = TrainingCurvesDisplay.from_estimators(students)
    assert display.ax_.get_ylabel() == "train loss"  # one has recorded no other
    assert "not comparable" in display.ax_.get_legend().get_title().get_text()
    alike = TrainingCurvesDisplay.from_estimators({"plain": plain, "other": other})
    assert alike.comparable and not alike.ax_.get_legend().get_title().get_text()
    smooth = DistilledClassifier(max_epochs=2, distillation="label_smoothing")
    taught = {"teacher": fitted["plain"], "max_epochs": 2, "distillation": "dkd"}
    one, two = (
        DistilledClassifier(**taught, distillation__beta=beta).fit(X, y)
        for beta in (1.0, 8.0)
    )
    for students in ({"a": plain, "b": smooth.fit(X, y)}, {"a": one, "b": two}):
        assert not TrainingCurvesDisplay.from_estimators(students).comparable


def test_curves_of_several_keys(fitted):
    display = TrainingCurvesDisplay.from_estimators(
        {"plain": fitted["plain"]}, key=["train_loss", "valid_acc"]
    )
    assert list(display.curves["plain"]) == ["train_loss", "valid_acc"]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["plain", "train loss", "valid acc"]


def test_curves_refuse(fitted):
    with pytest.raises(
        TypeError, match=r"teacher is a LogisticRegression, which keeps"
    ):
        TrainingCurvesDisplay.from_estimators(fitted)
    with pytest.raises(ValueError, match=r"fresh .* has no history: it is not fitted"):
        TrainingCurvesDisplay.from_estimators({"fresh": DistilledClassifier()})
    with pytest.raises(ValueError, match=r"key='loss': plain recorded \['dur'"):
        TrainingCurvesDisplay.from_estimators({"plain": fitted["plain"]}, key="loss")
