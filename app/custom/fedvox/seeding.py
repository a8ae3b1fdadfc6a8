"""Random generators addressed by what they are for, so that any step can be drawn again.

No part of FedVox draws from a global generator. A step's draws depend only on its address
(seed, site, round, step, purpose): a resumed, relaunched or re-ordered run draws the same numbers.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*address: str | int) -> int:
    """Maps an address to a 63-bit seed through SHA-256.

    Args:
        address: any mix of names and numbers, e.g. ``(seed, "site-1", round, step, "gin")``.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in address)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*address: str | int) -> "torch.Generator":
    """A CPU generator seeded by :func:`derive_seed` of ``address``."""
    import torch

    return torch.Generator().manual_seed(derive_seed(*address))


def draw_integer(stop: int, generator: "torch.Generator") -> int:
    """A whole number from 0 to ``stop - 1``, each with equal probability."""
    import torch

    return int(torch.randint(stop, (), generator=generator))
