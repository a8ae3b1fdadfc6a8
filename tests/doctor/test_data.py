import pytest

from fedvox.data.site import SiteSettings
from fedvox.doctor.data import list_cases
from fedvox.errors import ConfigError


@pytest.fixture
def brats(tmp_path):
    """Names alone: listing opens no image."""
    folder = tmp_path / "BraTS2021_00000"
    folder.mkdir()
    for suffix in ("t1", "t1ce", "t2", "flair", "seg"):
        (folder / f"BraTS2021_00000_{suffix}.nii.gz").touch()
    return tmp_path


def test_several_modalities_per_case_are_refused_before_a_round_is_tried(brats):
    assert len(list_cases(SiteSettings("brats", str(brats), ("flair",)))) == 1
    with pytest.raises(ConfigError, match=r"2 modalities \(t1, flair\).*list one under"):
        list_cases(SiteSettings("brats", str(brats), ("t1", "flair")))
