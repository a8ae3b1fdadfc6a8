"""What a case's modalities have to do with each other: terms for networks with any set of them.

All read outputs of :mod:`fedvox.networks.mixmodal_network` by shape alone.
"""

import torch
import torch.nn.functional as F

from fedvox.losses.target import Target


def answer_divergence(dropped: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """``KL(whole || dropped)``: the answer for fewer modalities follows that for all of the case's.

    Args:
        dropped: logits ``(B, K, X, Y, Z)`` for what was kept.
        whole: logits for all modalities of the same case; they get no gradient.

    Returns:
        Scalar in nats, the mean over voxels.

    Reference:
        Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.

    Example:
        >>> import torch
        >>> even, sure = torch.zeros(1, 2, 1, 1, 1), torch.tensor([40.0, 0.0]).view(1, 2, 1, 1, 1)
        >>> round(float(answer_divergence(even, sure)), 3)  # log 2
        0.693
    """
    own, other = dropped.float().log_softmax(1), whole.detach().float().log_softmax(1)
    return (other.exp() * (other - own)).sum(1).mean()


def feature_distance(dropped: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """One less the cosine of the angle between two features, voxel by voxel.

    Args:
        dropped: ``(B, F, ...)`` of what was kept.
        whole: of all modalities of the same case; gets no gradient.

    Returns:
        Scalar from 0 to 2, the mean over voxels.
    """
    return 1 - F.cosine_similarity(dropped.float(), whole.detach().float(), dim=1).mean()


def shared_distance(shared: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """How far the shared features of a case's modalities lie apart: mean ``|S_m − mean(S)|``.

    Args:
        shared: ``(B, C·F, ...)``, channel by channel.
        present: ``(B, C, 1, 1, 1)``, 1 or 0.

    Returns:
        Scalar, the mean over samples with at least two modalities; 0 if there is none.

    Reference:
        Wang et al., "Multi-modal Learning with Missing Modality via Shared-Specific Feature
        Modelling", CVPR 2023: the L1 between shared features.

    Example:
        >>> import torch
        >>> shared = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1, 1)
        >>> float(shared_distance(shared, torch.ones(1, 2, 1, 1, 1)))
        1.0
    """
    batch, channels = present.shape[:2]
    features = shared.float().reshape(batch, channels, -1)
    there = present.float().reshape(batch, channels, 1)
    count = there.sum(1, keepdim=True)
    mean = (there * features).sum(1, keepdim=True) / count.clamp(min=1)
    apart = (there * (features - mean).abs()).sum(1).mean(1) / count.flatten().clamp(min=1)
    several = count.flatten() >= 2
    return (apart * several).sum() / several.sum().clamp(min=1)


def prototype_distance(
    middle: torch.Tensor, anchors: torch.Tensor, present: torch.Tensor, target: Target
) -> torch.Tensor:
    """How far a case of one modality lies from what other modalities' cases share, by organ.

    Cases of CT and of MRI are of different patients, so their features cannot be compared voxel by
    voxel; the mean feature of an organ can.

    Args:
        middle: shared features ``(B, F, x, y, z)``; the labels are averaged down to their grid.
        anchors: ``(B, K, F, 1, 1)``, shared prototypes of the other modalities; zeros are unknown.
        present: ``(B, C, 1, 1, 1)``, 1 or 0.
        target: the labels.

    Returns:
        Scalar, the mean over samples of one modality, over the classes that the memory knows and
        the sample holds and annotates; 0 if there is none.
    """
    grid = (middle.shape[2], middle.shape[3], middle.shape[4])
    shares = class_shares(target, anchors.shape[1], grid)
    weight = shares.sum((2, 3, 4))
    means = torch.einsum("bfxyz,bkxyz->bkf", middle.float(), shares) / weight[..., None].clamp(
        min=1e-6
    )
    known = anchors.flatten(2).detach().float()
    single = present.float().flatten(1).sum(1, keepdim=True) == 1
    counts = (weight > 0) & (known != 0).any(2) & single
    distance = (means - known).abs().mean(2)
    return (distance * counts).sum() / counts.sum().clamp(min=1)


def class_shares(target: Target, classes: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Share of each class in the voxels of a coarser grid; 0 for what a sample cannot tell.

    A class that a sample does not annotate has none; background neither, where it may hold organs
    that nobody annotated.

    Args:
        target: the labels.
        classes: organs plus background.
        shape: of the coarser grid; divides that of the labels.

    Returns:
        ``(B, K, *shape)`` float32.
    """
    label = target.label.long()
    told = torch.stack([label == value for value in range(classes)], 1).float()
    annotated = F.pad(target.annotated, (1, 0), value=True)
    annotated[:, 0] = target.annotated.all(1)
    return F.adaptive_avg_pool3d(told * annotated[:, :, None, None, None], shape)


def identity_loss(scores: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the modality that each tailored feature comes from.

    Args:
        scores: ``(B, C, C + 1, 1, 1)``: for channel i the scores of all C modalities, and behind
            them 1 where there is such a feature, else 0.

    Returns:
        Scalar in nats, the mean over the features that there are.

    Example:
        >>> import torch
        >>> scores = torch.zeros(1, 2, 3, 1, 1)  # of ct and mr, told alike
        >>> scores[0, 1, 2] = 1  # there is the mr feature alone
        >>> round(float(identity_loss(scores)), 3)  # log 2
        0.693
    """
    batch, channels = scores.shape[:2]
    told, there = scores[:, :, :-1, 0, 0].float(), scores[:, :, -1, 0, 0].float()
    truth = torch.arange(channels, device=scores.device).expand(batch, channels)
    loss = F.cross_entropy(told.flatten(0, 1), truth.flatten(), reduction="none")
    return (loss * there.flatten()).sum() / there.sum().clamp(min=1)
