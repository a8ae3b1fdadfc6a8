"""Every legal form of a NIfTI file is read; what is none is called by its name."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fedvox.data.images.nifti import load_image, load_label, save_label
from fedvox.errors import DataError

SHAPE = (8, 9, 10)
AFFINE = np.array([[-2.0, 0, 0, 5], [0, 1.5, 0, -7], [0, 0, 3.0, 11], [0, 0, 0, 1]])
DATA = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.int16)


def bytes_of(data: np.ndarray = DATA, kind: type = nib.Nifti1Image, endian: str = "<") -> bytes:
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(data.dtype)
    return kind(data, AFFINE, header).to_bytes()


def with_extension() -> bytes:
    image = nib.Nifti1Image(DATA, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Miller Anna"))
    return image.to_bytes()


LEGAL: dict[str, Callable[[], bytes]] = {
    "NIfTI-1": bytes_of,
    "NIfTI-2": lambda: bytes_of(kind=nib.Nifti2Image),
    "NIfTI-2, big-endian": lambda: bytes_of(kind=nib.Nifti2Image, endian=">"),
    "big-endian": lambda: bytes_of(endian=">"),
    "one volume of 4D": lambda: bytes_of(DATA[..., None]),
    "one volume of 5D": lambda: bytes_of(DATA[..., None, None]),
    "with an extension": with_extension,
    **{
        f"{kind}": lambda kind=kind: bytes_of(DATA.astype(kind))
        for kind in ("u1", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">f8", ">u2")
    },
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", LEGAL)
def test_every_legal_form_gives_the_same_image_label_and_result(tmp_path, kind, ending):
    content = LEGAL[kind]()
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    volume = load_image(path)
    assert np.array_equal(volume.data, DATA) and np.array_equal(volume.affine, AFFINE)
    assert np.array_equal(load_label(path).data, DATA)
    save_label(tmp_path / "out.nii.gz", np.ones(SHAPE, np.uint8), volume)
    saved = load_label(tmp_path / "out.nii.gz")
    assert saved.data.shape == SHAPE and np.array_equal(saved.affine, AFFINE)


def test_bzip2_is_read_and_its_checksum_is_kept(tmp_path):
    content = bz2.compress(bytes_of())
    (tmp_path / "a.nii.bz2").write_bytes(content)
    assert np.array_equal(load_image(tmp_path / "a.nii.bz2").data, DATA)
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 4
    (tmp_path / "a.nii.bz2").write_bytes(damaged)
    with pytest.raises(DataError, match="damaged or truncated"):
        load_image(tmp_path / "a.nii.bz2")


@pytest.mark.parametrize("kind", ["NIfTI-2", "NIfTI-2, big-endian"])
def test_a_truncated_nifti_2_is_refused(tmp_path, kind):
    for kept in (3, 100, 541, 700, -7):
        (tmp_path / "a.nii").write_bytes(LEGAL[kind]()[:kept])
        with pytest.raises(DataError, match="damaged or truncated"):
            load_image(tmp_path / "a.nii")


def test_a_name_that_lies_about_the_compression_of_a_nifti_2_is_told(tmp_path):
    content = LEGAL["NIfTI-2"]()
    for name, stored, right in (
        ("a.nii.gz", content, ".nii"),
        ("b.nii", gzip.compress(content), ".nii.gz"),
    ):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(DataError, match="rename it"):
            load_image(tmp_path / name)
        renamed = (tmp_path / name).rename(tmp_path / f"c{right}")  # as the remedy says
        assert np.array_equal(load_image(renamed).data, DATA)


def picture(form: str) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (20, 20)).save(stream, form)
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("miller_anna.nii", bytes_of())
    return stream.getvalue()


def halves(kind: type) -> tuple[bytes, bytes]:
    image = kind(DATA, AFFINE)
    files = {name: nib.FileHolder(fileobj=io.BytesIO()) for name in ("header", "image")}
    image.to_file_map(files)
    return files["header"].fileobj.getvalue(), files["image"].fileobj.getvalue()


def mgh() -> bytes:
    return nib.MGHImage(DATA.astype(np.float32), AFFINE).to_bytes()


OTHERS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "packed twice": (
        "a.nii.gz",
        lambda: gzip.compress(gzip.compress(bytes_of())),
        "compressed twice and no NIfTI; unpack it once",
    ),
    "NRRD": ("a.nrrd", lambda: b"NRRD0005\ntype: short\n" * 30, "an NRRD volume and no NIfTI"),
    "MetaImage": ("a.mha", lambda: b"ObjectType = Image\nNDims = 3\n" * 20, "MetaImage"),
    "MGH": ("a.mgh", mgh, "FreeSurfer"),
    "MGZ": ("a.mgz", lambda: gzip.compress(mgh()), "FreeSurfer"),
    "HDF5": ("a.mnc", lambda: b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
    "NumPy": ("a.npy", lambda: b"\x93NUMPY" + bytes(500), "NumPy array"),
    "zip": ("a.nii.zip", zipped, "a zip archive and no NIfTI; unpack it"),
    "xz": ("a.nii.xz", lambda: b"\xfd7zXZ" + bytes(500), "compressed with xz"),
    "zstd": ("a.nii.zst", lambda: b"\x28\xb5\x2f\xfd" + bytes(500), "compressed with zstd"),
    "PNG": ("a.png", lambda: picture("PNG"), "a PNG picture"),
    "JPEG": ("a.jpg", lambda: picture("JPEG"), "a JPEG picture"),
    "TIFF": ("a.tif", lambda: picture("TIFF"), "a TIFF picture"),
    "DICOM": ("a.dcm", lambda: bytes(128) + b"DICM" + bytes(500), "name the folder of its series"),
    "NIfTI header alone": ("a.hdr", lambda: halves(nib.Nifti1Pair)[0], "one half of a pair"),
    "NIfTI voxels alone": ("a.img", lambda: halves(nib.Nifti1Pair)[1], "one half of a pair"),
    "NIfTI-2 header": ("a.hdr", lambda: halves(nib.Nifti2Pair)[0], "one half of a pair"),
    "ANALYZE": ("a.hdr", lambda: halves(nib.AnalyzeImage)[0], "one half of a pair"),
    "lost mark": ("a.nii", lambda: bytes_of().replace(b"n+1\0", bytes(4)), "lost NIfTI's mark"),
    "text": ("a.txt", lambda: b"patient list\n" * 100, "or no NIfTI"),
}


@pytest.mark.parametrize("named", ["", "a.nii", "a.nii.gz"], ids=["own name", ".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_nifti_file_is_called_by_its_name(tmp_path, kind, named):
    name, make, words = OTHERS[kind]
    if kind == "NIfTI voxels alone" and named:
        words = "or no NIfTI"  # nothing but the name tells it
    if kind in ("MGZ", "packed twice") and named == "a.nii":
        words = "rename it"  # after which it is called by its name
    if kind == "ANALYZE" and named:
        words = "ANALYZE's"
    path: Path = tmp_path / (named or name)
    path.write_bytes(make())
    with pytest.raises(DataError) as caught:
        load_image(path)
    assert words in str(caught.value) and "; " in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Error", "Exception", "miller", "a.n"))


@pytest.mark.parametrize("dtype", ["c8", "c16", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_colour_and_complex_numbers_have_a_remedy(tmp_path, dtype):
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, dtype), AFFINE), tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match=r"colour or complex.*; save the grey values"):
        load_image(tmp_path / "a.nii.gz")
