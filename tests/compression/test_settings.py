import pytest

from fedvox.compression.positions import entropy
from fedvox.compression.settings import (
    Coding,
    CompressionSettings,
    DownSettings,
    LinkSettings,
    coding,
    kept_share,
)
from fedvox.config import build, to_mapping
from fedvox.errors import ConfigError


def test_defaults_save_97_percent_by_arithmetic():
    links = CompressionSettings().up, CompressionSettings().down
    share = [(entropy(link.keep) + link.bits * link.keep) / 32 for link in links]
    assert sum(share) / 2 < 0.0302  # the arithmetic is the most; measured are 2.99%


def test_a_mapping_makes_the_settings_and_back():
    mapping = {"up": {"keep": 0.01, "bits": 3}, "chunk": 4096, "warmup": 3}
    settings = build(CompressionSettings, mapping, "training.json", "compression")
    assert settings.up == LinkSettings(0.01, 3) and settings.down == DownSettings()
    assert build(CompressionSettings, to_mapping(settings), "x") == settings


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"up": {"keep": 0}}, "'compression.up.keep' is 0; it must be at least 1e-06"),
        ({"up": {"keep": 1.5}}, "at most 1.0"),
        ({"down": {"bits": 1}}, "allowed: 2, 3, 4, 5, 6, 7, 8, 32"),
        ({"down": {"bits": 16}}, "allowed: 2"),
        ({"chunk": 10}, "'compression.chunk' is 10; it must be 0 or at least 64"),
        ({"block": 1}, "at least 16"),
        ({"keep": 0.1}, "unknown key 'compression.keep'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(mapping, words):
    with pytest.raises(ConfigError, match=words):
        build(CompressionSettings, mapping, "training.json", "compression")


def test_warm_up_falls_by_the_same_factor_each_round_and_ends_at_the_share():
    link = LinkSettings(keep=0.01)
    shares = [kept_share(link, 3, index) for index in range(6)]
    assert shares == pytest.approx([10**-0.5, 10**-1, 10**-1.5, 0.01, 0.01, 0.01])
    assert kept_share(link, 0, 0) == 0.01
    assert kept_share(LinkSettings(keep=1.0), 5, 0) == 1.0


def test_a_rounds_numbers_come_from_job_link_and_round():
    settings = CompressionSettings(up=LinkSettings(0.01, 3), chunk=128, block=32, warmup=1, small=9)
    assert coding(settings, settings.up, 0) == Coding(0.1, 3, 128, 32, 9)
    assert coding(settings, settings.up, 7) == Coding(0.01, 3, 128, 32, 9)
