"""Where voxels lie is read from a header's raw fields, and a header that lies is not believed."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.images.nifti import check_same_grid, load_image, load_label, on_axes_of, save_label
from fedvox.errors import DataError

SHAPE = (24, 22, 12)
AFFINE = np.diag([-2.0, -1.5, 3.0, 1.0])
AFFINE[:3, 3] = 22, 15, -16


def scan(affine: np.ndarray = AFFINE, sform: int = 1, qform: int = 1) -> nib.Nifti1Image:
    data = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    return image


def put(image: nib.Nifti1Image, **fields: object) -> bytes:
    """The file of an image with raw header fields, which nibabel would mend if it were asked."""
    content = image.to_bytes()
    header = nib.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        field = header[name]
        field[...] = value
        header.structarr[name] = field
    return header.binaryblock + content[348:]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "scan.nii"
    path.write_bytes(content)
    return path


def pixdim(*sizes: float, qfac: float = 1.0) -> list[float]:
    return [qfac, *sizes, 1, 1, 1, 1]


LYING: dict[str, tuple[Callable[[], bytes], str]] = {
    "size 0": (
        lambda: put(scan(sform=0), pixdim=pixdim(2, 1.5, 0)),
        r"\[2.0, 1.5, 0.0\] mm is not",
    ),
    "size 0 beside an sform": (lambda: put(scan(), pixdim=pixdim(2, 0, 3)), "is not plausible"),
    "size NaN": (lambda: put(scan(sform=0), pixdim=pixdim(2, np.nan, 3)), "is not plausible"),
    "size infinite": (lambda: put(scan(), pixdim=pixdim(2, np.inf, 3)), "is not plausible"),
    "size tiny": (lambda: put(scan(sform=0), pixdim=pixdim(2, 1.5, 1e-4)), "is not plausible"),
    "size huge": (lambda: put(scan(sform=0), pixdim=pixdim(2, 1.5, 400)), "is not plausible"),
    "size below 0": (lambda: put(scan(sform=0), pixdim=pixdim(2, -1.5, 3)), "known sign and size"),
    "qfac -2": (lambda: put(scan(sform=0), pixdim=pixdim(2, 1.5, 3, qfac=-2)), "known sign"),
    "qfac NaN": (lambda: put(scan(sform=0), pixdim=pixdim(2, 1.5, 3, qfac=np.nan)), "known sign"),
    "no rotation": (lambda: put(scan(sform=0), quatern_b=0.9, quatern_c=0.9), "no rotation"),
    "sform without a column": (lambda: put(scan(), srow_z=[0, 0, 0, -16]), "is not the header's"),
    "sform of zeros": (
        lambda: put(scan(), srow_x=[0] * 4, srow_y=[0] * 4, srow_z=[0] * 4),
        "is not the header's",
    ),
    "sform NaN": (lambda: put(scan(), srow_y=[0, np.nan, 0, 0]), "NaN or infinity"),
    "unknown sform code": (lambda: put(scan(), sform_code=9), "sform code is 9, which NIfTI lacks"),
    "unknown qform code": (lambda: put(scan(), qform_code=-1), "qform code is -1"),
    "metres that are mm": (lambda: put(scan(), xyzt_units=1), "set xyzt_units to mm"),
    "micrometres that are mm": (lambda: put(scan(), xyzt_units=3), "set xyzt_units to mm"),
    "slope NaN": (lambda: put(scan(), scl_slope=np.nan), "scaling .scl_slope nan"),
    "slope infinite": (lambda: put(scan(), scl_slope=np.inf), "scl_slope inf"),
    "intercept NaN": (lambda: put(scan(), scl_inter=np.nan), "scl_inter nan"),
    "slope 0 with an intercept": (
        lambda: put(scan(), scl_slope=0, scl_inter=-1024),
        "an intercept of -1024 and a slope of 0",
    ),
    "half of the slices": (lambda: put(scan(), dim=[3, *SHAPE[:2], 6, 1, 1, 1, 1]), "bytes more"),
    "numbers of half the size": (lambda: put(scan(), datatype=2, bitpix=8), "bytes more"),
    "voxels within the header": (lambda: put(scan(), vox_offset=0), "vox_offset 0"),
    "a number type of no NIfTI": (
        lambda: put(scan(), datatype=9999),
        "datatype 9999. is none that",
    ),
    "no number type": (lambda: put(scan(), datatype=0), "datatype 0. is none that"),
    "away from any scanner": (lambda: put(scan(), srow_x=[-2, 0, 0, 1e30]), "1e.30 mm away"),
    "voxels within the header's end": (lambda: put(scan(), vox_offset=16), "vox_offset 16"),
    "voxels nowhere": (lambda: put(scan(), vox_offset=np.nan), "vox_offset nan is no whole number"),
    "voxels within a byte": (lambda: put(scan(), vox_offset=352.5), "vox_offset 352.5 is no whole"),
}


@pytest.mark.parametrize("kind", LYING)
def test_a_header_that_lies_is_refused(tmp_path, kind):
    make, words = LYING[kind]
    with pytest.raises(DataError, match=words):
        load_image(write(tmp_path, make()))


def test_a_unit_set_as_the_remedy_says_gives_the_scan(tmp_path):
    assert load_image(write(tmp_path, put(scan(), xyzt_units=2))).spacing == (2.0, 1.5, 3.0)


def test_a_slope_set_as_the_remedy_says_gives_the_intercept(tmp_path):
    volume = load_image(write(tmp_path, put(scan(), scl_slope=1, scl_inter=-1024)))
    assert np.array_equal(volume.data, np.asarray(scan().dataobj) - 1024)


@pytest.mark.parametrize(("unit", "factor"), [(1, 1e-3), (3, 1e3)])
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_metres_and_micrometres_are_read_in_mm_and_kept_in_the_result(tmp_path, unit, factor, form):
    affine = AFFINE.copy()
    affine[:3] *= factor
    codes = {"sform": int(form == "sform"), "qform": int(form == "qform")}
    volume = load_image(write(tmp_path, put(scan(affine, **codes), xyzt_units=unit)))
    assert volume.spacing == pytest.approx((2.0, 1.5, 3.0), rel=1e-5)
    assert np.allclose(volume.affine, AFFINE, atol=1e-4)
    save_label(tmp_path / "label.nii.gz", np.ones(SHAPE, np.uint8), volume)
    check_same_grid(volume, load_label(tmp_path / "label.nii.gz"))


@pytest.mark.parametrize("fields", [{"pixdim": pixdim(2, 1.5, 3, qfac=0)}, {"scl_slope": 0}])
def test_zeros_that_nifti_defines_are_no_lie(tmp_path, fields):
    right = np.diag([2.0, 1.5, 3.0, 1.0])
    volume = load_image(write(tmp_path, put(scan(right, sform=0), **fields)))
    assert np.allclose(volume.affine, right)
    assert np.array_equal(volume.data, np.asarray(scan().dataobj))


@pytest.mark.parametrize("qfac", [2, 4])  # ANALYZE's programs write the number of axes there
def test_a_qfac_above_0_is_1_as_all_programs_read_it(tmp_path, qfac):
    volume = load_image(
        write(tmp_path, put(scan(AFFINE, sform=0), pixdim=pixdim(2, 1.5, 3, qfac=qfac)))
    )
    assert np.allclose(volume.affine, AFFINE)


def test_a_size_below_0_does_not_matter_where_an_sform_holds(tmp_path):
    volume = load_image(write(tmp_path, put(scan(qform=0), pixdim=pixdim(-2, 1.5, 3))))
    assert np.allclose(volume.affine, AFFINE) and volume.conflict == ""


@pytest.mark.parametrize("seed", range(8))
def test_the_qform_is_that_of_nibabel(tmp_path, seed):
    rng = np.random.default_rng(seed)
    turn = nib.eulerangles.euler2mat(*rng.uniform(-3, 3, 3))
    affine = nib.affines.from_matvec(turn @ np.diag([2.0, 1.5, (-1) ** seed * 3.0]), [9, 8, 7])
    image = scan(affine, sform=0)
    volume = load_image(write(tmp_path, image.to_bytes()))
    assert np.allclose(volume.affine, image.header.get_qform(), atol=1e-5)


def turned(degrees: float) -> np.ndarray:
    matrix = nib.eulerangles.euler2mat(z=np.radians(degrees))
    return nib.affines.from_matvec(matrix) @ AFFINE


def moved(millimetres: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[2, 3] += millimetres
    return affine


MIRRORED = np.diag([-1.0, 1, 1, 1]) @ AFFINE
CONFLICTS = {
    "mirrored": (MIRRORED, "mirrored"),
    "mirrored along z": (AFFINE @ np.diag([1.0, 1, -1, 1]), "mirrored"),
    "rotated": (turned(30), "rotated by 30 degrees"),
    "upside down": (turned(180), "rotated by 180 degrees"),
    "100 mm apart": (moved(100), "by up to 100.0 mm, shifted by 100.0 mm"),
    "3 mm apart": (moved(3), "shifted by 3.0 mm"),
    "rotated and apart": (
        turned(30) + moved(100) - AFFINE,
        "rotated by 30 degrees, shifted by 100",
    ),
}


def conflicting(qform: np.ndarray, code: int = 1) -> nib.Nifti1Image:
    image = scan()
    image.set_qform(qform, 1)
    image.set_sform(AFFINE, code)
    return image


@pytest.mark.parametrize("kind", CONFLICTS)
@pytest.mark.parametrize("code", [1, 2])
def test_forms_that_contradict_each_other_are_told_and_the_sform_holds(tmp_path, kind, code):
    qform, words = CONFLICTS[kind]
    volume = load_image(write(tmp_path, conflicting(qform, code).to_bytes()))
    assert np.allclose(volume.affine, AFFINE, atol=1e-5)
    assert words in volume.conflict and volume.conflict.endswith("the sform is used")


@pytest.mark.parametrize("keep", ["sform", "qform"])
@pytest.mark.parametrize("kind", CONFLICTS)
def test_storing_one_form_as_both_ends_the_conflict(tmp_path, kind, keep):
    image = conflicting(CONFLICTS[kind][0])
    right = image.get_sform() if keep == "sform" else image.get_qform()
    image.set_sform(right, 1)
    image.set_qform(right, 1)
    volume = load_image(write(tmp_path, image.to_bytes()))
    assert volume.conflict == "" and np.allclose(volume.affine, right, atol=1e-4)


@pytest.mark.parametrize(
    "qform", [moved(0.3), turned(0.2), AFFINE], ids=["0.3 mm", "0.2°", "equal"]
)
def test_rounding_is_no_conflict(tmp_path, qform):
    assert load_image(write(tmp_path, conflicting(qform).to_bytes())).conflict == ""


def test_a_qform_that_is_none_is_told_where_the_sform_holds(tmp_path):
    volume = load_image(write(tmp_path, put(scan(), quatern_b=0.9, quatern_c=0.9)))
    assert "the qform is no rotation" in volume.conflict
    assert np.allclose(volume.affine, AFFINE)


def test_a_form_without_code_contradicts_nothing(tmp_path):
    image = conflicting(MIRRORED)
    image.header["qform_code"] = 0
    assert load_image(write(tmp_path, image.to_bytes())).conflict == ""


AXES = ["LPS", "RAS", "LAS", "RPS", "LPI", "SRA", "PIL", "ASL"]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_a_label_of_other_axes_is_turned_onto_its_image(tmp_path, axes, degrees):
    image = load_image(write(tmp_path, scan(turned(degrees)).to_bytes()))
    label = nib.Nifti1Image(np.random.default_rng(1).integers(0, 3, SHAPE, np.uint8), image.affine)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes)
    )
    path = write(tmp_path, label.as_reoriented(change).to_bytes())
    read = on_axes_of(image, load_label(path))
    check_same_grid(image, read)
    assert np.array_equal(read.data, np.asarray(label.dataobj))


def test_a_label_that_lies_elsewhere_is_not_turned_into_place(tmp_path):
    image = load_image(write(tmp_path, scan().to_bytes()))
    label = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE @ np.diag([1.0, -1, 1, 1]))
    read = on_axes_of(image, load_label(write(tmp_path, label.to_bytes())))
    with pytest.raises(
        DataError, match="mm off its image; export it again on the image's own grid"
    ):
        check_same_grid(image, read)


def test_a_few_bytes_after_the_voxels_are_filling(tmp_path):
    volume = load_image(write(tmp_path, scan().to_bytes() + bytes(512)))
    assert np.array_equal(volume.data, np.asarray(scan().dataobj))
