"""Formulas as MathML, which browsers draw by themselves: no script, no network."""

from docutils.nodes import SkipNode
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _mathml(node, as_block: bool) -> str:
    text = " ".join(node.astext().split())
    try:
        return latex2mathml.tex2mathml(text, as_block=as_block)
    except Exception as error:  # docutils raises MathError, SyntaxError and others
        logger.warning("formula %r: %s", text, error, location=node)
        return text


def inline(self, node) -> None:
    """Write the formula of a paragraph."""
    self.body.append(_mathml(node, as_block=False))
    raise SkipNode


def block(self, node) -> None:
    """Write a formula of its own."""
    self.body.append(f'<div class="math-block">{_mathml(node, as_block=True)}</div>')
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
