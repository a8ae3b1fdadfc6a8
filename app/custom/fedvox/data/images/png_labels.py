"""Labels as grey PNG, one per slice of a DICOM series, as CHAOS has them.

A PNG says nothing of where it lies. The k-th PNG belongs to the k-th DICOM file, both in the order
of their names; the series' positions say where that slice lies in the volume.
"""

import re
from pathlib import Path

import numpy as np

from fedvox.data.images.nifti import Volume
from fedvox.errors import DataError

OTHER_PICTURES = (".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".dcm")


def load_stack(folder: Path, image: Volume) -> Volume:
    """Reads a folder of PNG as one label volume on its image's grid.

    Args:
        folder: grey PNG of 1, 2, 4, 8 or 16 bits, rows and columns as in the DICOM images.
        image: the volume that :func:`fedvox.data.images.dicom.load_series` made of the series.

    Returns:
        int16 ``(columns, rows, slices)``; the values are the grey values that viewers show, from 0
        to 255, so white of 1 bit is 255; those of 16 bits are the stored numbers.

    Raises:
        DataError: the image is no DICOM series, the numbers or sizes of the slices differ, or a PNG
            is damaged, coloured or partly transparent.
    """
    if not image.slices:
        raise DataError("PNG labels belong to a DICOM series, the image is none; use NIfTI labels")
    files = in_name_order([path for path in folder.iterdir() if path.suffix.lower() == ".png"])
    others = [path for path in folder.iterdir() if path.suffix.lower() in OTHER_PICTURES]
    if not files and others:
        raise DataError(
            f"the label has no PNG but {len(others)} pictures in another form, as .jpg or .tif; "
            "save the labels as grey PNG from the program that made them (JPEG changes values)"
        )
    if len(files) != len(image.slices):
        raise DataError(
            f"the label has {len(files)} PNG, the DICOM series {len(image.slices)} slices; restore "
            "the missing ones"
        )
    labels = np.zeros(image.data.shape, dtype=np.int16)
    for path, place in zip(files, image.slices):
        grey = _grey(path)
        columns, rows = image.data.shape[:2]
        if grey.shape != (rows, columns):
            raise DataError(
                f"a label PNG has the shape {grey.shape}, its slice {(rows, columns)}; export the "
                "labels again"
            )
        labels[:, :, place] = grey.T
    return Volume(labels, image.affine, image.header, image.slices)


def in_name_order(paths: list[Path]) -> list[Path]:
    """Files by name, numbers in it by value (``2`` before ``10``), hidden ones left out."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in _parts(path.name)]

    return sorted((path for path in paths if not path.name.startswith(".")), key=key)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", name) if part]


def _grey(path: Path) -> np.ndarray:
    """Rows by columns; grey values as viewers show them."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            mode = picture.mode
            # A palette's indices are no grey values, nor is the 1 of a single bit.
            shown = {"P": "RGB", "1": "L"}.get(mode)
            data = np.asarray(picture.convert(shown) if shown else picture)
    except Exception as error:  # Pillow's text would name the file
        kind = type(error).__name__
        raise DataError(f"a label PNG is damaged ({kind}); copy the labels again") from None
    if mode == "P":
        if (data != data[..., :1]).any():
            raise DataError(
                "a label PNG has a palette of colours, whose numbers are no grey values; save the "
                "labels as grey of 8 bits, one value for each structure"
            )
        data = data[..., 0]
    if mode not in ("L", "1", "P", "I;16", "I"):
        raise DataError(
            "a label PNG is not grey of 8 bits or 1 bit but coloured or partly transparent; save "
            "the labels as grey of 8 bits, without alpha"
        )
    if data.max(initial=0) > np.iinfo(np.int16).max:
        raise DataError(
            f"a label PNG of 16 bits holds values beyond {np.iinfo(np.int16).max}; give organs "
            "small numbers"
        )
    return data.astype(np.int16)
