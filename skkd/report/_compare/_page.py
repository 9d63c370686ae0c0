"""One self-contained page of a comparison."""

from __future__ import annotations

import base64
import io
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from skkd.report._compare._examples import Example
from skkd.report._compare._plots import Plot, plots_of
from skkd.report._compare._table_rows import MEASURES
from skkd.report._tables import BLANK, Table

if TYPE_CHECKING:
    from skkd.report._compare._pairs import Pair
    from skkd.report._compare._result import Comparison

_SMALL = 64
_MOST_FINDINGS = 6
# No page of ours asks anybody for anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page_of(result: Comparison, title: str = "") -> str:
    """Return a page as HTML.

    Parameters
    ----------
    result : Comparison
    title : str, default=""
        "" names the models.

    Returns
    -------
    str
    """
    title = escape(title or f"{', '.join(result.measures)}: a comparison")
    style = files("skkd.report").joinpath("_page.css").read_text(encoding="utf-8")
    about_rows, *notes = result.notes
    measured = "".join(f"<p>{escape(note)}</p>" for note in notes)
    machine = escape(result.machine).replace("\n", "<br>\n")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="soft">{escape(about_rows)}</p>
</header>
<main>
{_findings(result)}
{_models(result)}
{_plots(result)}
{_pairs(result)}
{_examples(result)}
{_section("How it was measured", measured, f'<p class="soft">{machine}</p>')}
</main>
</body>
</html>
"""


def _section(title: str, *parts: str) -> str:
    inside = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{title}</h2>\n{inside}\n</section>" if inside else ""


def _findings(result: Comparison) -> str:
    if len(result.pairs) > _MOST_FINDINGS:
        return ""
    items = "".join(
        f"<li>{escape(_finding(pair, result.confidence))}</li>" for pair in result.pairs
    )
    return f'<ul class="findings">{items}</ul>' if items else ""


def _finding(pair: Pair, confidence: float) -> str:
    """Say in a sentence what came out of a pair."""
    if not pair.only_first + pair.only_second:
        return f"{pair.first} and {pair.second} are right on the same rows."
    points, low, high = (100 * v for v in (pair.difference, pair.low, pair.high))
    better, other = pair.first, pair.second
    if points < 0:
        better, other, points, low, high = other, better, -points, -high, -low
    between = f"{100 * confidence:g} % interval {low:+z.1f} to {high:+z.1f} points"
    if low <= 0:
        return (
            f"{better} and {other}: no evidence of a difference in accuracy "
            f"({points:+.1f}, {between})."
        )
    return f"{better} is {points:.1f} points more accurate than {other} ({between})."


def _models(result: Comparison) -> str:
    table = _scrolling(result.tables()[0])
    meanings = "".join(
        f"<div><dt>{escape(measure.title)}</dt><dd>{escape(measure.meaning)}</dd></div>"
        for measure in MEASURES
        if any(v.get(measure.key) is not None for v in result.measures.values())
    )
    blank = '<p class="soft">A dash: it does not apply, or cannot be known.</p>'
    meant = f"<details><summary>What each line means</summary><dl>{meanings}</dl>"
    return _section("The models", table, blank, f"{meant}</details>")


def _scrolling(table: Table) -> str:
    label = escape(table.caption)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">'
        f"{table.html()}</div>"
    )


def _pairs(result: Comparison) -> str:
    if not result.pairs:
        return ""
    meaning = (
        "Difference: accuracy of the first minus that of the second, on the same rows. "
        "Interval: where the difference lies if other rows of the same kind had been "
        f"drawn, with {100 * result.confidence:g} % confidence. Right alone: how many "
        "rows only one of the two has right. McNemar p: how often chance alone would "
        "split these rows at least as unevenly."
    )
    if len(result.pairs) > 1:
        meaning += " Holm p: the same, corrected for the number of pairs."
    table = _scrolling(result.tables()[1])
    return _section("The differences", table, f'<p class="soft">{meaning}</p>')


def _plots(result: Comparison) -> str:
    try:
        plots = plots_of(result)
    except ImportError:
        return _section(
            "Plots",
            '<p class="soft">Left out: they need matplotlib, '
            "<code>pip install matplotlib</code>.</p>",
        )
    figures = "".join(map(_figure, plots))
    return _section("Plots", f'<div class="plots">{figures}</div>' if figures else "")


def _figure(plot: Plot) -> str:
    source = _data("image/svg+xml", plot.svg)
    return (
        f'<figure><img src="{source}" alt="{escape(plot.alt)}">'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _examples(result: Comparison) -> str:
    if not result.examples:
        return ""
    head = (
        f"<p>{escape(result.differ)}</p>"
        f'<p class="soft">The {len(result.examples)} on which they are furthest apart. '
        "Bars: the probability that each model gives to a label; coloured, the true "
        "label.</p>"
    )
    items = "".join(_example(one, [*result.measures]) for one in result.examples)
    return _section("Where they differ", head, f'<ul class="examples">{items}</ul>')


def _example(example: Example, names: list[str]) -> str:
    truth, name = escape(str(example.label)), escape(example.name)
    small = ' class="small"' if max(example.picture.shape[1:]) <= _SMALL else ""
    source = _data("image/png", _png(example.picture))
    return (
        f'<li><div class="head"><img src="{source}"{small} '
        f'alt="{name}, {truth}"><div><h3>{truth}</h3>'
        f'<span class="soft">{name}</span></div></div>'
        f'<div class="said" tabindex="0">{_soft_labels(example, names)}</div></li>'
    )


def _soft_labels(example: Example, names: list[str]) -> str:
    """Return a table, a line for each label, a column for each model."""
    labels = list(dict.fromkeys(c for soft in example.soft.values() for c in soft))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    answers = "".join(_answer(example, name) for name in names)
    lines = "".join(
        f"<tr{_class('truth', label == example.label)}>"
        f'<th scope="row">{_label(label)}</th>'
        + "".join(_bar(example.soft.get(name, {}).get(label)) for name in names)
        + "</tr>"
        for label in labels
    )
    return (
        f'<table style="min-width:{5 + 5 * len(names)}rem">'
        "<caption>What each model says</caption>"
        f"<thead><tr><td></td>{head}</tr></thead>"
        f'<tbody><tr class="answer"><th scope="row">says</th>{answers}</tr>'
        f"{lines}</tbody></table>"
    )


def _answer(example: Example, name: str) -> str:
    right = example.labels[name] == example.label
    label = _label(example.labels[name])
    mark = "✓" if right else "✗"
    word = "right" if right else "wrong"
    return f'<td{_class("right", right)} title="{word}">{mark} {label}</td>'


def _label(label: Any) -> str:
    """Return a label that may go on in the next line, as a name of a folder may."""
    return escape(str(label)).replace("_", "_<wbr>")


def _bar(value: float | None) -> str:
    if value is None:
        return f"<td>{BLANK}</td>"
    percent = 100 * value
    text = f"{percent:.0f} %" if percent >= 1 or not value else "&lt; 1 %"
    bar = f'<span class="bar" style="width:{max(percent, 0.5):.1f}%"></span>'
    return f"<td>{text}{bar}</td>"


def _class(name: str, applies: bool) -> str:
    return f' class="{name}"' if applies else ""


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _png(picture: np.ndarray) -> bytes:
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
