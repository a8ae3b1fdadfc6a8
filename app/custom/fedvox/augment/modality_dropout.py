"""Which modalities of a case a training step leaves in, so that a network learns to miss some."""

import torch


def draw_kept(present: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Drops each image of a sample with a probability, never the last one.

    With a share of 0.5 every set of images of a complete case but the empty one is drawn alike,
    the single ones a little more often: where all would go, one stays, drawn evenly.

    Args:
        present: ``(B, C)`` bool, the images that each sample has.
        share: probability of being dropped.
        generator: CPU generator; the only source of randomness.

    Returns:
        ``(B, C)`` bool, on the device of ``present``.

    Reference:
        Neverova et al., "ModDrop: Adaptive Multi-Modal Gesture Recognition", IEEE TPAMI 2016.

    Example:
        >>> import torch
        >>> from fedvox.seeding import generator
        >>> present = torch.tensor([[True, False, True]])
        >>> kept = draw_kept(present, 1.0, generator(0))
        >>> int(kept.sum()), bool(kept[0, 1])
        (1, False)
    """
    draws = torch.rand(present.shape, generator=generator)
    there = present.to("cpu")
    kept = there & (draws >= share)
    luckiest = draws.masked_fill(~there, -1).argmax(1)
    last = torch.nn.functional.one_hot(luckiest, present.shape[1]).bool()
    return torch.where(kept.any(1, keepdim=True), kept, last & there).to(present.device)
