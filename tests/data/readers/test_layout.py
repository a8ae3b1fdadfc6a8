import pytest

from fedvox.data.readers.layout import (
    check_modalities,
    folders_below,
    named_volume,
    volumes_by_name,
)
from fedvox.errors import ConfigError, DataError


def test_foreign_modality_is_refused_with_the_known_ones():
    check_modalities(["mr"], ("ct", "mr"), "CHAOS")
    with pytest.raises(ConfigError, match="CHAOS holds ct, mr, the site file lists t1; correct"):
        check_modalities(["mr", "t1"], ("ct", "mr"), "CHAOS")
    with pytest.raises(ConfigError, match="lists nothing"):
        check_modalities([], ("ct",), "LiTS")


def test_folders_are_walked_by_name_down_to_the_depth(tmp_path):
    for name in ("b/x/deep", "a", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in folders_below(tmp_path, 2)]
    assert found == [".", "a", "b", "b/x"]


def test_walk_follows_links_and_ends_in_a_loop_of_them(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(list(folders_below(tmp_path, 4))) == 5


@pytest.mark.parametrize(
    ("present", "found"),
    [
        (["a.nii"], "a.nii"),
        (["a.nii.gz"], "a.nii.gz"),
        (["a.nii", "a.nii.gz"], "a.nii.gz"),
        ([], "a.nii.gz"),
    ],
)
def test_compressed_volume_comes_first(tmp_path, present, found):
    for name in present:
        (tmp_path / name).touch()
    assert named_volume(tmp_path, "a").name == found


def test_one_name_with_both_endings_is_refused(tmp_path):
    (tmp_path / "a.nii").touch()
    assert volumes_by_name(tmp_path) == {"a": tmp_path / "a.nii"}
    (tmp_path / "a.nii.gz").touch()
    with pytest.raises(DataError, match=r"1 volumes lie there as \.nii and as \.nii\.gz"):
        volumes_by_name(tmp_path)
