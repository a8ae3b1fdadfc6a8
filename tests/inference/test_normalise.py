import torch

from fedvox.inference.normalise import CENTRE, NORMALISATION, SCALE, normalise


def volumes(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_result_equals_the_formula():
    x = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert normalise(x).tolist() == [-1, 0, 1, 3]
    assert {"centre": CENTRE, "scale": SCALE} == NORMALISATION


def test_a_voxel_has_one_value_in_every_window_and_beside_any_margin():
    case = volumes(1, 1, 9, 8, 7)
    whole = normalise(case)
    assert torch.equal(normalise(case[..., 2:6, 3:, :4]), whole[..., 2:6, 3:, :4])
    padded = torch.nn.functional.pad(case, [5] * 6)
    assert torch.equal(normalise(padded)[..., 5:-5, 5:-5, 5:-5], whole)
