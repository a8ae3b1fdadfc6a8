"""Every layout from the folder on disk through one finished round of training and its scores."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from fedvox.data.cases.splits import hash_bucket
from fedvox.data.check.site_problems import strays_of
from fedvox.data.readers import READERS
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import load_weights
from fedvox.phantoms.writer import write_phantom_site
from fedvox.training.in_process import run_in_process

BRAIN = ("tumour_necrotic", "tumour_oedema", "tumour_enhancing")
HEART = ("heart_left_ventricle", "heart_myocardium", "ascending_aorta")
VALIDATES = [number for number in range(1, 40) if hash_bucket(f"patient{number:03d}") < 10]


@dataclass(frozen=True)
class Layout:
    """A tree, what its site file says and what a job can learn from it.

    Attributes:
        write: writes the tree into a folder with the builders of conftest.
        dataset, modalities: as in the site file.
        organs: of the job.
        split: ``dataset``, or lists of case identifiers.
        scored: rows that a test case gives; the organs unless said otherwise.
        spacing: of the job, in mm.
    """

    write: Callable[..., object]
    dataset: str
    modalities: tuple[str, ...]
    organs: tuple[str, ...]
    split: object = "dataset"
    scored: tuple[str, ...] = ()
    spacing: float = 4.0


def lists(train: str, val: str, test: str) -> dict[str, list[str]]:
    return {"train": [train], "val": [val], "test": [test]}


def write_amos(trees, root: Path) -> None:
    halves = sorted(range(501, 520), key=lambda n: hash_bucket(f"amos_{n:04d}") < 50)
    trees.amos(root, None, Tr=[7, 530], Va=[halves[0], halves[-1], 9])


def write_totalsegmentator(trees, root: Path) -> None:
    trees.totalsegmentator(root, "ct", {"s0001": "train", "s0002": "val", "s0003": "test"})


def write_totalsegmentator_mri(trees, root: Path) -> None:
    names = [f"s{number:04d}" for number in range(30)]
    chosen = sorted(names, key=hash_bucket)
    assert hash_bucket(chosen[0]) < 10
    splits = {chosen[0]: "train", chosen[-1]: "train", "s0100": "test"}
    trees.totalsegmentator(root, "mr", splits)


def write_brats(separator: str, ending: str, *names: str):
    def write(trees, root: Path) -> None:
        for name in names:
            trees.brats(root / name, separator, ending)

    return write


def write_plain(trees, root: Path) -> None:
    for name in "abc":
        file = f"{name}.nii.gz"
        trees.pair(root / "images" / file, root / "labels" / file, [1, 2], "mr")
    (root / "labels.json").write_text(json.dumps({"liver": 1, "spleen": 2}))


def write_msd(trees, root: Path) -> None:
    for name in "abc":
        image, label = root / "imagesTr" / f"{name}_0000.nii.gz", root / "labelsTr"
        trees.pair(image, label / f"{name}.nii.gz", [1, 2], "ct")
    listing = {"channel_names": {"0": "CT"}, "labels": {"liver": 1, "spleen": 2}}
    (root / "dataset.json").write_text(json.dumps(listing))


def write_nnunet_v1(trees, root: Path) -> None:
    """A list without ``_0000``, and voxels that nobody annotated."""
    for name in "abc":
        image, label = root / "imagesTr" / f"{name}_0000.nii.gz", root / "labelsTr"
        trees.pair(image, label / f"{name}.nii.gz", [1, 2, 3], "ct")
    listing = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver", "2": "spleen", "3": "ignore"},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f".\\labelsTr\\{name}.nii.gz"}
            for name in "abc"
        ],
    }
    (root / "dataset.json").write_text(json.dumps(listing))


def write_phantom(trees, root: Path) -> None:
    counts = {"train": 1, "val": 1, "test": 1}
    write_phantom_site(root, "ct", counts, seed=0, site=1, spacing_mm=12)


LAYOUTS = {
    "amos": Layout(write_amos, "amos", ("ct", "mr"), ("liver", "prostate_uterus")),
    "totalsegmentator": Layout(
        write_totalsegmentator, "totalsegmentator", ("ct",), ("liver", "spleen", "bladder")
    ),
    "totalsegmentator-mri": Layout(
        write_totalsegmentator_mri, "totalsegmentator", ("mr",), ("liver", "spleen")
    ),
    "brats-2020": Layout(
        write_brats("_", ".nii", *(f"BraTS20_Training_00{n}" for n in (1, 2, 3))),
        "brats",
        ("flair",),
        BRAIN,
        lists(*(f"BraTS20_Training_00{n}" for n in (1, 2, 3))),
        (*BRAIN, "tumour_whole", "tumour_core"),
    ),
    "brats-2024": Layout(
        write_brats("-", ".nii.gz", *(f"BraTS-GLI-0000{n}-100" for n in (1, 2, 3))),
        "brats",
        ("t1ce",),
        (*BRAIN, "resection_cavity"),
        lists(*(f"BraTS-GLI-0000{n}-100" for n in (1, 2, 3))),
        (*BRAIN, "resection_cavity", "tumour_whole", "tumour_core"),
    ),
    "lits": Layout(
        lambda trees, root: trees.lits(root, 2, 10, 11),
        "lits",
        ("ct",),
        ("liver", "liver_tumour"),
        lists("volume-2", "volume-10", "volume-11"),
    ),
    "acdc": Layout(
        lambda trees, root: trees.acdc(root, training=[*VALIDATES[:1], 100], testing=[101]),
        "acdc",
        ("mr",),
        HEART[:2],
    ),
    "mmwhs": Layout(
        lambda trees, root: [
            trees.mmwhs(root, "ct", 1001, 1002),
            trees.mmwhs(root, "mr", 1001, extra=[421]),
        ],
        "mmwhs",
        ("ct", "mr"),
        HEART,
        lists("ct_train_1001", "mr_train_1001", "ct_train_1002"),
    ),
    "chaos": Layout(
        lambda trees, root: [trees.chaos(root, "mr", 1, 2), trees.chaos(root, "ct", 1)],
        "chaos",
        ("mr", "ct"),
        ("liver", "kidney_left"),
        {"train": ["mr-1-T1DUAL", "ct-1"], "val": ["mr-1-T2SPIR"], "test": ["mr-2-T2SPIR"]}
        | {"allow_overlap": True},
    ),
    "plain": Layout(write_plain, "plain", ("mr",), ("liver", "spleen"), lists("a", "b", "c")),
    "msd": Layout(write_msd, "msd", ("ct",), ("liver", "spleen"), lists("a", "b", "c")),
    "nnunet-1": Layout(write_nnunet_v1, "msd", ("ct",), ("liver", "spleen"), lists("a", "b", "c")),
    "phantom": Layout(write_phantom, "phantom", ("ct",), ("liver", "spleen"), spacing=18.0),
}


def test_every_reader_has_a_layout_here():
    assert {layout.dataset for layout in LAYOUTS.values()} == set(READERS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_trains_one_round_and_is_scored(tmp_path, trees, name):
    layout = LAYOUTS[name]
    layout.write(trees, tmp_path / "data")
    split = str(layout.split)
    if split != "dataset":
        split = str(tmp_path / "split.json")
        Path(split).write_text(json.dumps(layout.split))
    site = SiteSettings(
        layout.dataset,
        str(tmp_path / "data"),
        layout.modalities,
        split=split,
        max_bad_fraction=0.0,
    )
    job = job_from(
        {
            "name": "tiny",
            "data": {
                "organs": list(layout.organs),
                "modalities": list(layout.modalities),
                "spacing": [layout.spacing] * 3,
                "patch": [8] * 3,
            },
            "network": {"channels": [4, 8], "residual_units": 0},
            "training": {"rounds": 1, "steps": 2, "batch": 2, "threads": 1, "device": "cpu"},
        }
    )

    assert strays_of(site) == []
    data = open_site("site-1", site, job.data, tmp_path / "state")
    assert data.train and data.val and data.test and not data.skipped
    assert data.annotated == set(layout.organs)
    trained_voxels = np.sum([case.counts for case in data.train], axis=0)
    assert (trained_voxels > 0).tolist() == [o != "resection_cavity" for o in layout.organs]

    result = run_in_process([data], job, tmp_path / "run")
    (record,) = result.rounds
    assert [part["site"] for part in record["contributors"]] == ["site-1"]
    assert math.isfinite(record["contributors"][0]["train_loss"]) and result.choice is not None

    model = initial_model(job)
    load_weights(model, result.last)
    cpu = torch.device("cpu")
    rows = score_cases(model, "global_last", data.test[:1], job, "site-1", "test", cpu)
    assert tuple(row.organ for row in rows) == (layout.scored or layout.organs)
