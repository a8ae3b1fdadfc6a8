import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from fedvox.data.images.dicom import load_series
from fedvox.data.images.scans import is_series
from fedvox.errors import DataError

SHAPE = (9, 8, 7)
COSINE, SINE = np.cos(0.3), np.sin(0.3)
TURNED = np.array(  # axes of 2, 1.5 and 5 mm, rotated about the long axis of the body
    [
        [-2 * COSINE, 1.5 * SINE, 0, 40],
        [-2 * SINE, -1.5 * COSINE, 0, 30],
        [0, 0, 5, -100],
        [0, 0, 0, 1],
    ]
)


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1500, SHAPE).astype(np.int16)


def refusal(folder) -> str:
    """The message of the refusal, which must not name the patient or a file."""
    with pytest.raises(DataError) as caught:
        load_series(folder)
    text = str(caught.value)
    assert "Miller" not in text and "IMG" not in text and "/" not in text and "\n" not in text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text


def canonical(data, affine):
    image = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    return np.asarray(image.dataobj), image.affine


@pytest.mark.parametrize("affine", [TURNED, np.diag([2.0, 2.5, -4.0, 1.0])])
def test_series_lies_where_the_same_volume_in_nifti_lies(tmp_path, write_series, array, affine):
    volume = load_series(write_series(tmp_path, array, affine))
    data, found = canonical(volume.data, volume.affine)
    expected, where = canonical(array.astype(np.float32), affine)
    assert np.array_equal(data, expected)
    # NIfTI keeps the affine in float32: 100 mm to 1e-5.
    assert np.allclose(found, where, atol=1e-4)
    assert np.allclose(volume.spacing, np.linalg.norm(affine[:3, :3], axis=0), atol=1e-4)


def test_names_of_the_files_do_not_order_the_slices(tmp_path, write_series, array):
    names = [f"{(5 * place) % 7}.dcm" for place in range(7)]
    plain = load_series(write_series(tmp_path / "plain", array))
    mixed = load_series(write_series(tmp_path / "mixed", array, names=names))
    assert np.array_equal(plain.data, mixed.data) and np.array_equal(plain.affine, mixed.affine)
    for number, place in enumerate(mixed.slices):
        slice_of_file = names.index(f"{number}.dcm")
        assert np.array_equal(mixed.data[:, :, place], array[:, :, slice_of_file])


def test_files_are_ordered_by_the_numbers_in_their_names(tmp_path, write_series, array):
    long = np.concatenate([array, array + 1], axis=2)
    volume = load_series(write_series(tmp_path, long, names=[f"I{place}" for place in range(14)]))
    assert volume.slices in (tuple(range(14)), tuple(range(14))[::-1])


def test_rescale_slope_and_intercept_give_hounsfield_units(tmp_path, write_series, array):
    even = array - array % 2
    volume = load_series(write_series(tmp_path, even, slope=2.0, intercept=-1000.0))
    assert volume.data.dtype == np.float32
    assert np.array_equal(np.sort(volume.data, axis=None), np.sort(even, axis=None))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_series_gives_the_same_voxels(tmp_path, write_series, syntax):
    def compress(dataset, place):
        dataset.compress(syntax, generate_instance_uid=False)

    array = np.random.default_rng(0).integers(-1000, 1500, (40, 36, 4)).astype(np.int16)
    packed = write_series(tmp_path / "packed", array, change=compress)
    plain = write_series(tmp_path / "plain", array)
    assert np.array_equal(load_series(packed).data, load_series(plain).data)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_byte_order_gives_the_same_voxels(tmp_path, write_series, array, syntax):
    def other(dataset, place):
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()

    plain = load_series(write_series(tmp_path / "plain", array))
    volume = load_series(write_series(tmp_path / "odd", array, change=other))
    assert np.array_equal(volume.data, plain.data) and not volume.lossy


def as_jpeg(dataset, place):
    """Baseline JPEG, 8 bits: 10 HU a step."""
    grey = np.clip(dataset.pixel_array / 10, 0, 255).astype(np.uint8)
    frame = io.BytesIO()
    Image.fromarray(grey).save(frame, "JPEG", quality=95)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.RescaleSlope = 10
    encapsulated(dataset, JPEGBaseline8Bit, frame.getvalue())


def encapsulated(dataset, syntax, frame: bytes):
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True


def test_baseline_jpeg_is_read_as_nearly_what_was_compressed(tmp_path, write_series):
    ramp = np.linspace(-1000, 1000, 40 * 36 * 3).reshape(3, 36, 40).T.astype(np.int16)
    plain = load_series(write_series(tmp_path / "plain", ramp))
    volume = load_series(write_series(tmp_path / "jpeg", ramp, change=as_jpeg))
    # A step is 10 HU; quality 95 changes a smooth picture by a few steps.
    assert np.abs(volume.data - plain.data).max() < 60
    assert volume.lossy and not plain.lossy


def nearly_lossless(dataset, place):
    dataset.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)


def once_lossy(dataset, place):
    dataset.LossyImageCompression = "01"


@pytest.mark.parametrize(("change", "error"), [(nearly_lossless, 2), (once_lossy, 0)])
def test_loss_is_told_by_the_compression_and_by_the_header(
    tmp_path, write_series, array, change, error
):
    plain = load_series(write_series(tmp_path / "plain", array))
    volume = load_series(write_series(tmp_path / "lossy", array, change=change))
    assert np.abs(volume.data - plain.data).max() <= error
    assert volume.lossy


def test_compression_without_a_decoder_is_called_by_its_name(tmp_path, write_series, array):
    def film(dataset, place):
        encapsulated(dataset, MPEG2MPML, bytes(100))

    text = refusal(write_series(tmp_path, array, change=film))
    assert "nothing here decodes DICOM compressed as 'MPEG2" in text and "export" in text


def test_damaged_compressed_frame_is_refused(tmp_path, write_series):
    def damage(dataset, place):
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        if place == 3:
            encapsulated(dataset, JPEG2000Lossless, bytes(100))

    wide = np.random.default_rng(0).integers(-1000, 1500, (40, 36, 5)).astype(np.int16)
    assert "damaged" in refusal(write_series(tmp_path, wide, change=damage))


def test_enhanced_file_of_many_frames_is_refused_with_what_to_do(tmp_path, write_series, array):
    def enhanced(dataset, place):
        dataset.SOPClassUID = EnhancedMRImageStorage
        dataset.NumberOfFrames = 4
        dataset.PixelData = dataset.PixelData * 4
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing

    text = refusal(write_series(tmp_path, array[:, :, :1], change=enhanced))
    assert text.endswith("holds many frames; export single slices, or NIfTI")


def test_every_slice_has_a_rescale_slope_of_its_own(tmp_path, write_series, array):
    def own_slope(dataset, place):
        stored = np.frombuffer(dataset.PixelData, np.uint16)
        dataset.RescaleSlope = place + 1
        dataset.PixelData = (stored // (place + 1)).astype(np.uint16).tobytes()

    stored = array.astype(np.int32) + 1024
    steps = np.arange(1, SHAPE[2] + 1)
    expected = stored // steps * steps - 1024
    volume = load_series(write_series(tmp_path, array, change=own_slope))
    ordered = volume.data[:, :, list(volume.slices)]
    assert np.array_equal(ordered, expected)


def test_localizer_in_the_same_series_is_refused_with_the_number_of_its_slices(
    tmp_path, write_series, array
):
    def localizer(dataset, place):
        if place >= 5:
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    text = refusal(write_series(tmp_path, array, change=localizer))
    assert "2 of 7 DICOM slices lie in another direction" in text


def test_slices_of_several_sizes_are_refused(tmp_path, write_series, array):
    def smaller(dataset, place):
        if place == 2:
            dataset.Rows -= 1
            dataset.PixelData = dataset.PixelData[: dataset.Rows * dataset.Columns * 2]

    text = refusal(write_series(tmp_path, array, change=smaller))
    assert "have 2 sizes" in text


def test_several_numbers_in_a_field_of_one_are_refused(tmp_path, write_series, array):
    def several(dataset, place):
        dataset.Rows = [dataset.Rows, 1]

    text = refusal(write_series(tmp_path, array, change=several))
    assert "(Rows is missing or no single number); export the series again" in text


@pytest.mark.parametrize("place", [1, 3, 5])
def test_missing_slice_is_refused(tmp_path, write_series, array, place):
    write_series(tmp_path, array)
    (tmp_path / f"IMG-{place:04d}.dcm").unlink()
    assert "slices are missing between the others: 1, where those lie 4.00 mm" in refusal(tmp_path)


def test_slice_twice_is_refused(tmp_path, write_series, array):
    write_series(tmp_path, array)
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "IMG-0003.dcm").read_bytes())
    assert "among the 8 DICOM slices are copies of others: 1; take" in refusal(tmp_path)
    (tmp_path / "copy.dcm").unlink()  # as the remedy says
    assert load_series(tmp_path).data.shape == SHAPE


def move(axis: int, millimetres: float):
    """Moves slice k by k times a distance."""

    def change(dataset, place):
        position = [float(value) for value in dataset.ImagePositionPatient]
        position[axis] += place * millimetres
        dataset.ImagePositionPatient = [float(f"{value:.10g}") for value in position]

    return change


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_no_gap(tmp_path, write_series, array):
    def rounded(dataset, place):
        dataset.ImagePositionPatient = [round(float(v), 1) for v in dataset.ImagePositionPatient]

    affine = np.diag([1.0, 1.0, 1.25, 1.0])
    volume = load_series(write_series(tmp_path, array, affine, change=rounded))
    assert volume.spacing[2] == pytest.approx(1.25, rel=0.02)


def test_tilted_gantry_is_refused(tmp_path, write_series, array):
    write_series(tmp_path, array, change=move(1, 0.5))  # 0.5 mm of 4 mm: 7 degrees
    assert "shifted by up to 3.0 mm" in refusal(tmp_path)


def test_small_tilt_that_adds_up_is_refused(tmp_path, write_series):
    long = np.random.default_rng(0).integers(-1000, 1000, (4, 4, 60)).astype(np.int16)
    write_series(tmp_path, long, change=move(1, 0.1))  # 1.4 degrees, which highdicom lets pass
    assert "tilted gantry" in refusal(tmp_path)


def test_two_series_in_one_folder_are_refused(tmp_path, write_series, array):
    def other(dataset, place):
        dataset.SeriesInstanceUID = f"1.2.5.{place % 2}"

    assert "holds 2 DICOM series" in refusal(write_series(tmp_path, array, change=other))


def scrambled(dataset, place):
    dataset.SeriesInstanceUID = f"1.2.5.{place}"
    dataset.FrameOfReferenceUID = f"1.2.6.{place}"


def untouched(dataset, place):
    pass


def test_identifiers_of_their_own_in_every_file_do_not_divide_a_series(
    tmp_path, write_series, array
):
    plain = load_series(write_series(tmp_path / "plain", array))
    volume = load_series(write_series(tmp_path / "odd", array, change=scrambled))
    assert np.array_equal(volume.data, plain.data)


def test_files_of_several_numbered_series_are_not_one(tmp_path, write_series, array):
    def numbered(dataset, place):
        scrambled(dataset, place)
        dataset.SeriesNumber = place

    assert "holds 7 DICOM series" in refusal(write_series(tmp_path, array, change=numbered))


def test_folder_without_dicom_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    assert "holds no DICOM image" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["dcmread", "iterdir"])
def test_a_series_that_nobody_may_read_is_not_called_damaged(
    tmp_path, write_series, array, monkeypatch, name
):
    series = write_series(tmp_path / "series", array)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", "name")

    monkeypatch.setattr(pydicom if name == "dcmread" else Path, name, refuse)
    assert refusal(series).endswith("mend its rights")


def test_other_files_beside_the_series_are_left_alone(tmp_path, write_series, array):
    write_series(tmp_path, array)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 200)
    report = pydicom.dcmread(tmp_path / "IMG-0000.dcm")
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # a text report
    del report.PixelData
    report.save_as(tmp_path / "report.dcm")
    (tmp_path / "thumbnails").mkdir()
    assert load_series(tmp_path).data.shape == SHAPE


@pytest.mark.parametrize("place", [3, 6])  # a lost last slice leaves no gap
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6, 0.95])
def test_damaged_file_is_refused(tmp_path, write_series, array, share, place):
    path = write_series(tmp_path, array) / f"IMG-{place:04d}.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("NumberOfFrames", 2, "many frames"),
        ("SamplesPerPixel", 3, "coloured"),
        ("ImagePositionPatient", None, "do not say where they lie"),
        ("ImageOrientationPatient", None, "do not say where they lie"),
        ("PixelSpacing", None, "do not say how large a pixel is"),
        ("PixelSpacing", [0, 0], "do not say how large a pixel is"),
    ],
)
def test_other_forms_of_dicom_are_refused(tmp_path, write_series, array, field, value, words):
    def change(dataset, place):
        setattr(dataset, field, value)

    assert words in refusal(write_series(tmp_path, array, change=change))


def test_single_slice_is_no_volume(tmp_path, write_series, array):
    assert "a single 3D volume is needed" in refusal(write_series(tmp_path, array[:, :, :1]))


def test_slices_of_other_directions_are_refused(tmp_path, write_series, array):
    def turned(dataset, place):
        if place == 2:
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    refusal(write_series(tmp_path, array, change=turned))


def test_reading_prints_no_header_field(tmp_path, write_series, array, caplog, recwarn):
    def odd(dataset, place):
        dataset.SeriesInstanceUID = "Miller^Anna"

    folder = write_series(tmp_path, array, change=odd)
    recwarn.clear()
    caplog.clear()
    load_series(folder)
    assert "Miller" not in caplog.text
    assert not any("Miller" in str(warning.message) for warning in recwarn)


def written(folder, source, **options):
    """The files of a series, written anew without preamble and ending."""
    folder.mkdir()
    for path in source.iterdir():
        dataset = pydicom.dcmread(path)
        if not options:
            (folder / path.stem).write_bytes(path.read_bytes()[132:])
            continue
        bare = pydicom.Dataset({tag: element for tag, element in dataset.items()})
        bare.save_as(folder / path.stem, enforce_file_format=False, **options)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"implicit_vr": True, "little_endian": True},
        {"implicit_vr": False, "little_endian": True},
    ],
    ids=["meta group first", "implicit", "explicit"],
)
def test_files_without_preamble_are_read(tmp_path, write_series, array, options):
    source = write_series(tmp_path / "plain", array)
    bare = written(tmp_path / "bare", source, **options)
    assert is_series(bare)
    assert np.array_equal(load_series(bare).data, load_series(source).data)


EMPTIED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "PatientName",
    "HighBit",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "RescaleSlope",
)


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "emptied"])
@pytest.mark.parametrize("field", EMPTIED)
def test_a_field_that_an_anonymiser_took_away_is_not_missed(
    tmp_path, write_series, array, field, gone
):
    def change(dataset, place):
        if gone:
            del dataset[field]
        else:
            dataset[field].value = None

    plain = load_series(write_series(tmp_path / "plain", array))
    source = write_series(tmp_path / "source", array)
    for path in source.iterdir():
        dataset = pydicom.dcmread(path)
        change(dataset, 0)
        dataset.preamble = bytes(128)
        dataset.save_as(path, enforce_file_format=False)
    volume = load_series(source)
    assert np.array_equal(volume.data, plain.data) and np.array_equal(volume.affine, plain.affine)


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("field", ["SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber"])
@pytest.mark.parametrize("own", [False, True], ids=["one series", "identifiers of their own"])
def test_a_field_that_one_slice_lost_makes_no_other_series(
    tmp_path, write_series, array, field, place, value, own
):
    plain = load_series(write_series(tmp_path / "plain", array))
    series = write_series(tmp_path / "odd", array, change=scrambled if own else untouched)
    path = sorted(series.iterdir())[place]
    dataset = pydicom.dcmread(path)
    dataset[field].value = value
    dataset.save_as(path)
    assert np.array_equal(load_series(series).data, plain.data)


def test_one_identifier_for_all_slices_divides_no_series(tmp_path, write_series, array):
    def same(dataset, place):
        dataset.SOPInstanceUID = "1.2.3"

    assert load_series(write_series(tmp_path, array, change=same)).data.shape == SHAPE


def place_again(tags):
    """Slices k and k + 4 at one place, with tags of their own."""

    def change(dataset, place):
        dataset.ImagePositionPatient = [0, 0, 4.0 * (place % 4)]
        for name, values in tags.items():
            setattr(dataset, name, values[place // 4])

    return change


@pytest.mark.parametrize(
    "tags",
    [
        {"AcquisitionTime": ("100000", "100030")},
        {"TemporalPositionIdentifier": (1, 2)},
        {"EchoTime": (10, 80)},
        {},
    ],
    ids=["time", "temporal position", "echo", "nothing told"],
)
def test_several_volumes_in_one_series_are_told_from_copies(tmp_path, write_series, tags):
    array = np.random.default_rng(0).integers(-1000, 1500, (9, 8, 8)).astype(np.int16)
    folder = write_series(tmp_path, array, change=place_again(tags))
    assert "8 DICOM slices lie at 4 places, as several time points" in refusal(folder)
    for number in range(4, 8):  # as the remedy says: keep one
        (folder / f"IMG-{number:04d}.dcm").unlink()
    assert load_series(folder).data.shape == (9, 8, 4)


def test_slices_that_all_lie_at_one_place_are_no_volume(tmp_path, write_series, array):
    def still(dataset, place):
        dataset.ImagePositionPatient = [0, 0, 0]

    assert "all 7 DICOM slices lie at one place" in refusal(
        write_series(tmp_path, array, change=still)
    )


def test_uneven_slices_are_told_from_missing_ones(tmp_path, write_series, array):
    def uneven(dataset, place):
        dataset.ImagePositionPatient = [0, 0, (0, 4, 8, 12, 17, 21, 25)[place]]

    assert "are uneven, 4.00 to 5.00 mm apart" in refusal(
        write_series(tmp_path, array, change=uneven)
    )


@pytest.mark.parametrize("length", [0.999, 1.001, 0.985])
def test_direction_cosines_that_were_rounded_are_read(tmp_path, write_series, array, length):
    def rounded(dataset, place):
        cosines = [float(value) * length for value in dataset.ImageOrientationPatient]
        dataset.ImageOrientationPatient = [float(f"{value:.6f}") for value in cosines]

    plain = load_series(write_series(tmp_path / "plain", array, TURNED))
    volume = load_series(write_series(tmp_path / "odd", array, TURNED, change=rounded))
    assert np.array_equal(volume.data, plain.data)
    assert np.allclose(volume.affine, plain.affine, atol=1e-3)


def test_cosines_rounded_to_two_decimals_are_named_beside_the_tilt(tmp_path, write_series):
    long = np.random.default_rng(0).integers(-1000, 1000, (4, 4, 90)).astype(np.int16)
    oblique = nib.eulerangles.euler2mat(x=0.155) @ np.diag([-2.0, -2.0, 4.0])
    affine = nib.affines.from_matvec(oblique)

    def rounded(dataset, place):
        cosines = [round(float(value), 2) for value in dataset.ImageOrientationPatient]
        dataset.ImageOrientationPatient = cosines

    load_series(write_series(tmp_path / "plain", long, affine))
    text = refusal(write_series(tmp_path / "odd", long, affine, change=rounded))
    assert "their lengths miss 1 by up to 0.001) or a tilted gantry; export the series" in text


@pytest.mark.parametrize(
    ("cosines", "words"),
    [
        ([0.5, 0, 0, 0, 0.5, 0], "have the lengths 0.500 and 0.500 and not 1"),
        ([0, 0, 0, 0, 0, 0], "have the lengths 0.000"),
        ([1, 0, 0, 0.1, 0.995, 0], "not at right angles"),
    ],
)
def test_direction_cosines_that_are_none_are_refused(tmp_path, write_series, array, cosines, words):
    def change(dataset, place):
        dataset.ImageOrientationPatient = cosines

    assert words in refusal(write_series(tmp_path, array, change=change))


@pytest.mark.parametrize(
    ("field", "places", "words"),
    [
        ("PixelRepresentation", range(7), "how their numbers are stored (PixelRepresentation"),
        ("BitsStored", (3,), "how their numbers are stored (BitsStored"),
        ("RescaleIntercept", (2, 3), "2 of 7 DICOM slices lack the RescaleIntercept"),
        ("RescaleSlope", (5,), "1 of 7 DICOM slices lack the RescaleSlope"),
    ],
)
def test_a_field_that_is_needed_is_named(tmp_path, write_series, array, field, places, words):
    def change(dataset, place):
        if place in places:
            del dataset[field]

    assert words in refusal(write_series(tmp_path, array, change=change))


def test_slices_of_several_pixel_sizes_are_refused(tmp_path, write_series, array):
    def wider(dataset, place):
        if place > 3:
            dataset.PixelSpacing = [3.0, 3.5]

    assert "several pixel sizes" in refusal(write_series(tmp_path, array, change=wider))


@pytest.mark.parametrize("value", [1e30, 1e6])
def test_a_position_beyond_any_scanner_is_none(tmp_path, write_series, array, value):
    def far(dataset, place):
        dataset.ImagePositionPatient = [value if place == 2 else 0, 0, 4.0 * place]

    assert "do not say where they lie" in refusal(write_series(tmp_path, array, change=far))


def test_slices_of_several_frames_of_reference_are_refused(tmp_path, write_series, array):
    def other(dataset, place):
        dataset.FrameOfReferenceUID = "1.2.6" if place < 3 else "1.2.7"

    text = refusal(write_series(tmp_path / "s", array, change=other))
    assert "in 2 frames of reference" in text and "; keep the slices of one" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, place: setattr(d, "RescaleSlope", 0), "RescaleSlope is 0 or no number"),
        (lambda d, place: setattr(d, "ImagePositionPatient", [1, 2]), "do not say where they lie"),
        (lambda d, place: setattr(d, "ImageOrientationPatient", [1, 0, 0]), "where they lie"),
        (
            lambda d, place: setattr(d, "PixelData", d.PixelData[:-20]),
            "slices are damaged: they hold fewer",
        ),
    ],
)
def test_a_header_that_lies_about_its_slices_is_called_by_its_fault(
    tmp_path, write_series, array, change, words
):
    text = refusal(write_series(tmp_path / "s", array, change=change))
    assert words in text and "; " in text and "Error" not in text


def test_the_modality_of_the_header_is_kept(tmp_path, write_series, array):
    series = write_series(tmp_path / "s", array, change=lambda d, p: setattr(d, "Modality", "PT"))
    assert load_series(series).told == "PT"
