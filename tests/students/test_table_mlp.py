"""TableMLP: embeddings, and what a fit tells it of the table."""

import numpy as np
import pandas as pd
import pytest
import torch

from skkd import DistilledClassifier
from skkd.students import TableMLP
from skkd.tables import TablePreprocessor


def test_a_category_is_its_vector():
    torch.manual_seed(0)
    net = TableMLP(2, (3,), [2, 0, 3], hidden=4, n_blocks=0, dropout=0, embedding=2)
    x = torch.tensor([[1.0, 0.5, 2.0]])
    vectors = net.embedding.weight[[1, 4]].flatten()
    joined = torch.cat([torch.tensor([0.5]), vectors])
    expected = net.head(torch.relu(net.first[0](joined)))
    torch.testing.assert_close(net(x)[0], expected)


def test_rows_are_computed_one_by_one():
    net = TableMLP(3, (4,), n_blocks=2).eval()
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_a_fit_says_which_features_are_codes():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"n": rng.normal(size=200), "c": rng.choice([*"abcd"], 200)})
    y = X["c"].isin(["a", "c"]).to_numpy()
    net = DistilledClassifier(TableMLP, lr=0.01, random_state=0)
    net.fit(X, y)
    assert net.score(X, y) == 1
    assert net.module_.embedding.num_embeddings == 5
    assert net.preprocessor_.categories == "codes"
    onehot = net.set_params(preprocessor=TablePreprocessor()).fit(X, y)
    assert onehot.module_.embedding is None


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"input_shape": (3, 8, 8)}, "expected \\(n_features,\\)"),
        ({"n_categories": [1]}, "has 1 numbers, expected 2"),
        ({"n_categories": [-1, 0]}, "n_categories="),
        ({"dropout": 1}, "dropout=1"),
        ({"hidden": 0}, "hidden=0"),
    ],
)
def test_arguments_are_checked(params, words):
    with pytest.raises(ValueError, match=words):
        TableMLP(**{"n_classes": 2, "input_shape": (2,), **params})
