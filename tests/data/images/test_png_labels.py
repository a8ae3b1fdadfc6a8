import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fedvox.data.images.dicom import load_series
from fedvox.data.images.nifti import load_image
from fedvox.data.images.png_labels import in_name_order, load_stack
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
    assert np.array_equal(stack.data, (image.data > 200) * 255)


def packed(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits; Pillow writes only the first."""
    rows, columns = values.shape
    steps = values.astype(int) * (2**bits - 1) // 255
    each = 8 // bits
    padded = np.zeros((rows, -(-columns // each) * each), int)
    padded[:, :columns] = steps
    shifts = [8 - bits * (place + 1) for place in range(each)]
    lines = (padded.reshape(rows, -1, each) << shifts).sum(axis=2).astype(np.uint8)
    raw = b"".join(b"\0" + line.tobytes() for line in lines)
    head = struct.pack(">2I5B", columns, rows, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize(("bits", "step"), [(1, 255), (2, 85), (4, 17)])
def test_few_bits_have_the_grey_values_that_viewers_show(tmp_path, image, labels, bits, step):
    grey = labels // step * step
    (tmp_path / "png").mkdir()
    for place in range(SHAPE[2]):
        (tmp_path / "png" / f"{place}.png").write_bytes(packed(grey[:, :, place].T, bits))
    stack = load_stack(tmp_path / "png", image)
    assert np.array_equal(stack.data, image.data.astype(int) // step * step)


def write_pictures(folder, count, picture):
    folder.mkdir()
    for place in range(count):
        picture.save(folder / f"{place}.png")
    return folder


def test_16_bits_hold_the_stored_numbers_up_to_those_of_a_label(tmp_path, image):
    deep = np.full(SHAPE[1::-1], 300, np.uint16)
    stack = load_stack(write_pictures(tmp_path / "a", SHAPE[2], Image.fromarray(deep)), image)
    assert (stack.data == 300).all()
    folder = write_pictures(tmp_path / "b", SHAPE[2], Image.fromarray(deep + 40000))
    assert "beyond 32767; give organs small numbers" in refusal(folder, image)


def test_a_palette_of_colours_is_refused_and_one_of_greys_is_read(tmp_path, image):
    indices = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
    for name, palette in (("grey", [30, 30, 30]), ("colour", [30, 20, 10])):
        picture = Image.fromarray(indices, "P")
        picture.putpalette([value * index // 10 for index in range(9) for value in palette])
        folder = write_pictures(tmp_path / name, SHAPE[2], picture)
        if name == "colour":
            assert "palette of colours" in refusal(folder, image)
            continue
        assert np.array_equal(load_stack(folder, image).data[:, 0, 0], 3 * np.arange(9))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_and_transparency_are_refused_and_grey_of_8_bits_is_read(
    tmp_path, image, labels, mode
):
    folder = write_stack(tmp_path / "png", labels, mode=mode)
    assert "save the labels as grey of 8 bits, without alpha" in refusal(folder, image)
    for path in folder.iterdir():  # as the remedy says
        Image.open(path).convert("L").save(path)
    assert np.array_equal(load_stack(folder, image).data, image.data.astype(np.int16))


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


@pytest.mark.parametrize("ending", [".jpg", ".TIF", ".bmp"])
def test_pictures_of_another_form_are_no_missing_png(tmp_path, image, ending):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / f"1{ending}").touch()
    assert "no PNG but 1 pictures in another form" in refusal(folder, image)
