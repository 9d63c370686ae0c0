"""Names as they can be shown."""

import pytest

from skkd._utils.printable import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, 3 €", "plain text, 3 €"),
        ("写真 é \N{GRINNING FACE}", "写真 é \N{GRINNING FACE}"),
        ("no\xa0break", "no\xa0break"),
        ("a\tb\nc\x00", r"a\tb\nc\x00"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        (b"\xff.jpg".decode("utf-8", "surrogateescape"), r"\udcff.jpg"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("line\u2028break", r"line\u2028break"),
    ],
)
def test_what_cannot_be_shown_is_escaped(text, expected):
    assert printable(text) == expected
    printable(text).encode("utf-8")
    assert printable(expected) == expected


def test_line_feeds_can_be_kept():
    assert printable("a\nb\x00", keep="\n") == "a\nb\\x00"
