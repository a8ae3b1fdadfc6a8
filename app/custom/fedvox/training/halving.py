"""Goes on with half a batch at a time when memory runs out, with the same gradient.

The network sees one part of the batch after the other. Soft Dice sums over the batch, so the mean
of the parts' losses would be another loss: here the loss is that of the whole batch's scores. They
are computed part by part without a graph, the loss gives their gradient, and a second pass carries
each part's share of it to the weights. It equals the whole batch's gradient up to rounding wherever
the network treats samples apart, as instance normalisation does. Batch normalisation takes its
statistics from each part, so there it is a slightly different gradient; its running statistics
see each part once, since what another pass did to them is taken back.

Reference:
    Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021),
    section 3: gradients of the scores are kept, the network's passes are made twice.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # of every dimension

from fedvox.errors import MemoryFull
from fedvox.job.device import out_of_memory

logger = logging.getLogger(__name__)


class Halving:
    """Whether batches have to be halved, and what to say about it.

    Args:
        model: what is trained.
        batch: patches per step.
        patch: edges of a patch in voxels.
        device: whose memory it is.

    Attributes:
        parts: parts that a batch is computed in, 1 or 2.
    """

    def __init__(
        self, model: nn.Module, batch: int, patch: tuple[int, ...], device: torch.device
    ) -> None:
        self.parts = 1
        self.model = model
        self.device = device
        self.patch = "x".join(map(str, patch))
        self.batch = batch

    def run(self, work: Callable[[int], torch.Tensor], site: str) -> torch.Tensor:
        """Runs a step's forward and backward pass, once more in two parts if memory runs out.

        Args:
            work: from a number of parts to the loss; may be called twice.
            site: whose step it is.

        Raises:
            MemoryFull: names site, batch and patch, and what to lower.
        """
        with self.named(site):
            if self.parts == 1 and self.batch > 1:
                loss = self._attempt(work)
                if loss is not None:
                    return loss
                self.parts = 2
                self._free()
                logger.warning(
                    "%s: %s too small for a step of batch %d with patches of %s voxels; this round "
                    "goes on with half a batch at a time, which gives %s and takes longer; to "
                    "avoid it lower training.batch or data.patch",
                    site,
                    memory_of(self.device),
                    self.batch,
                    self.patch,
                    _effect_on(self.model),
                )
            return work(self.parts)

    def _attempt(self, work: Callable[[int], torch.Tensor]) -> torch.Tensor | None:
        """The loss, or None when memory ran out; then nothing of the attempt is kept."""
        before = _buffers(self.model)
        try:
            return work(1)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            _restore(self.model, before)
            return None

    def _free(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def named(self, site: str) -> Iterator[None]:
        """Turns running out of memory for good into one line.

        Raises:
            MemoryFull: names site, batch and patch, and what to lower.
        """
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            halves = ", even in halves" if self.parts > 1 else ""
            remedy = "training.batch or data.patch" if self.batch > 1 else "data.patch"
            raise MemoryFull(
                f"{site}: {memory_of(self.device)} too small for a step of batch {self.batch} with "
                f"patches of {self.patch} voxels{halves}; lower {remedy}, or end other programs"
            ) from None


def memory_of(device: torch.device) -> str:
    """The memory's name at the start of a sentence about its size."""
    return "the GPU's memory is" if device.type == "cuda" else "this machine's memory is"


def _effect_on(model: nn.Module) -> str:
    if any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        return "nearly the same update (batch normalisation sees each half by itself)"
    return "the same update"


def _buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of what a forward pass may change, such as running statistics."""
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@torch.no_grad()
def _restore(model: nn.Module, before: Mapping[str, torch.Tensor]) -> None:
    for name, buffer in model.named_buffers():
        buffer.copy_(before[name])


def backward_in_parts(
    model: nn.Module,
    network: Callable[..., Mapping[str, torch.Tensor]],
    inputs: Sequence[torch.Tensor],
    loss_of: Callable[[Mapping[str, torch.Tensor]], torch.Tensor],
    parts: int,
) -> None:
    """Adds the gradient of a batch's loss to the network's parameters.

    Args:
        model: what ``network`` runs; the pass without a graph leaves its buffers as they are.
        network: from the inputs to outputs by name, ``(B, K, X, Y, Z)`` each.
        inputs: the batch: the image ``(B, C, X, Y, Z)``, and what else the network takes, ``(B,
            ...)`` each.
        loss_of: from the outputs to the scalar whose gradient is wanted.
        parts: parts that go through the network one after the other; 1 needs one pass instead of
            two.
    """
    if parts == 1:
        loss_of(network(*inputs)).backward()
        return
    size = -(-len(inputs[0]) // parts)
    pieces = list(zip(*(own.split(size) for own in inputs)))
    before = _buffers(model)
    with torch.no_grad():
        found = [network(*piece) for piece in pieces]
    _restore(model, before)
    whole = {
        name: torch.cat([outputs[name] for outputs in found]).requires_grad_() for name in found[0]
    }
    slopes = torch.autograd.grad(loss_of(whole), list(whole.values()), allow_unused=True)
    used = {name: slope for name, slope in zip(whole, slopes) if slope is not None}
    shares = {name: slope.split(size) for name, slope in used.items()}
    for index, piece in enumerate(pieces):
        outputs = network(*piece)
        # a flag, or a feature that this part has no module for, leads to no weight
        told = [name for name in used if outputs[name].requires_grad]
        torch.autograd.backward(
            [outputs[name] for name in told], [shares[name][index] for name in told]
        )
