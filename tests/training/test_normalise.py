import torch

from fedvox.training.normalise import CENTRE, NORMALISATION, SCALE, keep_moments, normalise


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


def test_an_augmented_image_gets_its_mean_and_spread_back_per_sample_and_channel():
    x = volumes(2, 3, 6, 7, 8) * torch.tensor([1.0, 2.0, 4.0])[None, :, None, None, None]
    kept = keep_moments(5 - 3 * x**2, x)
    for own, expected in zip(*(torch.std_mean(i, (2, 3, 4), correction=0) for i in (kept, x))):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_a_change_of_scale_and_offset_alone_is_undone():
    x = volumes(1, 1, 8, 8, 8)
    # 1e-5 of floor against a spread of 2.9
    torch.testing.assert_close(keep_moments(10 * x + 3, x), x, rtol=1e-4, atol=1e-5)


def test_an_inverted_contrast_stays_inverted():
    x = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 4, 1, 1)
    expected = torch.tensor([1.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(keep_moments(-x, x).flatten(), expected, rtol=0, atol=2e-5)


def test_a_constant_image_stays_as_it_was():
    x = torch.full((1, 1, 4, 4, 4), 0.5)
    assert torch.equal(keep_moments(7 * x, x), x)
