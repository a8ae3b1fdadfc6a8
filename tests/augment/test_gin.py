"""GIN keeps shape, norm and seeds, and equals the published grouped-convolution formulation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from fedvox.augment.convolution import MANY_CHANNELS
from fedvox.augment.gin import Gin, GinDraw, GinSettings, apply_gin, draw_gin
from fedvox.config import build
from fedvox.errors import ConfigError
from fedvox.seeding import generator

SEEDS = st.integers(0, 2**31)
SHAPES = st.lists(st.integers(3, 12), min_size=2, max_size=3)


def images(batch: int, channels: int, *spatial: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, channels, *spatial, generator=generator(seed, "images"))


def norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.double().flatten(1), dim=1)


def body() -> Tensor:
    """A body of 0.4 with four organs, on zero background."""
    axes = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 24)] * 3, indexing="ij"))
    volume = torch.zeros(24, 24, 24)
    for centre, radius, value in (
        ((0.0, 0.0, 0.0), 0.9, 0.4),
        ((0.3, 0.3, 0.0), 0.3, 0.6),
        ((-0.3, 0.3, 0.0), 0.25, 0.75),
        ((0.0, -0.4, 0.2), 0.3, 0.2),
        ((0.1, -0.1, -0.5), 0.2, 1.0),
    ):
        offset = axes - torch.tensor(centre)[:, None, None, None]
        volume[offset.square().sum(0) < radius**2] = value
    return volume[None, None]


def plain_gin(x: Tensor, draw: GinDraw) -> Tensor:
    """The published formulation: the batch folded into groups, kernels padded with zeros."""
    batch = x.shape[0]
    convolve = F.conv3d if x.ndim == 5 else F.conv2d
    features = x.reshape(1, -1, *x.shape[2:])
    for index in range(draw.settings.layers):
        weight, bias = draw.layer(index)
        padding = weight.shape[-1] // 2
        features = convolve(
            features, weight.flatten(0, 1), bias.flatten(), padding=padding, groups=batch
        )
        if index < draw.settings.layers - 1:
            features = F.leaky_relu(features, draw.settings.slope)
    alpha = draw.alpha.view(-1, *[1] * (x.ndim - 1))
    mixed = alpha * features.view_as(x) + (1 - alpha) * x
    scale = x.flatten(1).norm(dim=1) / (mixed.flatten(1).norm(dim=1) + 1e-5)
    return mixed * scale.view_as(alpha)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, batch=st.integers(1, 3), channels=st.integers(1, 3), spatial=SHAPES)
def test_gin_keeps_frobenius_norm_shape_and_is_finite(seed, batch, channels, spatial):
    x = images(batch, channels, *spatial, seed=seed)
    y = Gin(GinSettings())(x, generator(seed))
    assert y.shape == x.shape
    assert y.isfinite().all()
    # float32 sums, and the 1e-5 in the denominator, which only an image of few voxels feels
    torch.testing.assert_close(norms(y), norms(x), rtol=2e-3, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    batch=st.integers(1, 3),
    channels=st.integers(1, 3),
    hidden=st.sampled_from([1, 2, 5, MANY_CHANNELS]),
    pool=st.sampled_from([(1, 3), (3,), (1, 5), (1, 3, 5, 7)]),
    spatial=st.lists(st.integers(1, 19), min_size=2, max_size=3),
)
def test_equals_the_plain_grouped_formulation(seed, batch, channels, hidden, pool, spatial):
    x = images(batch, channels, *spatial, seed=seed)
    chosen = GinSettings(channels=hidden, kernel_sizes=pool)
    draw = draw_gin(chosen, batch, channels, len(spatial), generator(seed))
    # the sums are ordered differently, and cancellation magnifies float32 rounding
    torch.testing.assert_close(apply_gin(x, draw), plain_gin(x, draw), rtol=1e-3, atol=1e-3)


def test_a_single_layer_of_size_one_is_an_affine_map():
    x = images(1, 1, 4, 5, 6)
    draw = draw_gin(GinSettings(layers=1, kernel_sizes=(1,)), 1, 1, 3, generator(3))
    weight, bias = (part.item() for part in draw.layer(0))
    alpha = draw.alpha.item()
    mixed = alpha * (weight * x + bias) + (1 - alpha) * x
    torch.testing.assert_close(apply_gin(x, draw), mixed * x.norm() / (mixed.norm() + 1e-5))


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_same_seed_same_output_and_another_seed_another(seed):
    x, gin = images(2, 1, 6, 7, 8), Gin(GinSettings())
    first = gin(x, generator(seed))
    assert torch.equal(first, gin(x, generator(seed)))
    source = generator(seed)
    assert torch.equal(first, gin(x, source))
    assert not torch.equal(first, gin(x, source))  # every call draws afresh
    assert not torch.equal(first, gin(x, generator(seed + 1)))


def test_samples_of_a_batch_get_different_networks():
    x = images(1, 1, 8, 8, 8).repeat(2, 1, 1, 1, 1)
    y = Gin(GinSettings())(x, generator(2))
    assert not torch.allclose(y[0], y[1])


def test_a_sample_does_not_depend_on_the_others():
    x = images(3, 1, 8, 9, 10)
    draw = draw_gin(GinSettings(), 3, 1, 3, generator(4))
    other = x.clone()
    other[1:] = 1 - other[1:]
    assert torch.equal(apply_gin(x, draw)[0], apply_gin(other, draw)[0])


@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_per_batch_uses_the_same_draw_for_all(probability):
    x = images(1, 1, 8, 8, 8).repeat(3, 1, 1, 1, 1)
    chosen = GinSettings(per_batch=True, probability=probability)
    for seed in range(4):
        draw = draw_gin(chosen, 3, 1, 3, generator(seed))
        y = apply_gin(x, draw)
        assert len(set(draw.kernel_sizes)) == len(set(draw.applied)) == 1
        assert torch.equal(y[0], y[1])
        assert torch.equal(y[0], y[2])


def test_drawn_values_follow_their_distributions():
    draw = draw_gin(GinSettings(kernel_sizes=(3,)), 2000, 1, 2, generator(0))
    weights = torch.cat([draw.layer(index)[0].flatten() for index in range(4)])
    biases = torch.cat([draw.layer(index)[1].flatten() for index in range(4)])
    for values in (weights, biases):
        error = 4 / math.sqrt(len(values))  # four standard errors
        assert abs(values.mean().item()) < error
        assert abs(values.std().item() - 1) < error
        share = (values.abs() < 1).float().mean().item()
        assert share == pytest.approx(0.6827, abs=error)
    quantiles = torch.quantile(draw.alpha, torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(quantiles, torch.tensor([0.1, 0.5, 0.9]), rtol=0, atol=0.05)
    assert draw.alpha.min() >= 0
    assert draw.alpha.max() < 1


def test_each_layer_draws_every_kernel_size_about_equally_often():
    draw = draw_gin(GinSettings(), 1000, 1, 3, generator(0))
    for layer in range(4):
        share = sum(sizes[layer] == 3 for sizes in draw.kernel_sizes) / 1000
        assert share == pytest.approx(0.5, abs=0.07)


def test_weights_outside_the_drawn_size_are_zero():
    draw = draw_gin(GinSettings(), 20, 1, 3, generator(0))
    for layer in range(4):
        weight, _ = draw.layer(layer)
        for sample, sizes in enumerate(draw.kernel_sizes):
            expected = weight[sample].shape[:2].numel() * sizes[layer] ** 3
            assert weight[sample].count_nonzero() == expected


def test_some_draws_invert_contrast_and_many_are_mild():
    x = body().repeat(200, 1, 1, 1, 1)
    y = Gin(GinSettings())(x, generator(0))
    reference = body().flatten() - body().mean()
    centred = y.flatten(1) - y.flatten(1).mean(1, keepdim=True)
    correlation = centred @ reference / (centred.norm(dim=1) * reference.norm())
    # between 1 in 6 and 1 in 4, by image; the range is four standard errors around both
    assert 0.10 < (correlation < 0).float().mean().item() < 0.37
    assert 0.30 < (correlation > 0.5).float().mean().item() < 0.60


def test_probability_zero_is_the_identity():
    x = images(2, 1, 5, 6, 7)
    assert torch.equal(Gin(GinSettings(probability=0.0))(x, generator(0)), x)


def test_probability_decides_per_sample():
    x = images(400, 1, 2, 2)
    draw = draw_gin(GinSettings(probability=0.3), 400, 1, 2, generator(0))
    same = (apply_gin(x, draw) == x).flatten(1).all(1)
    assert same.tolist() == [not applied for applied in draw.applied]
    assert sum(draw.applied) / 400 == pytest.approx(0.3, abs=0.1)


def test_body_mask_keeps_background_at_zero_and_the_norm():
    x = body().repeat(4, 1, 1, 1, 1)
    y = Gin(GinSettings(body_mask=True))(x, generator(0))
    assert y[x == 0].abs().max() == 0
    assert y[x > 0].abs().min() >= 0
    torch.testing.assert_close(norms(y), norms(x), rtol=1e-3, atol=0)
    assert Gin(GinSettings())(x, generator(0))[x == 0].abs().max() > 0


def test_clip_keeps_the_range():
    y = Gin(GinSettings(clip=True))(images(8, 1, 6, 6, 6), generator(0))
    assert y.min() >= 0
    assert y.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_keeps_dtype_and_computes_in_float32(dtype):
    x = images(2, 1, 6, 7, 8).to(dtype)
    y = Gin(GinSettings())(x, generator(0))
    assert y.dtype == dtype
    torch.testing.assert_close(y, Gin(GinSettings())(x.float(), generator(0)).to(dtype))


def test_autocast_changes_nothing():
    x = images(2, 1, 6, 7, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = Gin(GinSettings())(x, generator(0))
    assert torch.equal(y, Gin(GinSettings())(x, generator(0)))


@pytest.mark.parametrize("width", [8, 9])
def test_input_is_left_alone_and_gets_no_gradient(width):
    x = images(1, 1, 6, 7, width).requires_grad_()
    before = x.detach().clone()
    y = Gin(GinSettings())(x, generator(0))
    assert not y.requires_grad
    assert torch.equal(x, before)
    assert y.data_ptr() != x.data_ptr()


def test_a_transposed_input_gives_the_same():
    x = images(2, 1, 6, 7, 8)
    strange = x.transpose(2, 4).contiguous().transpose(2, 4)
    assert torch.equal(
        Gin(GinSettings())(strange, generator(0)), Gin(GinSettings())(x, generator(0))
    )


def test_is_deterministic_with_one_and_with_two_threads():
    x, gin, threads = images(2, 1, 20, 20, 20), Gin(GinSettings()), torch.get_num_threads()
    results = []
    torch.use_deterministic_algorithms(True)
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(gin(x, generator(0)))
            assert torch.equal(results[-1], gin(x, generator(0)))
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_draws_from_no_global_state():
    state = torch.random.get_rng_state()
    Gin(GinSettings())(images(2, 1, 6, 6, 6), generator(0))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("spatial", [(6, 7, 8), (6, 7)])
@pytest.mark.parametrize("options", [{}, {"clip": True, "body_mask": True, "probability": 0.5}])
def test_host_never_waits_for_a_device(spatial, options):
    # a meta tensor has no values: any question about one raises, as would .item() or x[mask]
    x = torch.empty(2, 1, *spatial, device="meta")
    assert Gin(GinSettings(**options))(x, generator(0)).shape == x.shape


@pytest.mark.parametrize("shape", [(3, 1, 4, 4, 4), (2, 2, 4, 4, 4), (2, 1, 4, 4)])
def test_refuses_images_that_do_not_fit_the_draw(shape):
    draw = draw_gin(GinSettings(), 2, 1, 3, generator(0))
    with pytest.raises(ValueError, match="drawn for"):
        apply_gin(torch.zeros(shape), draw)


def test_refuses_one_dimension():
    with pytest.raises(ValueError, match="2 or 3"):
        draw_gin(GinSettings(), 1, 1, 1, generator(0))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"probability": 1.5}, "'probability' is 1.5; it must be at most 1"),
        ({"kernel_sizes": [1, 2]}, "odd sizes"),
        ({"kernel_sizes": []}, "odd sizes"),
        ({"layers": 0}, "'layers' is 0; it must be at least 1"),
        ({"kernels": [1]}, "unknown key 'kernels'"),
    ],
)
def test_settings_errors_name_the_key(mapping, message):
    with pytest.raises(ConfigError, match=f"training.json: .*{message}"):
        build(GinSettings, mapping, "training.json")
