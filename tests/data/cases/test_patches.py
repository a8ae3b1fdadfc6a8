import dataclasses

import pytest
import torch

from fedvox.config import setting
from fedvox.data.cases.patches import draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.grid.to_grid import Geometry
from fedvox.data.samplers.settings import ForegroundSettings, SamplerSettings
from fedvox.data.settings import DataSettings
from fedvox.registry import Registry
from fedvox.tensors import write_tensors

SETTINGS = DataSettings(
    organs=("liver", "spleen"), patch=(8, 8, 8), sampler=ForegroundSettings(share=1.0)
)


@pytest.fixture
def make_case(tmp_path):
    """A case whose image holds the number of each voxel, with single voxels as organs."""

    def make(shape=(20, 20, 20), organs=None, annotated=("liver",), name="case"):
        label = torch.zeros(shape, dtype=torch.uint8)
        tensors, counts = {}, []
        for index in range(2):
            voxels = torch.tensor((organs or {}).get(index, []), dtype=torch.int16).reshape(-1, 3)
            for voxel in voxels.tolist():
                label[tuple(voxel)] = index + 1
            tensors[f"places.{index}"] = voxels
            counts.append(len(voxels))
        count = label.numel()
        tensors["image"] = torch.arange(1, count + 1, dtype=torch.float32).reshape(1, *shape)
        write_tensors(tmp_path / f"{name}.safetensors", tensors | {"label": label})
        geometry = Geometry(shape, ((0, 1), (1, 1), (2, 1)), shape, (1.0, 1.0, 1.0))
        return PreparedCase(
            path=tmp_path / f"{name}.safetensors",
            code=name,
            modality="ct",
            annotated=frozenset(annotated),
            geometry=geometry,
            stored_spacing=(1.0, 1.0, 1.0),
            counts=tuple(counts),
        )

    return make


def draw(cases, settings, size, seed=0):
    return draw_batch(cases, settings, size, torch.Generator().manual_seed(seed))


def corner(image: torch.Tensor, shape) -> tuple[int, int, int]:
    """Where in the volume a patch of voxel numbers begins."""
    first = int(image[0, 0, 0, 0]) - 1
    return first // (shape[1] * shape[2]), first // shape[2] % shape[1], first % shape[2]


def test_batch_has_the_stated_shapes_and_types(make_case):
    batch = draw([make_case()], SETTINGS, 3)
    assert batch.image.shape == (3, 1, 8, 8, 8) and batch.image.dtype == torch.float32
    assert batch.label.shape == (3, 8, 8, 8) and batch.label.dtype == torch.uint8
    assert batch.annotated.tolist() == [[True, False]] * 3


def test_equal_generators_draw_equal_batches_and_others_do_not(make_case):
    cases = [make_case(organs={0: [[10, 10, 10]]})]
    settings = dataclasses.replace(SETTINGS, sampler=ForegroundSettings(share=0.5))
    first, again, other = (draw(cases, settings, 4, seed) for seed in (7, 7, 8))
    assert torch.equal(first.image, again.image) and torch.equal(first.label, again.label)
    assert not torch.equal(first.image, other.image)


def test_drawing_leaves_the_global_random_state_alone(make_case):
    before = torch.get_rng_state()
    draw([make_case()], SETTINGS, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_foreground_patches_are_centred_on_an_organ_voxel(make_case):
    batch = draw([make_case(organs={1: [[10, 9, 8]]})], SETTINGS, 5)
    for image, label in zip(batch.image, batch.label):
        assert corner(image, (20, 20, 20)) == (6, 5, 4)  # 10 - 8 // 2, 9 - 8 // 2, 8 - 8 // 2
        assert label[4, 4, 4] == 2


def test_organs_are_drawn_with_equal_probability_whatever_their_size(make_case):
    many = [[4, y, z] for y in range(6, 14) for z in range(6, 14)]
    case = make_case(organs={0: many, 1: [[15, 10, 10]]})
    batch = draw([case], SETTINGS, 400)
    share = (batch.label[:, 4, 4, 4] == 2).float().mean()
    assert share == pytest.approx(0.5, abs=0.1)  # four standard deviations of 400 fair draws


def test_patch_at_the_border_is_moved_inside(make_case):
    batch = draw([make_case(organs={0: [[0, 19, 10]]})], SETTINGS, 2)
    assert corner(batch.image[0], (20, 20, 20)) == (0, 12, 6)
    assert (batch.image > 0).all() and batch.label[0, 0, 7, 4] == 1


def test_without_foreground_patches_lie_anywhere_in_the_volume(make_case):
    case = make_case(shape=(10, 9, 8), organs={0: [[5, 5, 5]]})
    batch = draw([case], dataclasses.replace(SETTINGS, sampler=ForegroundSettings(share=0.0)), 100)
    corners = {corner(image, (10, 9, 8)) for image in batch.image}
    assert corners == {(x, y, 0) for x in range(3) for y in range(2)}


def test_share_of_centred_patches_is_the_setting(make_case):
    case = make_case(shape=(40, 40, 40), organs={0: [[20, 20, 20]]})
    batch = draw([case], dataclasses.replace(SETTINGS, sampler=ForegroundSettings(share=0.67)), 400)
    centred = [corner(image, (40, 40, 40)) == (16, 16, 16) for image in batch.image]
    # Four standard deviations are 0.094; a loose patch hits the same corner once in 33^3 draws.
    assert sum(centred) / 400 == pytest.approx(0.67, abs=0.094)


def test_case_without_organs_gives_patches_from_anywhere(make_case):
    batch = draw([make_case(shape=(9, 8, 8))], SETTINGS, 50)
    assert {corner(image, (9, 8, 8)) for image in batch.image} == {(0, 0, 0), (1, 0, 0)}


def test_a_new_sampler_says_where_patches_lie(make_case, monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Corner(SamplerSettings):
        name: str = "corner"
        at: int = setting(0, low=0)

    samplers = Registry("sampler")
    samplers.register("corner", Corner)(lambda own: lambda case, source: (own.at,) * 3)
    monkeypatch.setattr("fedvox.data.samplers.SAMPLERS", samplers)
    settings = dataclasses.replace(SETTINGS, sampler=Corner(at=9))
    batch = draw([make_case()], settings, 2)
    assert [corner(image, (20, 20, 20)) for image in batch.image] == [(5, 5, 5)] * 2  # 9 - 8 // 2


def test_small_volume_lies_in_the_middle_of_a_padded_patch(make_case):
    batch = draw([make_case(shape=(4, 8, 5), organs={0: [[0, 0, 0]]})], SETTINGS, 1)
    inner = batch.image[0, 0, 2:6, :, 2:7]  # (4 - 8) // 2 = -2, (5 - 8) // 2 = -2
    assert torch.equal(inner.ravel(), torch.arange(1.0, 161.0))
    assert int((batch.image != 0).sum()) == 160
    assert batch.label[0, 2, 0, 2] == 1 and int(batch.label.sum()) == 1


def test_cases_are_drawn_with_equal_probability_and_carry_their_annotation(make_case):
    cases = [
        make_case(name="a", annotated=("liver",)),
        make_case(name="b", annotated=("spleen",), shape=(30, 30, 30)),
    ]
    flags = draw(cases, SETTINGS, 400).annotated
    assert (flags.sum(dim=1) == 1).all()
    assert flags[:, 0].float().mean() == pytest.approx(0.5, abs=0.1)


def test_a_batch_is_complete_only_where_every_sample_annotates_every_organ(make_case):
    whole = make_case(name="a", annotated=("liver", "spleen"))
    partly = make_case(name="b", annotated=("spleen",))
    drawn = [draw([whole, partly], SETTINGS, 2, seed) for seed in range(12)]
    assert {batch.complete for batch in drawn} == {True, False}
    assert all(batch.complete == bool(batch.annotated.all()) for batch in drawn)
    moved = [batch.to(torch.device("cpu")) for batch in drawn]
    assert [batch.complete for batch in moved] == [batch.complete for batch in drawn]
