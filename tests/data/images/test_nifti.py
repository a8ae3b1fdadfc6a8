import gzip
import os
import random
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.images.nifti import check_same_grid, load_image, load_label, save_label
from fedvox.errors import DataError

CANARY = "miller_anna_1955"
SHAPE = (8, 9, 10)
AFFINE = np.array([[-2.0, 0, 0, 5], [0, 1.5, 0, -7], [0, 0, 3.0, 11], [0, 0, 0, 1]])


def image_array() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def label_array() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)


@pytest.fixture
def image_path(tmp_path, write_nifti):
    return write_nifti(tmp_path / f"{CANARY}.nii.gz", image_array(), AFFINE)


@pytest.fixture
def label_path(tmp_path, write_nifti):
    return write_nifti(tmp_path / f"{CANARY}_label.nii.gz", label_array(), AFFINE)


def refusal(read, *arguments) -> str:
    """The message of the DataError that reading raises, after a look for a patient's name."""
    with pytest.raises(DataError) as caught:
        read(*arguments)
    text = str(caught.value)
    assert CANARY not in text and "/" not in text and "\n" not in text
    # What a traceback would print along with it must not name the file either.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_healthy_image_is_read_voxel_by_voxel(tmp_path, write_nifti, suffix):
    volume = load_image(write_nifti(tmp_path / f"a{suffix}", image_array(), AFFINE))
    assert volume.data.dtype == np.float32
    assert np.array_equal(volume.data, image_array())
    assert np.array_equal(volume.affine, AFFINE)
    assert volume.spacing == (2.0, 1.5, 3.0)


def test_slope_and_intercept_are_applied(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii", image_array(), AFFINE)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, 100], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(content)
    assert np.array_equal(load_image(path).data, 0.5 * image_array() + 100)


def test_what_nibabel_mends_in_a_header_does_not_clutter_the_terminal(
    tmp_path, write_nifti, caplog
):
    path = write_nifti(tmp_path / "a.nii", image_array(), AFFINE)
    content = bytearray(path.read_bytes())
    content[80:84] = np.array([-2], "<f4").tobytes()  # pixdim[1], which is to be above 0
    path.write_bytes(content)
    assert np.array_equal(load_image(path).affine, AFFINE)
    assert caplog.text == ""


def test_a_file_that_nobody_may_read_is_not_called_damaged(image_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    assert refusal(load_image, image_path).endswith("mend its rights")


def test_a_name_that_is_wrong_about_compression_is_told(tmp_path, image_path, label_path):
    packed, plain = tmp_path / "a.nii", tmp_path / "b.nii.gz"
    packed.write_bytes(image_path.read_bytes())
    plain.write_bytes(gzip.decompress(image_path.read_bytes()))
    assert refusal(load_image, packed).endswith("rename it so that it ends in .nii.gz")
    assert refusal(load_image, plain).endswith("rename it to .nii")
    shouted = plain.rename(tmp_path / "B.NII.GZ")
    assert refusal(load_image, shouted).endswith("rename it to .nii")


@pytest.mark.parametrize("name", ["P.NII.GZ", "p.nii.GZ", "p.Nii.Gz"])
def test_the_letter_case_of_an_ending_says_nothing_about_the_compression(
    tmp_path, image_path, name
):
    shouted = tmp_path / name
    shouted.write_bytes(image_path.read_bytes())
    assert np.array_equal(load_image(shouted).data, load_image(image_path).data)


def test_oblique_volume_is_accepted(tmp_path, write_nifti):
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, 0.2, -0.4))
    volume = load_image(write_nifti(tmp_path / "a.nii", image_array(), turn @ AFFINE))
    assert volume.spacing == pytest.approx((2.0, 1.5, 3.0), rel=1e-6)  # the header is float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_label_of_any_number_type_is_read_as_whole_numbers(tmp_path, write_nifti, dtype):
    volume = load_label(write_nifti(tmp_path / "a.nii.gz", label_array().astype(dtype), AFFINE))
    assert volume.data.dtype == np.int16
    assert np.array_equal(volume.data, label_array())


def test_empty_label_is_read(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8), AFFINE)
    assert not load_label(path).data.any()


@pytest.mark.parametrize("read", [load_image, load_label])
def test_missing_file_is_refused(tmp_path, read):
    assert "missing" in refusal(read, tmp_path / f"{CANARY}.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("read", [load_image, load_label])
def test_empty_file_is_refused(tmp_path, read, suffix):
    path = tmp_path / f"{CANARY}{suffix}"
    path.write_bytes(b"")
    assert "export it again" in refusal(read, path) or "copy it again" in refusal(read, path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("read", [load_image, load_label])
@pytest.mark.parametrize("kept", [0.02, 0.2, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(tmp_path, write_nifti, read, suffix, kept):
    path = write_nifti(tmp_path / f"{CANARY}{suffix}", label_array().astype(np.int16), AFFINE)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refusal(read, path)


def test_volume_that_was_cut_before_it_was_compressed_is_refused(image_path):
    content = gzip.decompress(image_path.read_bytes())
    image_path.write_bytes(gzip.compress(content[:-100]))
    assert "truncated" in refusal(load_image, image_path)


def test_text_in_place_of_a_volume_is_refused(tmp_path):
    path = tmp_path / f"{CANARY}.nii"
    path.write_text("patient list\n" * 100)
    refusal(load_image, path)


def test_folder_in_place_of_a_volume_is_refused(tmp_path):
    (tmp_path / f"{CANARY}.nii").mkdir()
    refusal(load_image, tmp_path / f"{CANARY}.nii")


def test_flipped_bit_of_a_compressed_file_is_refused_or_changes_no_voxel(image_path):
    healthy, content = load_image(image_path), image_path.read_bytes()
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(content)), 40):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        image_path.write_bytes(damaged)
        try:
            volume = load_image(image_path)
        except DataError:
            refused += 1
            continue
        assert np.array_equal(volume.data, healthy.data), f"bit {bit}"
        assert np.array_equal(volume.affine, healthy.affine), f"bit {bit}"
    # Only gzip's own header (time, name, system: under 5% of the bits) may change unnoticed.
    assert refused >= 36


def test_flipped_bit_of_a_header_gives_a_volume_or_a_data_error(tmp_path, write_nifti):
    path = write_nifti(tmp_path / f"{CANARY}.nii", image_array(), AFFINE)
    content = path.read_bytes()
    outcomes = set()
    for bit in random.Random(0).sample(range(8 * 348), 300):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            outcomes.add(np.isfinite(load_image(path).data).all())
        except DataError as error:
            outcomes.add("refused")
            assert CANARY not in str(error)
    assert outcomes == {True, "refused"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_image_with_voxels_that_are_not_finite_is_refused_with_their_number(
    tmp_path, write_nifti, value
):
    data = image_array().astype(np.float32)
    data[1, 2, 3] = data[4, 5, 6] = value
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", data, AFFINE)
    assert "2 voxels" in refusal(load_image, path)


def test_constant_image_is_refused(tmp_path, write_nifti):
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", np.full(SHAPE, 7, np.int16), AFFINE)
    assert "constant" in refusal(load_image, path)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 10, 2), (8, 9, 10, 1, 3), (8, 9, 1)])
@pytest.mark.parametrize("read", [load_image, load_label])
def test_volume_that_is_not_3d_is_refused(tmp_path, write_nifti, read, shape):
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", data, AFFINE)
    assert "3D" in refusal(read, path)


@pytest.mark.parametrize("read", [load_image, load_label])
def test_colour_and_complex_volumes_are_refused(tmp_path, write_nifti, read):
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for data in (colour, image_array() * 1j):
        path = write_nifti(tmp_path / f"{CANARY}.nii.gz", data, AFFINE)
        assert "colour or complex" in refusal(read, path)


@pytest.mark.parametrize("size", [1e-6, 0.04, 31.0])
def test_implausible_voxel_size_is_refused(tmp_path, write_nifti, size):
    affine = np.diag([1.0, 1.0, size, 1.0])
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", image_array(), affine)
    assert "voxel size" in refusal(load_image, path)


def test_volume_without_sform_and_qform_is_refused(tmp_path):
    image = nib.Nifti1Image(image_array(), AFFINE)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / f"{CANARY}.nii.gz")
    assert "neither sform nor qform" in refusal(load_image, tmp_path / f"{CANARY}.nii.gz")


@pytest.mark.parametrize("kept", ["sform", "qform"])
def test_one_of_sform_and_qform_is_enough(tmp_path, kept):
    image = nib.Nifti1Image(image_array(), AFFINE)
    image.set_sform(AFFINE if kept == "sform" else None, code=int(kept == "sform"))
    image.set_qform(AFFINE if kept == "qform" else None, code=int(kept == "qform"))
    nib.save(image, tmp_path / "a.nii.gz")
    # The quaternion is stored as float32.
    assert np.allclose(load_image(tmp_path / "a.nii.gz").affine, AFFINE, atol=1e-5)


def test_sheared_affine_is_refused(tmp_path, write_nifti):
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.5
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", image_array(), sheared)
    assert "perpendicular" in refusal(load_image, path)


def test_affine_that_is_not_finite_is_refused(tmp_path, write_nifti):
    broken = AFFINE.copy()
    broken[1, 3] = np.nan
    path = write_nifti(tmp_path / f"{CANARY}.nii", image_array(), AFFINE)
    content = bytearray(path.read_bytes())
    content[280:328] = broken[:3].astype("<f4").tobytes()  # srow_x, srow_y, srow_z
    path.write_bytes(content)
    refusal(load_image, path)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_label_with_fractions_is_refused(tmp_path, write_nifti, value):
    data = label_array().astype(np.float32)
    data[0, 0, 0] = value
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", data, AFFINE)
    # Rounded, the values between 0 and 5 would be those of other organs.
    assert "export it again as whole numbers" in refusal(load_label, path)


@pytest.mark.parametrize("value", [2**16 + 1, -(2**15) - 1])
def test_label_value_that_would_wrap_into_another_is_refused(tmp_path, write_nifti, value):
    data = label_array().astype(np.int32)
    data[0, 0, 0] = value
    path = write_nifti(tmp_path / f"{CANARY}.nii.gz", data, AFFINE)
    assert "32767" in refusal(load_label, path)


def test_label_on_its_image_grid_is_accepted(image_path, label_path):
    check_same_grid(load_image(image_path), load_label(label_path))


def test_label_of_another_shape_is_refused(image_path, tmp_path, write_nifti):
    path = write_nifti(tmp_path / f"{CANARY}_l.nii.gz", label_array()[:-1], AFFINE)
    text = refusal(check_same_grid, load_image(image_path), load_label(path))
    assert "(7, 9, 10)" in text and "(8, 9, 10)" in text


def test_label_with_a_flipped_affine_is_refused(image_path, tmp_path, write_nifti):
    path = write_nifti(tmp_path / "l.nii.gz", label_array(), AFFINE @ np.diag([1.0, -1.0, 1.0, 1]))
    # The far corner moves by twice the extent of the axis: 2 x 8 voxels x 1.5 mm.
    assert "24.0 mm" in refusal(check_same_grid, load_image(image_path), load_label(path))


def test_label_shifted_50_mm_is_refused(image_path, tmp_path, write_nifti):
    shifted = AFFINE.copy()
    shifted[2, 3] += 50
    path = write_nifti(tmp_path / "l.nii.gz", label_array(), shifted)
    assert "50.0 mm" in refusal(check_same_grid, load_image(image_path), load_label(path))


def test_rounding_of_affines_up_to_a_tenth_of_a_voxel_is_accepted(
    image_path, tmp_path, write_nifti
):
    for shift, fits in ((0.14, True), (0.16, False)):  # smallest voxel side: 1.5 mm
        shifted = AFFINE.copy()
        shifted[0, 3] += shift
        label = load_label(write_nifti(tmp_path / "l.nii.gz", label_array(), shifted))
        if fits:
            check_same_grid(load_image(image_path), label)
        else:
            refusal(check_same_grid, load_image(image_path), label)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_saved_label_lies_on_exactly_the_grid_of_the_image(tmp_path, suffix):
    image = nib.Nifti1Image(image_array(), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(AFFINE, code=3)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(2, 10)
    nib.save(image, tmp_path / "image.nii.gz")
    like = load_image(tmp_path / "image.nii.gz")
    save_label(tmp_path / "out" / f"l{suffix}", label_array(), like)
    saved = nib.load(tmp_path / "out" / f"l{suffix}")
    assert np.array_equal(np.asarray(saved.dataobj), label_array())
    assert saved.get_data_dtype() == np.uint8 and saved.shape == SHAPE
    assert np.array_equal(saved.affine, like.affine)
    for field in ("sform_code", "qform_code", "xyzt_units", "pixdim", "srow_x", "quatern_b"):
        assert np.array_equal(saved.header[field], like.header[field]), field
    check_same_grid(like, load_label(tmp_path / "out" / f"l{suffix}"))


def test_label_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    image_path, tmp_path, monkeypatch
):
    like, out = load_image(image_path), tmp_path / "out" / "l.nii.gz"
    save_label(out, label_array(), like)
    before = out.read_bytes()

    def fail(image, path):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(nib, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_label(out, np.zeros(SHAPE), like)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def contradictory(path: Path, qform: bool, sform: float = 1.0) -> Path:
    """A volume of 2 by 1.5 by 3 mm whose sform says 1 mm, as in ACDC, or another size."""
    image = nib.Nifti1Image(image_array(), AFFINE)
    image.set_qform(AFFINE if qform else None, code=int(qform))
    header = image.header
    header["pixdim"][1:4] = (2.0, 1.5, 3.0)
    rows = np.diag([-sform, sform, sform, 1.0])
    header["srow_x"], header["srow_y"], header["srow_z"] = rows[:3]
    header["sform_code"] = 1
    nib.save(nib.Nifti1Image(image.dataobj, None, header), path)
    return path


def test_qform_holds_where_the_sform_contradicts_the_voxel_size(tmp_path):
    path = contradictory(tmp_path / "a.nii.gz", qform=True)
    assert nib.affines.voxel_sizes(nib.load(path).affine) == pytest.approx((1, 1, 1))
    # The quaternion is stored as float32.
    assert np.allclose(load_image(path).affine, AFFINE, atol=1e-5)
    assert load_image(path).spacing == pytest.approx((2.0, 1.5, 3.0), rel=1e-6)


@pytest.mark.parametrize(("qform", "sform"), [(False, 1.0), (True, 2.5)])
def test_other_contradiction_is_refused(tmp_path, qform, sform):
    path = contradictory(tmp_path / f"{CANARY}.nii.gz", qform, sform)
    text = refusal(load_image, path)
    assert f"{[sform] * 3} mm is not the header's [2.0, 1.5, 3.0] mm" in text


def test_broken_quaternion_cannot_stand_in(tmp_path):
    path = contradictory(tmp_path / f"{CANARY}.nii", qform=True)
    content = bytearray(path.read_bytes())
    content[256:268] = np.array([3.0, 3.0, 3.0], "<f4").tobytes()  # quatern_b, _c, _d
    path.write_bytes(content)
    assert "neither sform nor qform can be right" in refusal(load_image, path)


def test_rounded_voxel_size_is_no_contradiction(tmp_path):
    image = nib.Nifti1Image(image_array(), AFFINE)
    image.header["pixdim"][1:4] = (2.01, 1.49, 3.02)
    nib.save(image, tmp_path / "a.nii.gz")
    assert np.array_equal(load_image(tmp_path / "a.nii.gz").affine, AFFINE)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "scan.nii.gz")
    with pytest.raises(DataError, match="no regular file"):
        load_image(tmp_path / "scan.nii.gz")


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "scan.nii.gz").symlink_to("scan.nii.gz")
    with pytest.raises(DataError, match="a link that leads nowhere"):
        load_image(tmp_path / "scan.nii.gz")


def test_a_header_that_promises_more_than_the_file_holds_takes_no_memory(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.float32)
    header.set_sform(np.diag([1.0, 1.0, 1.0, 1.0]), 1)
    header["vox_offset"] = 352
    (tmp_path / "scan.nii").write_bytes(header.binaryblock + b"\0" * 4)
    with pytest.raises(DataError, match="bytes are missing"):
        load_image(tmp_path / "scan.nii")


@pytest.mark.parametrize(
    ("shape", "words"),
    [((8, 8, 8, 2), "save one volume of it"), ((8, 8), "all slices"), ((8, 8, 1), "all slices")],
)
def test_what_is_no_single_volume_has_a_remedy_of_its_own(tmp_path, write_nifti, shape, words):
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    text = refusal(load_image, write_nifti(tmp_path / f"{CANARY}.nii.gz", data))
    assert "a single 3D volume is needed" in text and words in text


def test_a_label_with_nan_is_told_from_one_with_fractions(tmp_path):
    data = np.zeros((3, 3, 3), np.float32)
    data[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "label.nii")
    with pytest.raises(DataError, match="NaN or infinite"):
        load_label(tmp_path / "label.nii")
