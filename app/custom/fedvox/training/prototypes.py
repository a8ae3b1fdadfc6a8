"""What a site tells the federation's memory of its cases, after it has trained a round."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from fedvox.aggregation.prototypes import CASES, MODALITY, SUMS, VOXELS, cut, no_prototypes
from fedvox.data.cases.patches import draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.organs import MODALITIES
from fedvox.inference.normalise import normalise
from fedvox.job.settings import JobSettings
from fedvox.losses.modal import class_shares
from fedvox.losses.target import Target
from fedvox.networks.mixmodal_network import MEMORY_LEVEL, MixModal
from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.seeding import generator

PATCHES = 2
"""Patches of each case that are looked at; where they lie is drawn as in training."""


@dataclass(frozen=True)
class Tally:
    """Sums over cases, by modality and class.

    Attributes:
        classes: organs plus background.
        width: of a prototype.
        arrays: as they travel, one row for each modality that was seen, in that order.
        seen: modality -> its row.
    """

    classes: int
    width: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def add(self, modality: str, sums: np.ndarray, voxels: np.ndarray) -> None:
        """Adds one case.

        Args:
            modality: of its image.
            sums: ``(K, F)``.
            voxels: ``(K,)``.
        """
        row = self.seen.setdefault(modality, len(self.seen))
        if row == len(self.arrays.get(MODALITY, ())):
            new = no_prototypes(1, self.classes, self.width)
            new[MODALITY][0] = MODALITIES.index(modality)
            known = self.arrays or no_prototypes(0, self.classes, self.width)
            self.arrays.update({n: np.concatenate([known[n], new[n]]) for n in new})
        self.arrays[SUMS][row] += sums
        self.arrays[VOXELS][row] += voxels
        self.arrays[CASES][row] += voxels > 0


@torch.no_grad()
def gather_prototypes(
    model: torch.nn.Module,
    cases: Sequence[PreparedCase],
    job: JobSettings,
    site: str,
    index: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Sums and counts of a site's features by modality and class.

    Args:
        model: as trained in the round, on the device; a :class:`MixModal`.
        cases: the site's training cases.
        job: the job's settings, with a network ``mixmodal``.
        site: the site's name; where patches lie is drawn from it and the round.
        index: the round, from 0.
        device: where to compute.

    Returns:
        The arrays of :func:`fedvox.aggregation.prototypes.no_prototypes`, without the numbers that
        fewer than ``network.fewest_cases`` cases stand behind; empty where nothing is left.
    """
    network = job.network
    assert isinstance(model, MixModal) and isinstance(network, MixModalSettings)
    tally = Tally(len(job.data.organs) + 1, 2 * network.channels[MEMORY_LEVEL])
    model.eval()
    for number, case in enumerate(cases):
        source = generator(job.training.seed, site, index, number, "prototypes")
        batch = draw_batch([case], job.data, PATCHES, source).to(device)
        encoded = model.encode(normalise(batch.image))
        target = Target(batch.label, batch.annotated, (), batch.ignores)
        for place, modality in enumerate(job.data.channels):
            if not case.present[place] or modality not in encoded.tailored:
                continue
            levels = encoded.tailored[modality], encoded.shared[modality]
            features = torch.cat([own[MEMORY_LEVEL] for own in levels], 1).double()
            edges = features.shape[2], features.shape[3], features.shape[4]
            # whole voxels of the patch: what a share of a coarse voxel stands for; none of a patch
            # in which the image shows nothing, as the network makes nothing of it
            voxels = class_shares(target, tally.classes, edges).double() * (
                encoded.present[modality] * batch.label[0].numel() / features[0, 0].numel()
            )
            sums = torch.einsum("bfxyz,bkxyz->kf", features, voxels)
            tally.add(modality, sums.cpu().numpy(), voxels.sum((0, 2, 3, 4)).cpu().numpy())
    if not tally.arrays:
        return {}
    told = cut(tally.arrays, network.fewest_cases)
    return told if told[CASES].any() else {}
