"""Pages, tables and cards of models and classes with odd names."""

import numpy as np
import pytest
from report_pages import Fixed, Page

from skkd.report import compare

SURROGATE = b"caf\xe9".decode("utf-8", "surrogateescape")
CLASSES = np.array(["$a_1$ <i>", SURROGATE + "\x1b[31m"])
NAMES = ["$x_1$|\n<b>", "_hidden\x00" + "long" * 500]


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1], size=40)
    images = rng.integers(0, 256, (40, 3, 5, 4), dtype=np.uint8)
    y = CLASSES[rng.integers(2, size=40)]
    models = {
        name: Fixed(p, CLASSES)
        for name, p in zip(NAMES, (proba, proba[::-1]), strict=True)
    }
    return compare(models, images, y, timing=False)


def test_the_page_is_text_and_valid(result, tmp_path):
    result.to_html(tmp_path / "page.html", about=["\x07bell"])
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "$x_1$| <b>" in page.text
    assert r"caf\udce9\x1b[31m" in page.text
    assert r"_hidden\x00long" in page.text and r"\x07bell" in page.text
    assert not {"b", "i"} & {tag for tag, _ in page.elements}


def test_tables_keep_their_lines(result):
    text = str(result)
    assert r"$x_1$|\n<b>" in text
    assert "\x1b" not in text and "\x00" not in text
    for line in result.to_markdown().splitlines():
        if line.startswith("|"):
            assert line.replace(r"\|", "").count("|") in (4, 7)
    result._repr_html_().encode("utf-8")


def test_a_card_is_written(result, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    path = tmp_path / "README.md"
    result.to_card(path, model=NAMES[0], title="My\n$model$: \x1b[1m" + SURROGATE)
    card = hub.ModelCard.load(path)
    assert card.data.model_name == r"My\n$model$: \x1b[1mcaf\udce9"
    assert r"# My\n$model$" in card.text
    assert r"`caf\udce9\x1b[31m`" in card.text
