"""The file: safetensors, with one JSON text and a checksum over all of it."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from skkd._utils.disk_errors import disk_errors


class Kind(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    key : str
        Of its text in the metadata of safetensors.
    format : int
        Version of what the text holds.
    what, written_by : str
        As messages say it.
    """

    key: str
    format: int
    what: str
    written_by: str


STUDENT = Kind(
    "skkd", 1, "a student: it says nothing about classes", "skkd.save_student"
)
# Of 1,000 layers and 100,000 columns with names it has 3 MB. What JSON makes of a text
# takes twenty times as much memory.
_MAX_HEADER = 2**24
_STARTS = {
    b"\x80": "a pickle, which runs code when it is loaded",
    b"PK": "a zip archive, as torch.save and skops write it",
    b"\x08": "probably an ONNX file, which skkd.runtime.OnnxClassifier reads",
    b"\x1f\x8b": "a gzip file",
}


class FileRefused(ValueError):
    """A file that is not what was expected; its message is complete."""


def damaged(name: str, reason: str, kind: Kind = STUDENT) -> FileRefused:
    """Return the error of a file that somebody or something changed."""
    return FileRefused(
        f"{name} is damaged: {reason}. Expected a file as {kind.written_by} wrote it; "
        "copy or download it again."
    )


def pack(
    content: dict[str, Any], tensors: dict[str, torch.Tensor], kind: Kind = STUDENT
) -> bytes:
    """Return the bytes of a file."""
    content = {**content, "format": kind.format}
    content["sha256"] = checksum(content, tensors)
    # In one key: the order of several is another in each process.
    return _safetensors().torch.save(tensors, {kind.key: _as_text(content)})


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:  # skkd may be installed without its dependencies
        raise ImportError(
            "Files of skkd need safetensors, which is not installed here: "
            "pip install safetensors."
        ) from error
    return safetensors


def read_file(
    path: Path, kind: Kind = STUDENT
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a file holds; its header is checked before the rest is read."""
    name = str(path)
    remedy = "Check the path, and that you may read it."
    with disk_errors(f"{name!r} cannot be read", remedy), open(path, "rb") as file:
        start, header = _start_of(file, path.stat().st_size, name, kind)
        _content_of(header, name, kind)
        return unpack(start + header + file.read(), name, kind)


def read_content(path: Path, kind: Kind = STUDENT) -> dict[str, Any]:
    """Return the text of a file alone; its checksum is not compared."""
    name = str(path)
    with open(path, "rb") as file:
        _, header = _start_of(file, path.stat().st_size, name, kind)
    return _content_of(header, name, kind)


def _start_of(file: Any, size: int, name: str, kind: Kind) -> tuple[bytes, bytes]:
    start = file.read(8)
    n_header = _length_of_header(start, size, name, kind)
    header = file.read(n_header)
    if len(header) < n_header:
        raise damaged(name, "it ends within its header", kind)
    return start, header


def unpack(
    data: bytes, name: str, kind: Kind = STUDENT
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return content and tensors of the bytes of a file."""
    n_header = _length_of_header(data[:8], len(data), name, kind)
    content = _content_of(data[8 : 8 + n_header], name, kind)
    safetensors = _safetensors()
    try:
        # Checks that offsets, shapes and dtypes fit each other and the file.
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(name, str(error), kind) from None
    if content.pop("sha256", None) != checksum(content, tensors):
        raise damaged(name, "its checksum is wrong", kind)
    return content, tensors


def _length_of_header(start: bytes, size: int, name: str, kind: Kind) -> int:
    if len(start) < 8:
        raise damaged(name, f"it has {size} bytes", kind)
    (n_header,) = struct.unpack("<Q", start)
    if n_header > min(_MAX_HEADER, size - 8):
        known = [told for magic, told in _STARTS.items() if start.startswith(magic)]
        found = known[0] if known else f"{size:,} bytes that begin with {start!r}"
        raise FileRefused(
            f"{name} is {found}: expected a file that {kind.written_by} wrote, or one "
            "that was not cut."
        )
    return int(n_header)


def _content_of(header: bytes, name: str, kind: Kind) -> dict[str, Any]:
    entries = _from_text(header, name, kind)
    metadata = entries.get("__metadata__", {})
    text = metadata.get(kind.key) if isinstance(metadata, dict) else None
    if text is None:
        raise FileRefused(
            f"{name} is a safetensors file, but not of {kind.what}. Expected a file of "
            f"{kind.written_by}; of others, safetensors.torch.load_file gives the "
            "tensors."
        )
    content = _from_text(text, name, kind)
    version = content.get("format")
    if version != kind.format:
        raise FileRefused(
            f"{name} has format {version!r}, and this version of skkd reads format "
            f"{kind.format}: install the one that wrote it, "
            f"{content.get('versions')!r:.200}, or a later one."
        )
    return content


def _from_text(text: Any, name: str, kind: Kind) -> dict[str, Any]:
    try:
        content = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(name, f"its header is no JSON ({error})", kind) from None
    if not isinstance(content, dict):
        raise damaged(name, "its header is no JSON object", kind)
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False)


def checksum(content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> str:
    """Return SHA-256 of the text and of all tensors."""
    digest = hashlib.sha256(_as_text(content).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        # Of a single value the stride may be anything, and `view` wants 1.
        flat = tensor.as_strided((tensor.numel(),), (1,))
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
