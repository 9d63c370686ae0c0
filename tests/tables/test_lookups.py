"""A prediction by lookups equals that of the wide matrix."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch
from table_cases import make_table, student

from skkd import DistillationWarning, DistilledClassifier
from skkd._estimator.lookups import evaluate_by_lookups
from skkd.students import MLP, TableMLP
from skkd.students._first_linear import first_linear
from skkd.tables import TablePreprocessor
from skkd.tables._lookups import look_up, rows_of

X, Y = make_table(600)
OTHER, _ = make_table(700, seed=1)
OTHER.loc[::11, "age"] = [1e300, -1e300] * 32
OTHER["job"] = OTHER["job"].astype(object).where(OTHER["city"] != "c", "diver")


def product(preprocessor, table):
    """Return what lookups make of the product with some weights, and the product."""
    numbers = preprocessor.transform(table)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(numbers.shape[1], 5))
    means = rng.normal(size=numbers.shape[1])
    index, weight = look_up(preprocessor, table, means)
    rows = rows_of(preprocessor, weights, means, {})
    found = (rows[index] * weight[:, :, None]).sum(axis=1)
    return found, (numbers - means) @ weights


@pytest.mark.parametrize("categories", ["onehot", "codes"])
@pytest.mark.parametrize("n_bins", [0, 16])
@pytest.mark.parametrize("table", [X, OTHER], ids=["seen", "unseen"])
def test_sums_of_rows_are_the_product(table, n_bins, categories):
    params = {"max_categories": 2, "n_bins": n_bins, "categories": categories}
    got, expected = product(TablePreprocessor(**params).fit(X), table)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_arrays_of_numbers():
    numbers = np.random.default_rng(0).normal(size=(300, 3)).round(1)
    numbers[::5, 1] = np.nan
    got, expected = product(TablePreprocessor().fit(numbers), numbers)
    np.testing.assert_allclose(got, expected, atol=2e-5)


MODULES = {
    "default": {},
    "linear": {"module": MLP, "module__hidden": ()},
    "deep": {"module": MLP, "module__hidden": (9, 7), "module__dropout": 0.3},
    "embeddings": {"module": TableMLP, "module__n_blocks": 2},
    "no blocks": {"module": TableMLP, "module__n_blocks": 0},
    "one-hot": {"module": TableMLP, "preprocessor": TablePreprocessor()},
    "codes": {"preprocessor": TablePreprocessor(categories="codes")},
}


@pytest.mark.parametrize("name", MODULES)
def test_predictions_are_those_of_the_wide_matrix(name):
    net = student(**MODULES[name], teacher=None, max_epochs=3).fit(X, Y)
    assert evaluate_by_lookups(net, OTHER) is not None
    numbers = torch.from_numpy(net.preprocessor_.transform(OTHER))
    with torch.no_grad():
        expected = net.module_.eval()(numbers).softmax(1).numpy()
    np.testing.assert_allclose(net.predict_proba(OTHER), expected, atol=1e-6)
    few = [net.predict_proba(OTHER[i : i + 100]) for i in range(0, 700, 100)]
    np.testing.assert_allclose(np.concatenate(few), expected, atol=1e-6)


def test_numbers_that_hardly_vary_lose_no_digits():
    days = [datetime.date(1 + i % 4, 1, 1) for i in range(600)]
    table = pd.DataFrame({"day": days, "number": X["visits"].fillna(0).astype(float)})
    net = student(teacher=None, max_epochs=3).fit(table, Y)
    few = [net.predict_proba(table[i : i + 100]) for i in range(0, 600, 100)]
    whole = net.predict_proba(table)
    np.testing.assert_allclose(whole, np.concatenate(few), atol=1e-6)


def test_another_fit_gives_other_predictions():
    net = student(teacher=None, max_epochs=1).fit(X, Y)
    before = net.predict_proba(X)
    net.partial_fit(X, Y)
    assert np.abs(net.predict_proba(X) - before).max() > 1e-3


class Changed(MLP):
    """Computes something else than its layers."""

    def forward(self, x):
        return super().forward(x).flip(1)


WIDE = {
    "few rows": ({}, OTHER[:20]),
    "another preprocessor": ({"preprocessor": "subclass"}, OTHER),
    "a student of one's own": ({"module": Changed}, OTHER),
    "half precision": ({"precision": "bf16"}, OTHER),
}


@pytest.mark.parametrize("name", WIDE)
def test_where_there_are_no_lookups(name):
    params, table = WIDE[name]
    if "preprocessor" in params:
        kind = type("Own", (TablePreprocessor,), {})
        params = {"preprocessor": kind()}
    net = student(**params, teacher=None, max_epochs=1).fit(X, Y)
    assert evaluate_by_lookups(net, table) is None
    numbers = net.preprocessor_.transform(table)
    np.testing.assert_allclose(
        net.predict_proba(table), softmax_of(net, numbers), atol=1e-6
    )


def softmax_of(net, numbers):
    outputs = net.evaluation_step((torch.from_numpy(numbers), None))
    return outputs.softmax(1).numpy()


def test_a_hook_sees_the_forward_pass():
    net = student(teacher=None, max_epochs=1).fit(X, Y)
    seen = []
    net.module_.body.register_forward_hook(lambda *args: seen.append(args))
    assert first_linear(net.module_) is None
    net.predict_proba(X)
    assert seen


def test_mistakes_are_told_as_ever():
    net = student(teacher=None, max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="unseen at fit time:\n- new"):
        net.predict(OTHER.assign(new=1))
    with pytest.raises(ValueError, match="column 'age' holds infinite"):
        net.predict(OTHER.assign(age=np.inf))
    with pytest.warns(DistillationWarning, match="'joined' has 700 gaps"):
        net.predict(OTHER.assign(joined=pd.NaT))


def test_a_table_of_one_column():
    column = pd.DataFrame({"c": np.random.default_rng(0).choice([*"abc"], 400)})
    net = DistilledClassifier(lr=0.01, random_state=0).fit(column, column["c"] == "a")
    assert net.score(column, column["c"] == "a") == 1
