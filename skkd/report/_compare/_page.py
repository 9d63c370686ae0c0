"""One self-contained HTML page of a comparison, from the template beside this file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from skkd._utils.printable import printable
from skkd.report._compare._plots import plots_of
from skkd.report._compare._table_rows import MEASURES

_SMALL = 64  # pixels; smaller images are enlarged without smoothing
_MAX_FINDINGS = 6


def page_of(result: Any, title: str = "", about: Sequence[str] = ()) -> str:
    """Return a page as HTML; without a title, it is called after the models.

    Raises ImportError if jinja2 is not installed.
    """
    try:
        plots = plots_of(result)
    except ImportError:
        plots = None  # the page says that matplotlib is not installed
    about_rows, *notes = result.notes
    pairs = result.pairs if len(result.pairs) <= _MAX_FINDINGS else []
    # What a student gained by its teacher comes first.
    pairs = sorted(
        pairs,
        key=lambda pair: (
            result.baseline not in (pair.first, pair.second)
            or result.teacher in (pair.first, pair.second)
        ),
    )
    measures = [
        measure
        for measure in MEASURES
        if any(
            values.get(measure.key) is not None for values in result.measures.values()
        )
    ]
    page = _template().render(
        title=title or f"{', '.join(result.measures)}: a comparison",
        about=about,
        about_rows=f"{result.caveat} {about_rows}".strip(),
        findings=[pair.sentence(result.confidence) for pair in pairs],
        tables=result.tables(),
        measures=measures,
        plots=plots,
        level=f"{100 * result.confidence:g}",
        disagreement=result.disagreement,
        examples=result.examples,
        names=[*result.measures],
        notes=notes,
        machine=result.machine.splitlines(),
    )
    return printable(page, keep="\n")


def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader
    except ImportError as error:
        raise ImportError(
            "Comparison.to_html requires jinja2: `pip install jinja2`."
        ) from error
    environment = Environment(
        loader=PackageLoader("skkd.report._compare", "."),
        autoescape=True,  # names and labels are text, whatever they hold
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": _breakable,
        "data_url": _data_url,
        "png": _png,
    }
    environment.tests["small"] = lambda picture: max(picture.shape[1:]) <= _SMALL
    return environment.get_template("page.html.jinja")


def _breakable(label: Any) -> Any:
    """Return a label that may continue in the next line after _ or -, and nowhere."""
    from markupsafe import Markup, escape  # installed with jinja2

    text = escape(str(label))
    for mark in "_-":
        text = text.replace(mark, Markup(f"{mark}<wbr>"))
    return text


def _data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _png(picture: np.ndarray) -> bytes:
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
