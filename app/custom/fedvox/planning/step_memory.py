"""How much memory a training step takes, measured on the network itself without computing it.

One forward pass and the terms of the loss run on PyTorch's ``meta`` device, where tensors have
shapes and no numbers, and what autograd would keep for the backward pass is added up. Two patches
give a straight line in the number of voxels. The backward pass needs more than what was kept:
gradients of the activations in work and buffers of the convolutions. Which sites are partly
labelled shows only when they prepare their cases, so a job's distillation counts wherever its
weight is not 0.
"""

from dataclasses import dataclass, replace

import torch

from fedvox.data.organs import parent_pairs
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.losses.target import Target
from fedvox.networks.outputs import LOGITS
from fedvox.training.term import RECEIVED, Term
from fedvox.training.terms import needs, outputs_of, terms_of, total

BACKWARD = 3.0
"""Resident memory of a real step over what autograd keeps: 1.5 to 2.8 were measured on a CPU."""
PER_WEIGHT = 4
"""Copies of the weights: themselves, gradients, two moments of AdamW; one more where a term reads
the received model."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a step as a straight line.

    Attributes:
        fixed: whatever the patch: weights, gradients, optimiser.
        per_voxel: for each voxel of each patch of a batch.
    """

    fixed: float
    per_voxel: float

    def bytes(self, voxels: float) -> float:
        """Memory of a step.

        Args:
            voxels: of a patch, times the batch.
        """
        return self.fixed + self.per_voxel * voxels


def measure_step(job: JobSettings) -> StepMemory:
    """Measures the job's network and loss at two small patches, in float32."""
    edge = 2 * job.network.patch_multiple
    small, large = (edge, edge, edge), (edge, edge, 2 * edge)
    first, second = kept_bytes(job, small), kept_bytes(job, large)
    slope = (second - first) / edge**3
    copies = PER_WEIGHT + needs(_terms(job), RECEIVED)
    fixed = BACKWARD * max(0.0, first - slope * edge**3) + copies * weight_bytes(job)
    return StepMemory(fixed, BACKWARD * slope)


def kept_bytes(job: JobSettings, patch: tuple[int, int, int]) -> int:
    """Bytes that autograd keeps between forward and backward pass of one patch, weights apart."""
    terms, model = _terms(job), _network(job, patch)
    own = {_address(parameter) for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _address(tensor) not in own:
            kept[_address(tensor)] = tensor  # kept alive, so that no address is used twice
        return tensor

    image = torch.zeros(1, job.data.in_channels, *patch, device="meta")
    fixed = {RECEIVED: keep(_received(model, image))} if needs(terms, RECEIVED) else {}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total(
            terms, {**outputs_of(model, *_inputs(job, model, image)), **fixed}, _target(job, patch)
        )
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def weight_bytes(job: JobSettings) -> int:
    """Bytes of the network's weights."""
    return sum(parameter.nbytes for parameter in _network(job, job.data.patch).parameters())


def _terms(job: JobSettings) -> tuple[Term, ...]:
    return terms_of(job, partly=True)


def _target(job: JobSettings, patch: tuple[int, int, int]) -> Target:
    label = torch.zeros(1, *patch, dtype=torch.uint8, device="meta")
    annotated = torch.ones(1, len(job.data.organs), dtype=torch.bool, device="meta")
    return Target(label, annotated, parent_pairs(job.data.organs))


def _inputs(
    job: JobSettings, model: torch.nn.Module, image: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """What a step gives the network; nothing counts as dropped, which takes the most memory."""
    if job.training.modality_dropout and getattr(model, "drops", False):
        return image, image.new_ones(image.shape[:2])
    return (image,)


@torch.no_grad()
def _received(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    return outputs_of(model, image)[LOGITS]


def _network(job: JobSettings, patch: tuple[int, int, int]) -> torch.nn.Module:
    """The job's network for another patch: some have weights for each place in it."""
    return initial_model(replace(job, data=replace(job.data, patch=patch))).to("meta")


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
