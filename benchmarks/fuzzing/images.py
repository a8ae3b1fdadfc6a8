"""Scans: NIfTI files and DICOM series."""

import gzip
import io
import shutil
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from hypothesis import strategies as st

from faults.series import write_series
from fedvox.data.images.nifti import Volume
from fedvox.data.images.volumes import load_image, load_label
from fedvox.errors import DataError
from fuzzing.changes import PACKED, PIECES, changed_bytes
from fuzzing.door import Door
from fuzzing.settings import check_words

SHAPE = (5, 6, 4)
AFFINE = np.array([[2.0, 0, 0, -5], [0, 2.5, 0, -6], [0, 0, 3, -8], [0, 0, 0, 1]])
SECRET = "Miller^Anna"
LONG = frozenset(("OB", "OW", "OF", "OD", "SQ", "UT", "UN", "UC", "UR", "OL", "SV", "UV"))
"""Kinds of DICOM elements whose length takes four bytes."""


def nifti(work: Path) -> Door:
    """Files of both versions, compressed or not, as an image and as its label."""
    plain = [_bytes_of(kind, dtype) for kind in (1, 2) for dtype in ("int16", "uint8", "float32")]
    spoilt = changed_bytes(plain, head=352)
    packed = spoilt.map(lambda data: gzip.compress(data, 1))
    torn = changed_bytes([gzip.compress(data, 1) for data in plain], head=16)
    sound = work / "sound.nii"
    sound.write_bytes(plain[0])
    reference = load_image(sound)
    files = st.one_of(
        st.tuples(st.just(".nii"), spoilt),
        st.tuples(st.just(".nii"), spoilt),
        st.tuples(st.just(".nii.gz"), packed | torn),
    )

    def enter(given: tuple[str, bytes, bool]) -> bool:
        ending, data, as_label = given
        path = work / f"miller{ending}"
        path.write_bytes(data)
        try:
            volume = load_label(path, reference) if as_label else load_image(path)
        except DataError as error:
            check_words(error, ("miller", str(work)))
            return False
        check_volume(volume, np.int16 if as_label else np.float32)
        return True

    return Door(st.builds(lambda file, label: (*file, label), files, st.booleans()), enter)


def _bytes_of(kind: int, dtype: str) -> bytes:
    values = np.random.default_rng(0).integers(0, 5, SHAPE).astype(dtype)
    made = nib.Nifti1Image(values, AFFINE) if kind == 1 else nib.Nifti2Image(values, AFFINE)
    return bytes(made.to_bytes())


def check_volume(volume: Volume, dtype: type) -> None:
    """What every reader promises."""
    assert volume.data.dtype == dtype and volume.data.ndim == 3 and min(volume.data.shape) >= 2
    assert np.isfinite(volume.data).all() and np.isfinite(volume.affine).all()
    assert min(volume.spacing) > 0 and abs(np.linalg.det(volume.affine[:3, :3])) > 0


def dicom(work: Path) -> Door:
    """Series of four slices, of which some are changed: fields of the header, or bytes."""
    values = np.random.default_rng(0).integers(0, 900, SHAPE).astype(float)
    sound = sorted(write_series(work / "sound", values, AFFINE).iterdir())
    slices = [path.read_bytes() for path in sound]
    number = st.integers(0, len(slices) - 1)
    one = number.flatmap(
        lambda place: st.tuples(
            st.just(place),
            st.one_of(_changed_field(slices[place]), changed_bytes([slices[place]], head=900)),
        )
    )
    folder = work / "series"

    def enter(changes: list[tuple[int, bytes]]) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        told = dict(enumerate(slices)) | dict(changes)
        for place, data in told.items():
            (folder / f"{place}.dcm").write_bytes(data)
        try:
            volume = load_image(folder)
        except DataError as error:
            check_words(error, (SECRET, "Miller", str(work), ".dcm"))
            return False
        check_volume(volume, np.float32)
        return True

    same = _same_field(slices)
    return Door(st.one_of(st.lists(one, min_size=1, max_size=3), same), enter)


def _fields(data: bytes) -> list[tuple[int, int, int]]:
    """Place of the value, length of the value and width of the length, for each element."""
    dataset = pydicom.dcmread(io.BytesIO(data), defer_size=None)
    found = []
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        place, width = int(element.value_tell), 4 if element.VR in LONG else 2
        found.append((place, int(element.length), width))
    return found


def _replaced(data: bytes, field: tuple[int, int, int], value: bytes, honest: bool) -> bytes:
    """Another value in a field, with its length or, where that is not honest, the old one."""
    place, length, width = field
    value += b" " * (len(value) % 2)
    told = struct.pack("<I" if width == 4 else "<H", len(value) if honest else length)
    return data[: place - width] + told + value + data[place + length :]


VALUES = (
    PIECES
    | PACKED
    | st.lists(PIECES, min_size=2, max_size=7).map(b"\\".join)
    | st.sampled_from([b"1\\0\\0\\0\\1\\0", b"0\\1\\0\\1\\0\\0", b"2\\2", b"0\\0", b"-1\\1", b"MR"])
)


def _changed_field(data: bytes) -> st.SearchStrategy[bytes]:
    """One slice with another value in one field."""
    fields = _fields(data)
    return st.builds(
        lambda field, value, honest: _replaced(data, field, value, honest),
        st.sampled_from(fields),
        VALUES,
        st.sampled_from([True, True, True, False]),
    )


def _same_field(slices: list[bytes]) -> st.SearchStrategy[list[tuple[int, bytes]]]:
    """All slices with the same other value in the same field."""
    fields = [_fields(data) for data in slices]

    def change(number: int, value: bytes) -> list[tuple[int, bytes]]:
        return [
            (place, _replaced(data, fields[place][number], value, True))
            for place, data in enumerate(slices)
        ]

    return st.builds(change, st.integers(0, len(fields[0]) - 1), VALUES)
