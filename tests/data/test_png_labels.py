import numpy as np
import pytest
from PIL import Image

from fedvox.data.dicom import load_series
from fedvox.data.nifti import load_image
from fedvox.data.png_labels import in_name_order, load_stack
from fedvox.errors import DataError

SHAPE = (9, 8, 12)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)


def write_stack(folder, labels, names=None, mode="L"):
    folder.mkdir(exist_ok=True)
    for place in range(labels.shape[2]):
        picture = Image.fromarray(np.ascontiguousarray(labels[:, :, place].T)).convert(mode)
        picture.save(folder / (names[place] if names else f"liver_GT_{place:03d}.png"))
    return folder


@pytest.fixture
def image(tmp_path, write_series, labels):
    """A series whose voxels equal the labels, stored from head to foot as in CHAOS' CT."""
    affine = np.diag([2.0, 2.0, -3.0, 1.0])
    names = [f"i{place:04d},0000b.dcm" for place in range(SHAPE[2])]
    return load_series(write_series(tmp_path / "dicom", labels.astype(np.int16), affine, names))


def refusal(folder, image) -> str:
    with pytest.raises(DataError) as caught:
        load_stack(folder, image)
    text = str(caught.value)
    assert "liver_GT" not in text and "/" not in text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text


def test_each_png_falls_onto_its_slice(tmp_path, image, labels):
    stack = load_stack(write_stack(tmp_path / "png", labels), image)
    assert stack.data.dtype == np.int16 and stack.data.shape == SHAPE
    assert np.array_equal(stack.data, image.data.astype(np.int16))
    assert np.array_equal(stack.affine, image.affine)


def test_order_is_that_of_the_names_of_the_dicom_files(tmp_path, write_series, labels):
    # Names run neither with nor against the positions: slice k is file 5 k mod 12.
    order = [(5 * place) % SHAPE[2] for place in range(SHAPE[2])]
    dicom = write_series(
        tmp_path / "dicom", labels.astype(np.int16), names=[f"IMG-{n:05d}.dcm" for n in order]
    )
    png = write_stack(tmp_path / "png", labels, [f"IMG-0004-{n:05d}.png" for n in order])
    image = load_series(dicom)
    assert np.array_equal(load_stack(png, image).data, image.data)


def test_numbers_in_names_count_by_value(tmp_path):
    names = ["a10.png", "a9.png", "b1.png", "a1-2.png", ".a0.png"]
    assert [path.name for path in in_name_order([tmp_path / name for name in names])] == [
        "a1-2.png",
        "a9.png",
        "a10.png",
        "b1.png",
    ]


@pytest.mark.parametrize("mode", ["1", "P"])
def test_white_of_one_bit_and_palettes_are_read_by_value(tmp_path, image, labels, mode):
    white = np.where(labels > 200, 255, 0).astype(np.uint8)
    stack = load_stack(write_stack(tmp_path / "png", white, mode=mode), image)
    expected = (image.data > 200) * (1 if mode == "1" else 255)
    assert np.array_equal(stack.data, expected)


def test_other_number_of_png_than_slices_is_refused(tmp_path, image, labels):
    folder = write_stack(tmp_path / "png", labels)
    (folder / "liver_GT_005.png").unlink()
    assert "the label has 11 PNG, the DICOM series 12 slices" in refusal(folder, image)


def test_other_files_are_no_slices(tmp_path, image, labels):
    folder = write_stack(tmp_path / "png", labels)
    for name in ("Thumbs.db", ".hidden.png", "notes.txt"):
        (folder / name).touch()
    assert load_stack(folder, image).data.shape == SHAPE


def test_png_of_another_size_is_refused(tmp_path, image, labels):
    folder = write_stack(tmp_path / "png", labels.transpose(1, 0, 2))
    assert "(9, 8), its slice (8, 9)" in refusal(folder, image)


def test_coloured_png_is_refused(tmp_path, image, labels):
    folder = write_stack(tmp_path / "png", labels, mode="RGB")
    assert "not grey of 8 bits" in refusal(folder, image)


def test_damaged_png_is_refused(tmp_path, image, labels):
    folder = write_stack(tmp_path / "png", labels)
    path = folder / "liver_GT_004.png"
    path.write_bytes(path.read_bytes()[:50])
    assert "damaged" in refusal(folder, image)


def test_png_labels_of_a_nifti_image_are_refused(tmp_path, labels, write_nifti):
    nifti = load_image(write_nifti(tmp_path / "a.nii.gz", labels))
    assert "belong to a DICOM series" in refusal(write_stack(tmp_path / "png", labels), nifti)
