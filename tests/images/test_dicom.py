"""DICOM files become the 8 bits that a viewer shows."""

import sys

import numpy as np
import pytest
from image_files import read
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from skkd.images import ImageReader, UnreadableImageError, load_image_folder

HU = np.arange(-1024, 3072).reshape(64, 64)  # every level of 12 bits, rescaled


def save_dicom(path, levels=HU + 1024, *, bits=12, photometric="MONOCHROME2", **tags):
    """Write one CT slice; rescaled by -1024 unless said otherwise."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = levels.shape[:2]
    dataset.SamplesPerPixel = 1 if levels.ndim == 2 else 3
    if levels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    is_wide = bits > 8
    dataset.BitsAllocated, dataset.BitsStored = 16 if is_wide else 8, bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    if is_wide:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = levels.astype("<u2" if is_wide else "u1").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def window(center, width):
    """Return what C.11.2.1.2 of the standard says, in 8 bits."""
    shown = ((HU - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.rint(np.clip(shown, 0, 255))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x").mkdir()
    return tmp_path / "x" / "slice.dcm"


def test_window_of_the_file(path):
    save_dicom(path, WindowCenter=40, WindowWidth=400)
    np.testing.assert_array_equal(read(path, 64)[0], window(40, 400))
    assert len(load_image_folder(path.parents[1]).data) == 1


def test_the_first_of_several_windows_and_monochrome1(path):
    save_dicom(
        path,
        photometric="MONOCHROME1",
        WindowCenter=[-600, 40],
        WindowWidth=[1500, 400],
    )
    np.testing.assert_array_equal(read(path, 64, "L")[0], 255 - window(-600, 1500))


def test_levels_are_a_window_of_ones_own(path):
    save_dicom(path, WindowCenter=-600, WindowWidth=1500, PixelPaddingValue=0)
    expected = np.rint(np.clip((HU + 160) / 400 * 255, 0, 255))
    pixels = read(path, 64, levels=(-160, 240))[0]
    np.testing.assert_allclose(pixels, expected, atol=1)
    # What is around the image, -1024, is not its lowest level.
    expected = np.rint(np.clip((HU + 1023) / 4094 * 255, 0, 255))
    np.testing.assert_array_equal(read(path, 64, levels="minmax")[0], expected)


def test_sigmoid_and_negative_slope(path):
    save_dicom(path, WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID")
    expected = np.rint(255 / (1 + np.exp(-4 * (HU - 40.0) / 400)))
    np.testing.assert_array_equal(read(path, 64)[0], expected)
    tags = {"RescaleSlope": -1, "RescaleIntercept": 3071}
    save_dicom(path, 4095 - HU - 1024, WindowCenter=40, WindowWidth=400, **tags)
    np.testing.assert_array_equal(read(path, 64)[0], window(40, 400))


@pytest.mark.parametrize(("bits", "stated"), [(8, 8), (12, 16)])
def test_voi_lut_before_window(path, bits, stated):
    """Of 4096 entries; those of 12 bits are stated as 16."""
    item = Dataset()
    entries = (np.arange(4096) >> (12 - bits))[::-1].astype("<u2")
    item.add_new("LUTDescriptor", "SS", [4096, -1024, stated])
    item.add_new("LUTData", "OW", entries.tobytes())
    save_dicom(path, VOILUTSequence=[item], WindowCenter=40, WindowWidth=400)
    expected = np.rint(entries / (2**bits - 1) * 255).reshape(64, 64)
    np.testing.assert_array_equal(read(path, 64)[0], expected)


def test_without_a_window(path):
    save_dicom(path)
    message = r"DICOM file \(CT\) of 12 bits without a window, here -1024 ... 3071"
    with pytest.raises(UnreadableImageError, match=message):
        read(path)
    assert len(load_image_folder(path.parents[1]).data) == 1
    gray = np.arange(256).reshape(16, 16)
    save_dicom(path, gray, bits=8)
    np.testing.assert_array_equal(read(path, 16)[0], gray)


def test_colors(path):
    colors = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    save_dicom(path, colors, bits=8, photometric="RGB")
    np.testing.assert_array_equal(read(path, 8), colors.transpose(2, 0, 1))


def test_what_is_refused(path, monkeypatch):
    save_dicom(path, np.zeros((20, 8), int), Rows=10, NumberOfFrames=2)
    with pytest.raises(UnreadableImageError, match="DICOM file of 2 frame"):
        read(path)
    save_dicom(path, WindowCenter=40, WindowWidth=400)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 4095)
    with pytest.raises(UnreadableImageError, match="PIXELS=4095"):
        read(path)


def test_without_pydicom(path, monkeypatch):
    save_dicom(path, WindowCenter=40, WindowWidth=400)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for call in (
        lambda: load_image_folder(path.parents[1]),
        lambda: ImageReader(8).transform([path]),
    ):
        with pytest.raises(UnreadableImageError, match=r'pip install "skkd\[dicom\]"'):
            call()
