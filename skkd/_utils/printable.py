"""Names as they can be shown: of files, of classes, of models."""

from __future__ import annotations

import re
import textwrap

# Control characters; halves of characters, as Python makes them of bytes that are no
# text; separators of lines and paragraphs; what turns the direction of the text behind.
_ODD = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with escapes for what cannot be shown, or would change the rest.

    Parameters
    ----------
    text : str
    keep : str, default=""
        Characters that stay as they are, such as the line feed.

    Returns
    -------
    str
        It can be encoded as UTF-8.

    Examples
    --------
    >>> from skkd._utils.printable import printable
    >>> print(printable("cat\x1b[31m"), printable("grün 猫"))
    cat\x1b[31m grün 猫
    """

    def escaped(found: re.Match[str]) -> str:
        character = found.group()
        if character in keep:
            return character
        return character.encode("unicode_escape").decode("ascii")

    return _ODD.sub(escaped, text)


def wrapped(text: str, width: int = 79) -> str:
    """Break lines between words, but no path at a hyphen."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
