"""Training, check, plan and scoring take each voxel of overlapping masks for the same organ."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.case import MASK, Case, LabelFile
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.check.case import examine_case
from fedvox.data.check.organs import organ_voxels, read_organs
from fedvox.data.organs import CANONICAL, IGNORE, IGNORED
from fedvox.data.settings import DataSettings
from fedvox.metrics.annotated import score_annotated
from fedvox.metrics.hd95 import MAX_DIRECTED
from fedvox.planning.fingerprint import FEATURES, ORGAN_HU, case_fingerprint

SPACING = (3.0, 3.0, 4.0)  # as write_nifti stores
JOBS = (("spleen", "liver"), ("liver_tumour", "liver"), ("liver_tumour",), ("stomach", "pancreas"))


@pytest.fixture
def overlapping(tmp_path, write_nifti):
    """A function from a seed and structures to a case of one random box per structure."""

    def make(seed: int, *structures: str) -> Case:
        source = np.random.default_rng(seed)
        image = source.integers(-100, 200, (9, 10, 11)).astype(np.int16)
        image[0] = -1000
        files = []
        for structure in structures:
            mask = np.zeros(image.shape, np.uint8)
            low = source.integers(1, 4, 3)
            mask[tuple(slice(a, a + n) for a, n in zip(low, source.integers(2, 6, 3)))] = 1
            path = write_nifti(tmp_path / f"{seed}_{structure}.nii.gz", mask)
            files.append(LabelFile(path, {1: structure}, MASK))
        return Case("a", "a", {"ct": write_nifti(tmp_path / f"{seed}.nii.gz", image)}, tuple(files))

    return make


def stored_labels(case: Case, organs: tuple[str, ...], folder: Path) -> np.ndarray:
    """What training and scoring are given, on the scan's grid."""
    settings = DataSettings(organs=organs, spacing=SPACING, patch=(8, 8, 8))
    return prepare_case(case, settings, folder, b"key").tensor("stored_label").numpy()


@pytest.mark.parametrize("organs", JOBS)
@pytest.mark.parametrize("seed", range(2))
def test_each_voxel_is_one_organ_for_all_of_them(overlapping, tmp_path, organs, seed):
    case = overlapping(seed, "liver", "liver_tumour", "spleen", "stomach", "pancreas", IGNORE)
    trained = stored_labels(case, organs, tmp_path / "cache")

    seen = read_organs(case, organs)
    for value, organ in enumerate(organs, start=1):
        assert np.array_equal(seen.data == CANONICAL.index(organ) + 1, trained == value)
    assert seen.ignored == (trained == IGNORED).sum() > 0
    assert not seen.data[trained == IGNORED].any()

    found = {o: n for o, n in organ_voxels(seen.data).items() if o in organs}
    scores = score_annotated(trained, trained, organs, case.annotated(), SPACING, 2.0, MAX_DIRECTED)
    assert found == {s.organ: s.gt_voxels for s in scores if s.gt_voxels}

    volumes = examine_case(case, organs, pictures=False).organs_ml
    voxel_ml = np.prod(SPACING) / 1000
    assert {o: volumes[o] for o in found} == pytest.approx(
        {o: n * voxel_ml for o, n in found.items()}
    )

    image = np.asarray(nib.load(case.images["ct"]).dataobj)
    inside = image[(trained > 0) & (trained != IGNORED)]
    expected = FEATURES[ORGAN_HU].histogram(inside) / inside.size
    np.testing.assert_allclose(case_fingerprint(case, organs).organ_hu, expected)


def test_a_liver_that_covers_its_tumour_keeps_it_where_the_job_does_not_tell_them_apart(
    overlapping, tmp_path
):
    case = overlapping(0, "liver", "liver_tumour")
    liver, tumour = (np.asarray(nib.load(f.path).dataobj) > 0 for f in case.labels)
    whole = int((liver | tumour).sum())
    assert organ_voxels(read_organs(case, ("liver",)).data) == {"liver": whole}
    assert int((stored_labels(case, ("liver",), tmp_path / "cache") == 1).sum()) == whole
    apart = {"liver": int((liver & ~tumour).sum()), "liver_tumour": int(tumour.sum())}
    assert organ_voxels(read_organs(case).data) == apart


def test_what_the_job_does_not_train_is_shown_beside_it_and_takes_nothing(overlapping):
    case = overlapping(0, "spleen", "stomach")
    spleen, stomach = (np.asarray(nib.load(f.path).dataobj) > 0 for f in case.labels)
    common = int((spleen & stomach).sum())
    assert common
    alone, job = read_organs(case), read_organs(case, ("spleen",))
    assert alone.overlaps == {("spleen", "stomach"): common}
    assert job.overlaps == {("stomach", "spleen"): common}
    assert organ_voxels(job.data) == {
        "spleen": int(spleen.sum()),
        "stomach": int(stomach.sum()) - common,
    }
    assert organ_voxels(alone.data)["spleen"] == int(spleen.sum()) - common


def test_a_plan_does_not_open_what_holds_nothing_of_the_job(overlapping):
    case = overlapping(0, "spleen", "stomach")
    case.labels[1].path.write_bytes(b"no volume")
    assert case_fingerprint(case, ("spleen",)).organ_hu is not None
