import torch

from fedvox.training.normalise import zscore


def test_each_sample_and_channel_has_mean_zero_and_variance_one():
    x = torch.rand(2, 3, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    x *= torch.tensor([1.0, 2.0, 4.0])[None, :, None, None, None]
    std, mean = torch.std_mean(zscore(x), dim=(2, 3, 4), correction=0)
    torch.testing.assert_close(mean, torch.zeros(2, 3), rtol=0, atol=1e-6)
    # the floor of 1e-5 takes 1e-5 / 0.29 off the narrowest channel
    torch.testing.assert_close(std, torch.ones(2, 3), rtol=0, atol=5e-5)


def test_result_equals_the_formula():
    x = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 4, 1, 1)
    expected = torch.tensor([-0.5, -0.5, 0.5, 0.5]) / (0.5 + 1e-5)
    torch.testing.assert_close(zscore(x).flatten(), expected)


def test_scale_and_offset_of_the_scanner_do_not_matter():
    x = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    # 1e-5 of floor against a spread of 0.29 and of 2.9
    torch.testing.assert_close(zscore(10 * x + 3), zscore(x), rtol=1e-4, atol=1e-4)


def test_constant_image_becomes_zero():
    assert (zscore(torch.full((1, 1, 4, 4, 4), 0.5)) == 0).all()
