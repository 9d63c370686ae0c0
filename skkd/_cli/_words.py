"""What the library says in Python, in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Collection

# Options and arguments that the parameters of the same name become.
_PARAMETERS = "out|test|teacher|student|size|epochs|seed|quantize"
_OWN_FOLDERS = "ut the images of each class into a folder of its own."
_MOVE_EACH = "names the class of each image, move each into a folder of its class."

# Parts of calls: a path, a list of names as it is cut for messages, a table.
_PATH = r"(?:'[^']*'|\"[^\"]*\")"
_NAMES = r"\[.*?\](?: and \d+ more)?"
_TABLE = r"\(pandas\.DataFrame\(.*?\)\)"
_CALL = r"load_image_folder\("
_OF_CLASSES = rf"{_CALL}({_PATH}), classes={_NAMES}\)"
_OF_TABLE = rf"{_CALL}{_PATH}, labels={_PATH}\)"

_FOLDERS = (
    # A command takes all folders in a folder, so that the others have to be moved.
    (rf"Load each split by itself: {_OF_CLASSES}", "Move each split into a folder"),
    (rf"leave these folders out: {_OF_CLASSES}", r"move these folders out of \1"),
    (
        rf", or leave it out: {_CALL}.*?\)\. If it is a class, pass classes={_NAMES}\.",
        ". If it is a class, rename the folders in it.",
    ),
    (rf"If it is none: {_OF_CLASSES}", r"If it is none, move it out of \1"),
    (
        rf"Move them, or leave them out: {_CALL}.*?; exclude=\[\] says that they",
        "Move them, unless they",
    ),
    (
        rf"Leave (them|some) out: {_CALL}.*?; exclude=\[\] says that (they|all)",
        r"Move \1 out of the folder, unless \2",
    ),
    (rf"say so by classes={_NAMES}\.", "nothing need be done."),
    (rf"are the classes, pass classes={_NAMES}\.", "are the classes, rename them."),
    # It takes no table.
    (
        rf"names the class of each image(?:: {_OF_TABLE}|, pass labels={_PATH})"
        r"(?:; if not, nothing need be done)?\.",
        _MOVE_EACH,
    ),
    (
        rf"A table {_TABLE} can name the class of each image, by labels=; if it is a "
        "class, nothing need be done.",
        f"P{_OWN_FOLDERS}",
    ),
    (
        r"a (?:table|data frame) can name the classes"
        rf"(?:: {_OF_TABLE}|, by labels= {_TABLE})\.",
        f"p{_OWN_FOLDERS}",
    ),
    (rf", or name the classes by labels=, a table {_TABLE}", ""),
    (rf"; labels= takes a table {_TABLE}", ""),
    (r"If the names begin with the class.*$", f"P{_OWN_FOLDERS}"),
    (rf"(?:load it by itself: )?{_CALL}({_PATH})\)", r"pass \1"),
    (
        rf"archive: shutil\.unpack_archive\(({_PATH}), ({_PATH})\)",
        r"archive \1 into the folder \2",
    ),
    (
        "sides: pass `groups` to StratifiedGroupKFold",
        "sides, and that of `skkd fit` does not",
    ),
    (" and returned as `skipped`", ""),
    (rf"(?<![\w(.])root=(?={_PATH})", ""),
    (rf"(?<![\w(.])compare_with=(?={_PATH})", "--against "),
    (r"\bcompare_with\b", "the folder of --against"),
)
_FILES = (
    # No command has an option for gray levels.
    (r"say which are black and white by ImageReader\(.*?\)\), or save", "save"),
    (
        r"say which levels are black and white by ImageReader\(.*?of each file",
        "save it as an image of 8 bits",
    ),
    (
        r", pass ImageReader\(levels=.*?; if they are so dark, .*?\)\.",
        ", save them with 8.",
    ),
    (r", or to a 16-bit PNG or TIFF and pass ImageReader\(.*?\)\)", ""),
    (", or read the files as arrays yourself: arrays need no ImageReader", ""),
    ("; `levels` cannot help there: save", "; save"),
    (r"`pip install pillow-heif` and call .*? before, or convert", "convert"),
    (
        r"PIL\.Image\.MAX_IMAGE_PIXELS=(\d+)(?: allows)?(.*?); raise that limit if you "
        "trust the file, or store",
        r"\1\2; store",
    ),
)
_OPTIONS = (
    # What is y in Python are the names of the folders here.
    (
        r"models\[(.*?)\] knows none of the labels of y: it predicts (.*?), y holds "
        r"(.*?)\. Pass y with the labels",
        r"\1 knows none of these classes: it predicts \2, the folders are \3. Name "
        "them by the classes",
    ),
    (
        r" of y; it knows (.*?)\. Name its columns by the same labels.*$",
        r"; it knows \1. Name the folders by the classes that it was trained on.",
    ),
    (r"on_error='skip'", "--skip-unreadable"),
    (r"on_error='raise'", "no --skip-unreadable"),
    (rf"(?<![\w(.])({_PARAMETERS})=(?=['\"\d-])", r"--\1 "),
    (r" torchvision\.models\.list_models\(.*?\) lists all\.", ""),
    (rf"(?<![\w(.])path=(?={_PATH})", "--out "),  # of an export
)
# Of commands that have no such option, and of one that has.
_NO_SKIPPING = ((r", or leave them out with on_error='skip'", ""),)
_WITH_TEST = (
    (
        rf"Load each by itself: {_CALL}({_PATH})\)\.",
        r"Pass one of them, \1, and another one by --test.",
    ),
)


def in_words_of_commands(text: str, options: Collection[str] = ()) -> str:
    """Return a message with options in the place of parameters and calls.

    `options` are those of the command, such as "--out".
    """
    special = (
        *(() if "--skip-unreadable" in options else _NO_SKIPPING),
        *(_WITH_TEST if "--test" in options else ()),
    )
    for pattern, spelled in (*special, *_FOLDERS, *_FILES, *_OPTIONS):
        text = re.sub(pattern, spelled, text)
    return text
