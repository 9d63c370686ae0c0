"""A folder of images, and runs of it that write no page and measure no times."""

from functools import partial

import pytest
from image_folders import write_squares

from skkd.report import compare


@pytest.fixture(autouse=True)
def _without_files(monkeypatch):
    """Leave out page, card, ONNX file and times: tests/cli has them."""
    from skkd.quickstart import _measure, _plan

    monkeypatch.setattr(_measure._files, "write_all", lambda *args: {})
    monkeypatch.setattr(_measure, "compare", partial(compare, timing=False))
    # Whatever is installed.
    monkeypatch.setattr(_plan, "default_teacher", lambda: "train")


@pytest.fixture
def photos(tmp_path):
    return write_squares(tmp_path / "photos", n=16)
