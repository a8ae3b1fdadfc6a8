"""How much memory a training step takes, measured on the network itself without computing it.

One forward pass and the loss run on PyTorch's ``meta`` device, where tensors have shapes and no
numbers, and what autograd would keep for the backward pass is added up. Two patches give a straight
line in the number of voxels. The backward pass needs more than what was kept: gradients of the
activations in work and buffers of the convolutions.
"""

from dataclasses import dataclass

import torch

from fedvox.data.organs import parent_pairs
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.training.losses import segmentation_loss

BACKWARD = 3.0
"""Resident memory of a real step over what autograd keeps: 1.5 to 2.8 were measured on a CPU."""
PER_WEIGHT = 4
"""Copies of the weights: themselves, gradients, two moments of AdamW."""


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
    weights = weight_bytes(job)
    fixed = BACKWARD * max(0.0, first - slope * edge**3) + PER_WEIGHT * weights
    return StepMemory(fixed, BACKWARD * slope)


def kept_bytes(job: JobSettings, patch: tuple[int, int, int]) -> int:
    """Bytes that autograd keeps between forward and backward pass of one patch, weights apart."""
    organs = job.data.organs
    model = _network(job)
    own = {_address(parameter) for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _address(tensor) not in own:
            kept[_address(tensor)] = tensor  # kept alive, so that no address is used twice
        return tensor

    image = torch.zeros(1, job.data.in_channels, *patch, device="meta")
    label = torch.zeros(1, *patch, dtype=torch.uint8, device="meta")
    annotated = torch.ones(1, len(organs), dtype=torch.bool, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        segmentation_loss(model(image), label, annotated, job.training.loss, parent_pairs(organs))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def weight_bytes(job: JobSettings) -> int:
    """Bytes of the network's weights."""
    return sum(parameter.nbytes for parameter in _network(job).parameters())


def _network(job: JobSettings) -> torch.nn.Module:
    return initial_model(job).to("meta")


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
