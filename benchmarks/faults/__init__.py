"""The corpus of faults: kinds that are planted, named, and mended as their remedies say.

One entry per kind, see :class:`faults.fault.Fault`; sound oddities in :mod:`faults.sound`. The
benchmark counts them; tests of the package follow each remedy.
"""

from faults import (
    channels,
    dicom,
    headers,
    images,
    labels,
    lists,
    masks,
    models,
    png,
    splits,
    tables,
)
from faults.fault import Fault

_ROOMS = (images, headers, labels, dicom, png, tables, lists, masks, splits, models, channels)
FAULTS: dict[str, Fault] = {fault.name: fault for room in _ROOMS for fault in room.FAULTS}
LAYOUTS = ("plain", "plain mr", "dicom", "png", "msd", "masks", "brats")
