"""What the library says in Python, in the words of the command line."""

from __future__ import annotations

import re

_PARAMETERS = "folder|out|test|teacher|student|size|epochs|seed|quantize|path"
_OWN_FOLDERS = "Put the images of each class into a folder of its own."
_CALL = r"load_image_folder\('[^']*', "
_SPELLED = (
    (r"on_error='skip'", "--skip-unreadable"),
    (r"on_error='raise'", "no --skip-unreadable"),
    (r"load_image_folder\(('[^']*')\)", r"pass \1"),
    (rf"{_CALL}classes=(\[[^\]]*\])\)", r"move all but \1 out of it"),
    (rf"{_CALL}exclude=(\[[^\]]*\])\)", r"move \1 out of it"),
    (r" If these are the classes, pass classes=\[[^\]]*\]\.", ""),
    (r"If the names begin with the class.*$", _OWN_FOLDERS),
    (r"; labels= takes a table \([^()]*(\([^()]*\))?[^()]*\)", ""),
    (r"(?<![\w(.])(?:root|compare_with)=(?=')", ""),
    (rf"(?<![\w(.])({_PARAMETERS})=(?=['\d-])", r"--\1 "),
)
# What remains of calls has no like among the commands.
_PYTHON = re.compile(r"load_image_folder\(|\b(?:labels|classes|exclude)=")


def in_words_of_commands(text: str) -> str:
    """Return a message with options in the place of parameters and calls."""
    for pattern, spelled in _SPELLED:
        text = re.sub(pattern, spelled, text)
    if _PYTHON.search(text):
        text += f" In Python, that is; a command takes folders. {_OWN_FOLDERS}"
    return text
