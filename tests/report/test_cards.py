"""Model cards: what they say, and that the hub's own reader reads their metadata."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier
from skkd.report import compare, gain

hub = pytest.importorskip("huggingface_hub")

digits = load_digits()
X, y = digits.data.astype("f4"), np.array([f"digit {n}" for n in digits.target])
SCALER = StandardScaler().fit(X[:900])
FOREST = RandomForestClassifier(30, random_state=0).fit(
    SCALER.transform(X[:900]), y[:900]
)


def student(**params):
    net = DistilledClassifier(
        teacher=FOREST, max_epochs=2, random_state=0, module__hidden=8, **params
    )
    return make_pipeline(StandardScaler(), net)


@pytest.fixture(scope="module")
def fitted():
    return student().fit(X[:900], y[:900])


@pytest.fixture(scope="module")
def comparison(fitted):
    plain = student(alpha=0).fit(X[:900], y[:900])
    teacher = make_pipeline(SCALER, FOREST)
    models = {"teacher": teacher, "small": fitted, "plain": plain}
    rows = slice(1200, 1400)
    return compare(models, X[rows], y[rows], teacher_saw="other rows", timing=False)


def read(path):
    """Return metadata and text, as the hub reads them."""
    card = hub.ModelCard.load(path)
    return card.data, card.text


def test_a_card_of_a_comparison(comparison, fitted, tmp_path):
    path = tmp_path / "README.md"
    comparison.to_card(
        path,
        student=fitted,
        title="Small digits",
        data="Digits of the UCI repository, the first 900 rows.",
        limits="Only for digits of 8x8 pixels.",
        file="digits.onnx",
        license="bsd-3-clause",
    )
    data, text = read(path)
    assert data.library_name == "skkd"
    assert data.pipeline_tag == "tabular-classification"
    assert data.license == "bsd-3-clause"
    found = {one.metric_type: one.metric_value for one in data.eval_results}
    assert found["accuracy"] == round(comparison.measures["small"]["accuracy"], 4)
    for said in (
        "# Small digits",
        "A classifier of 10 classes: `digit 0`, `digit 1`",
        "`MLP(610 parameters)` for inputs of shape (64,)",
        "before it: StandardScaler",
        "on a teacher, `RandomForestClassifier`",
        "temperature=1.0, alpha=0.3",
        "the first 900 rows",
        "Only for digits",
        "the rarest class among them, `digit",
        "OnnxClassifier('digits.onnx')",
        comparison.tables()[0].markdown(),
        comparison.tables()[1].markdown(),
        comparison.machine.splitlines()[0],
    ):
        assert said in text
    for note in comparison.notes:
        assert text.count(note) == 1


def test_the_code_of_a_card_runs(fitted, comparison, tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    from skkd import save_student

    monkeypatch.chdir(tmp_path)
    save_student(fitted, "digits.safetensors")
    comparison.to_card("README.md", file=tmp_path / "digits.safetensors")
    (code,) = re.findall(r"```python\n(.*?)```", read("README.md")[1], re.S)
    names = {"X": X}
    exec(code, names)
    np.testing.assert_array_equal(names["student"].predict(X), fitted.predict(X))


def test_a_card_of_a_gain(fitted, comparison, tmp_path):
    result = gain(student(), X[900:1100], y[900:1100], seeds=2, cv=2)
    result.to_card(tmp_path / "README.md", student=fitted, file="a.safetensors")
    data, text = read(tmp_path / "README.md")
    assert result.verdict in text
    assert "load_student('a.safetensors')" in text
    assert "has not described the data" in text
    assert data.eval_results[0].metric_value == round(result.distilled.mean(), 4)
    comparison.to_card(tmp_path / "both.md", gain=result)
    text = read(tmp_path / "both.md")[1]
    assert result.verdict in text and comparison.tables()[0].markdown() in text


def test_what_a_card_is_of_has_to_be_clear(comparison, fitted, tmp_path):
    path = tmp_path / "README.md"
    with pytest.raises(ValueError, match="model='large'"):
        comparison.to_card(path, model="large")
    other = DistilledClassifier(max_epochs=1, module__hidden=9).fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="had 610 when"):
        comparison.to_card(path, student=other)
    with pytest.raises(TypeError, match="expected a fitted"):
        comparison.to_card(path, student=FOREST)
    with pytest.raises(ValueError, match="how to load"):
        comparison.to_card(path, file="student.pkl")
    two = compare({"a": fitted, "b": fitted}, X[:50], y[:50], timing=False)
    with pytest.raises(ValueError, match="pass model="):
        two.to_card(path)
    assert not path.exists()
    two.to_card(path, model="b")
    assert "This card is of `b`" in path.read_text()
