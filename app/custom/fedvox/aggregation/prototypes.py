"""Prototypes: what sites tell of their tailored features, and what the server makes of it.

A site sends, for each of its own modalities and each class, the sum of its features over the
voxels of the class, and how many voxels and cases these are. The server keeps one mean per modality
and class over all sites; it goes down as a tensor of the model. A mean over few cases could tell of
one of them, so it leaves a site only where enough cases stand behind it.
"""

from collections.abc import Mapping

import numpy as np

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays
from fedvox.data.organs import MODALITIES
from fedvox.errors import UpdateRefused
from fedvox.networks.mixmodal_settings import MEMORY, MixModalSettings
from fedvox.networks.settings import NetworkSettings
from fedvox.privacy.forms import FormError

MODALITY, SUMS, VOXELS, CASES = "modality", "sums", "voxels", "cases"
LARGEST = 1e3
"""Of a mean feature; behind instance normalisation they are of the order of 1."""
MOST_VOXELS = 1e7
"""Voxels of one class that count for each case behind them, whatever a site says."""
KEPT = "prototypes."
"""How the names of its arrays in the server's memory begin."""


def no_prototypes(held: int, classes: int, width: int) -> dict[str, np.ndarray]:
    """The arrays of a site before it has looked at a case.

    Args:
        held: modalities of the site, M.
        classes: organs plus background, K.
        width: of a prototype, F.

    Returns:
        ``modality (M,)`` places in :data:`fedvox.data.organs.MODALITIES`, ``sums (M, K, F)``,
        ``voxels (M, K)`` and ``cases (M, K)``.
    """
    return {
        MODALITY: np.zeros(held, np.int64),
        SUMS: np.zeros((held, classes, width), np.float64),
        VOXELS: np.zeros((held, classes), np.float64),
        CASES: np.zeros((held, classes), np.int64),
    }


def cut(arrays: Arrays, least: int) -> dict[str, np.ndarray]:
    """Leaves out every number that is made from fewer than ``least`` cases.

    Args:
        arrays: of a site, of a form that was checked.
        least: cases.
    """
    enough = np.asarray(arrays[CASES]) >= least
    return {
        MODALITY: np.asarray(arrays[MODALITY]),
        SUMS: np.where(enough[..., None], arrays[SUMS], 0.0),
        VOXELS: np.where(enough, arrays[VOXELS], 0.0),
        CASES: np.where(enough, arrays[CASES], 0),
    }


def check(arrays: Arrays, least: int) -> None:
    """Shapes that fit each other, plausible means, and enough cases behind each.

    Raises:
        FormError: something else.
    """
    modality, cases = arrays[MODALITY], arrays[CASES]
    # as merge() reads them; the smallest whole number has no absolute value of its own type
    with np.errstate(over="ignore"):
        sums, voxels = (np.asarray(arrays[name], np.float64) for name in (SUMS, VOXELS))
    if modality.ndim != 1 or sums.ndim != 3 or sums.shape[0] != len(modality):
        raise FormError("holds prototypes of other shapes")
    if voxels.shape != sums.shape[:2] or cases.shape != sums.shape[:2]:
        raise FormError("holds prototypes of other shapes")
    if modality.dtype.kind not in "iu" or cases.dtype.kind not in "iu":
        raise FormError("holds prototypes whose counts are no whole numbers")
    known = range(len(MODALITIES))
    if len(set(modality.tolist())) < len(modality) or any(m not in known for m in modality):
        raise FormError("holds prototypes of a modality twice, or of none")
    if (voxels < 0).any() or (cases < 0).any():
        raise FormError("holds prototypes over less than nothing")
    told = (voxels > 0) | (sums != 0).any(2)
    if (told & ((cases < least) | (voxels <= 0))).any():
        raise FormError(f"holds a prototype over fewer cases than {least}")
    beyond = np.abs(sums) > LARGEST * np.maximum(voxels, 1e-6)[..., None]
    if beyond.any() or not (np.isfinite(sums).all() and np.isfinite(voxels).all()):
        raise FormError(f"holds a prototype beyond {LARGEST:g}")


def fits(arrays: Arrays, model: Arrays, held: Mapping[str, int] | None) -> None:
    """At the server: prototypes of this model, of the site's own modalities and cases only.

    Args:
        arrays: as :func:`check` let them pass.
        model: the global model.
        held: modality -> training cases of the site, as it registered; None where nobody registers.

    Raises:
        UpdateRefused: with the reason.
    """
    for row, place in enumerate(arrays[MODALITY].tolist()):
        name = MODALITIES[place]
        own = model.get(f"{MEMORY}.{name}")
        if own is None or own.shape != arrays[SUMS].shape[1:]:
            raise UpdateRefused(f"attachment: prototypes of {name} that the model has no place for")
        if held is None:
            continue
        if not held.get(name):
            raise UpdateRefused(f"attachment: prototypes of {name}, which the site does not train")
        if (told := int(arrays[CASES][row].max(initial=0))) > held[name]:
            raise UpdateRefused(
                f"attachment: prototypes of {told} cases of {name}, registered {held[name]}"
            )


def merge(own: Mapping[str, Arrays], memory: Memory, network: NetworkSettings) -> Memory:
    """``P ← μ P + (1 − μ) Σ sums / Σ voxels`` over the sites; the first time the mean itself.

    A class of which no site tells anything in a round keeps its prototype.

    Args:
        own: site -> its arrays, sites in the order of their names.
        memory: of the server.
        network: of the job; says μ.
    """
    if not isinstance(network, MixModalSettings) or not network.prototypes:
        return memory
    sums: dict[str, np.ndarray] = {}
    voxels: dict[str, np.ndarray] = {}
    for arrays in own.values():
        for row, place in enumerate(arrays[MODALITY].tolist()):
            name, told = MODALITIES[place], np.asarray(arrays[VOXELS][row], np.float64)
            # a site that claims more voxels than there can be keeps its mean and loses weight
            most = MOST_VOXELS * np.asarray(arrays[CASES][row], np.float64)
            scale = np.minimum(1.0, most / np.maximum(told, 1.0))
            total = np.asarray(arrays[SUMS][row], np.float64) * scale[:, None]
            sums[name] = sums.get(name, 0.0) + total
            voxels[name] = voxels.get(name, 0.0) + told * scale
    known = dict(memory.arrays)
    for name, summed in sums.items():
        mean = summed / np.maximum(voxels[name], 1e-6)[:, None]
        before = np.asarray(known.get(f"{KEPT}{name}", np.zeros_like(mean)))
        new = (before == 0).all(1)[:, None]
        moved = np.where(new, mean, network.momentum * before + (1 - network.momentum) * mean)
        known[f"{KEPT}{name}"] = np.where((voxels[name] > 0)[:, None], moved, before)
    return Memory(known, memory.numbers)


def tensors(memory: Memory) -> dict[str, np.ndarray]:
    """The tensors of the global model that hold the prototypes: ``memory.<modality> (K, F)``."""
    named = memory.arrays.items()
    return {f"{MEMORY}.{n.removeprefix(KEPT)}": a for n, a in named if n.startswith(KEPT)}
