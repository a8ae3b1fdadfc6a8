import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from fedvox.data.check.site import check_site
from fedvox.data.readers.phantom import read
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError
from fedvox.phantoms.quality import QUALITIES, WRONG_KINDS, quality_named
from fedvox.phantoms.writer import write_phantom_site

COUNTS = {"train": 4, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Path:
    """One CT site of each quality, and nothing else that differs."""
    out = tmp_path_factory.mktemp("qualities")
    for quality in QUALITIES:
        write_phantom_site(
            out / quality, "ct", COUNTS, 0, 1, spacing_mm=12, quality=quality, wrong_share=1.0
        )
    write_phantom_site(out / "plain", "ct", COUNTS, 0, 1, spacing_mm=12)
    return out


def listing(site: Path) -> dict:
    return json.loads((site / "phantom.json").read_text())


def files(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def voxels(site: Path, part: str, number: int) -> np.ndarray:
    return np.asarray(nib.load(site / part / f"phantom_{number:04d}.nii.gz").dataobj)


def test_a_good_site_is_one_without_the_setting_byte_by_byte(sites):
    assert files(sites / "good") == files(sites / "plain")


def test_a_noisy_site_has_the_same_patients_and_five_times_the_noise_in_every_case(sites):
    for number in range(1, 7):
        labels = voxels(sites / "good", "labels", number)
        assert np.array_equal(voxels(sites / "noisy", "labels", number), labels)
        liver = ndimage.binary_erosion(labels == 1)
        quiet, loud = (voxels(sites / q, "images", number)[liver].std() for q in ("good", "noisy"))
        assert loud > 2.5 * quiet


def test_wrong_labels_spoil_labels_of_training_cases_and_nothing_else(sites):
    entries = listing(sites / "wrong_labels")["cases"]
    told = {number: entry.get("label") for number, entry in enumerate(entries, start=1)}
    assert sorted(kind for kind in told.values() if kind) == sorted(WRONG_KINDS)
    assert told[5] is told[6] is None
    good, spoiled = files(sites / "good"), files(sites / "wrong_labels")
    changed = {name for name in good if good[name] != spoiled[name]} - {"phantom.json"}
    assert changed == {f"labels/phantom_{number:04d}.nii.gz" for number in (1, 2, 3, 4)}


def test_a_spoiled_label_is_a_label_map_all_the_same_and_its_kind_is_what_it_says(sites):
    for number, entry in enumerate(listing(sites / "wrong_labels")["cases"][:4], start=1):
        right, wrong = (voxels(sites / q, "labels", number) for q in ("good", "wrong_labels"))
        assert wrong.dtype == np.uint8 and wrong.shape == right.shape and wrong.max() <= 6
        if entry["label"] == "missing":
            assert not wrong.any()
        elif entry["label"] == "swapped":
            assert np.array_equal(wrong > 0, right > 0) and not (wrong == right)[right > 0].any()
        else:
            assert wrong.any() and (wrong != right).sum() > 0.3 * (right > 0).sum()


def test_a_small_site_has_the_first_quarter_of_its_training_cases_under_their_numbers(sites):
    entries = listing(sites / "small")["cases"]
    assert [entry["id"][-1] for entry in entries] == ["1", "5", "6"]
    good, small = files(sites / "good"), files(sites / "small")
    assert all(good[name] == small[name] for name in small if name.endswith(".nii.gz"))


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_site_of_any_quality_is_read_and_passes_check(sites, quality):
    cases = read(sites / quality, ["ct"])
    assert len(cases) == (3 if quality == "small" else 6)
    report = check_site(SiteSettings("phantom", str(sites / quality), ("ct",), split="dataset"))
    assert not report.refused
    empty = [f for case in report.cases for f in case.problems if "holds none of" in f.message]
    assert len(empty) == (1 if quality == "wrong_labels" else 0)


@pytest.mark.parametrize(
    ("share", "train", "expected"), [(0.5, 8, 4), (0.5, 1, 1), (0.5, 3, 2), (0.0, 8, 0), (1, 5, 5)]
)
def test_the_share_of_wrong_labels_is_rounded_up_to_whole_cases(share, train, expected):
    wrong = quality_named("wrong_labels", share).wrong_cases(train, seed=0, site=1)
    assert len(wrong) == expected and set(wrong) <= set(range(1, train + 1))
    assert set(list(wrong.values())[:4]) == set(WRONG_KINDS[:expected])


def test_which_cases_are_wrong_depends_on_seed_and_site_alone():
    quality = quality_named("wrong_labels")
    first, again = (quality.wrong_cases(24, 0, 1) for _ in range(2))
    assert first == again
    assert set(quality.wrong_cases(24, 1, 1)) != set(first) != set(quality.wrong_cases(24, 0, 2))
    assert quality_named("good", 1.0).wrong_cases(24, 0, 1) == {}


def test_unknown_quality_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"'noisey'; did you mean 'noisy'.*good, noisy, wrong"):
        write_phantom_site(tmp_path / "s", "ct", COUNTS, 0, 1, quality="noisey")
    assert not list(tmp_path.iterdir())
