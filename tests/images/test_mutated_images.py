"""Images, changed at random: read the same by everyone, or refused by name."""

import io
import warnings

import numpy as np
import pytest
from mutations import mutated
from PIL import Image

from skkd.images import ImageFolderWarning, ImageReader, UnreadableImageError
from skkd.images._files import inspect_file

FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]


def content_of(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    file = io.BytesIO()
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_changed_image_is_refused_by_name_or_read_the_same(tmp_path, kind):
    content, n_read = content_of(kind), 0
    path, reader = tmp_path / "a.img", ImageReader(8)
    cached = ImageReader(8, memory=tmp_path / "memory")
    for seed in range(50):
        path.write_bytes(mutated(seed, content))
        with warnings.catch_warnings():
            # What a decoder warns of is said with the name: nothing else is said.
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ImageFolderWarning)
            finding = inspect_file(str(path))
            found = []
            for one in (reader, reader, cached, cached):
                try:
                    found.append(one.transform([path]))
                except UnreadableImageError as error:
                    assert error.failures[0][0] == str(path)
                    found.append(error.failures[0][1])
        is_read = not isinstance(found[0], str)
        n_read += is_read
        assert is_read == (finding.kind == "image"), (seed, finding, found[0])
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])
        if is_read:
            assert found[0].shape == (1, 3, 8, 8)
    assert n_read < 50
