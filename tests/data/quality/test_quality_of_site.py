import json
from dataclasses import replace

import pytest
import torch

from fedvox.data.quality import site as quality
from fedvox.data.quality.site import LEAST, QUALITY, cases_quality, site_quality
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.phantoms.writer import write_phantom_site
from fedvox.tensors import write_tensors


@pytest.fixture(scope="module")
def site(tmp_path_factory, job):
    """A function from a phantom quality to an opened site of six training cases."""
    out = tmp_path_factory.mktemp("quality")

    def opened(name):
        root = out / name
        if not root.exists():
            write_phantom_site(root, "ct", {"train": 6}, 0, 1, spacing_mm=12, quality=name)
        settings = SiteSettings("phantom", str(root), ("ct",), split="dataset")
        return open_site("site-1", settings, job.data, out / f"state-{name}")

    return opened


def test_noise_and_wrong_labels_lower_it(site, tmp_path):
    told = {name: site_quality(site(name), tmp_path / name) for name in ("good", "noisy")}
    wrong = site_quality(site("wrong_labels"), tmp_path / "wrong")
    assert told["good"] > 0.8  # at 12 mm edges look a little like noise
    assert told["noisy"] < 0.85 * told["good"] and wrong < 0.85 * told["good"]


def test_it_is_one_number_of_three_decimals_and_the_same_on_each_call(site, tmp_path):
    good = site("good")
    first = site_quality(good, tmp_path)
    assert 0 < first <= 1 and round(first, 3) == first
    assert cases_quality(good.train) == first == cases_quality(good.train[::-1])


def test_it_is_computed_once_and_again_when_cases_change(site, tmp_path, monkeypatch):
    good, calls = site("good"), []
    counted = lambda cases: calls.append(len(cases)) or 0.5  # noqa: E731
    monkeypatch.setattr(quality, "cases_quality", counted)
    assert [site_quality(good, tmp_path) for _ in range(2)] == [0.5, 0.5] and calls == [6]
    assert site_quality(replace(good, train=good.train[:4]), tmp_path) == 0.5 and calls == [6, 4]
    kept = json.loads((tmp_path / QUALITY).read_text())
    assert (tmp_path / QUALITY).stat().st_mode & 0o077 == 0
    (tmp_path / QUALITY).write_text(json.dumps({**kept, "quality": 7.0}))
    assert site_quality(replace(good, train=good.train[:4]), tmp_path) == 0.5 and len(calls) == 3
    (tmp_path / QUALITY).write_text("{")
    site_quality(good, tmp_path)
    assert len(calls) == 4


def test_many_cases_are_sampled_the_same_whatever_their_order(site, tmp_path, monkeypatch):
    good, seen = site("good"), []
    monkeypatch.setattr(quality, "MOST_CASES", 2)
    monkeypatch.setattr(
        quality, "cases_quality", lambda cases: seen.append([c.code for c in cases]) or 1.0
    )
    site_quality(good, tmp_path / "a")
    site_quality(replace(good, train=good.train[::-1]), tmp_path / "b")
    assert seen[0] == seen[1] and len(seen[0]) == 2


def test_without_labels_and_without_an_image_to_judge_it_is_1(site, tmp_path):
    case = site("good").train[0]
    flat = tmp_path / "flat.safetensors"
    shape = (1, *case.geometry.grid_shape)
    tensors = {"image": torch.zeros(shape), "label": torch.zeros(shape[1:], dtype=torch.uint8)}
    write_tensors(flat, tensors)
    assert cases_quality([replace(case, path=flat)]) == 1.0
    assert cases_quality([]) == 1.0


def test_pure_noise_is_worth_little_but_not_nothing(site, tmp_path):
    case = site("good").train[0]
    noise = torch.rand((1, 24, 24, 24), generator=torch.Generator().manual_seed(0))
    path = tmp_path / "noise.safetensors"
    write_tensors(path, {"image": noise, "label": torch.zeros(24, 24, 24, dtype=torch.uint8)})
    assert LEAST <= cases_quality([replace(case, path=path)]) < 0.1


def test_a_missing_channel_counts_neither_for_nor_against_a_case(site, tmp_path):
    """Labels and signal are judged by what the case has: an empty channel holds no border."""
    case = site("good").train[0]
    image, label = case.tensor("image"), case.tensor("label")
    path = tmp_path / "lacking.safetensors"
    write_tensors(path, {"image": torch.cat([image, 0 * image]), "label": label})
    lacking = replace(case, path=path, modality="ct", present=(True, False))
    assert cases_quality([lacking]) == cases_quality([case])
