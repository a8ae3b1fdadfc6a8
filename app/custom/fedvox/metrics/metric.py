"""What a metric is: a function of two masks of one structure, and how its numbers are handled."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedvox.privacy.forms import Form

if TYPE_CHECKING:
    from torch import Tensor

NSD_TOLERANCE_MM = 2.0
"""Surfaces closer than this count as agreeing: about one voxel of a routine abdominal scan."""


@dataclass(frozen=True)
class Masks:
    """Two masks of one structure of a case, neither of them empty, cut to where either is.

    Attributes:
        prediction: boolean, ``(X, Y, Z)``.
        reference: boolean, of the same shape.
        spacing: voxel size along x, y and z in mm.
        nsd_tolerance_mm: the job's ``evaluation.nsd_tolerance_mm``.
        hd95: the job's ``evaluation.hd95``, a convention of :data:`fedvox.metrics.hd95.HD95`.
    """

    prediction: np.ndarray
    reference: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    nsd_tolerance_mm: float = NSD_TOLERANCE_MM
    hd95: str = "max_directed"

    @cached_property
    def tensors(self) -> "tuple[Tensor, Tensor]":
        """Prediction and reference as MONAI takes them: float32, ``(B=1, C=1, X, Y, Z)``."""
        import torch

        masks = (self.prediction, self.reference)
        ours, theirs = (
            torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None, None]
            for mask in masks
        )
        return ours, theirs


@dataclass(frozen=True)
class Metric:
    """An entry of :data:`fedvox.metrics.METRICS`; its name there begins the names of its columns.

    Its mean over organs is taken in each case, then over cases, as for every metric.

    Attributes:
        measure: masks -> value; its docstring's first line is what tables in pages say of it.
        heading: in tables for people.
        form: of its values, as sites check them before they leave and the server before it
            believes.
        better: which values are better.
        missed: value where the organ is in the reference only; ``diagonal`` is that of the image,
            in mm.
        invented: value where it is in the prediction only; NaN is no evidence, left out of means.
        unit: of its values, empty for none.
        digits: decimal places in tables for people.
        surface: it looks at surfaces; where a surface runs on into voxels that nobody annotated,
            there is no value.
        console: the table that a run prints at its end shows its mean too.
    """

    measure: Callable[[Masks], float]
    heading: str
    form: Form
    better: Literal["higher", "lower"]
    missed: float | Literal["diagonal"]
    invented: float
    unit: str = ""
    digits: int = 3
    surface: bool = False
    console: bool = False

    @property
    def title(self) -> str:
        """Heading with the unit."""
        return f"{self.heading}, {self.unit}" if self.unit else self.heading

    @property
    def meaning(self) -> str:
        """One sentence."""
        return (inspect.getdoc(self.measure) or "").partition("\n")[0]

    def column(self, name: str) -> str:
        """Its column in per-case tables."""
        return f"{name}_{self.unit}" if self.unit else name

    def without_prediction(self, diagonal: float) -> float:
        """Value of a missed organ in an image of a diagonal in mm."""
        return diagonal if self.missed == "diagonal" else float(self.missed)
