"""Two hospitals in two public layouts outline different organs; does each learn the other's?

An AMOS tree with MRI (liver, right kidney, pancreas, gallbladder outlined) and a TotalSegmentator
tree with CT (spleen, left kidney, pancreas, gallbladder), both made from phantoms, train the
settings of jobs/fedgin. The loss that honours partial labels against its rival, naive training that
takes what a site does not outline for background. Scored are, on other patients of each site, the
organs that this site does not outline.

Example:
    python benchmarks/partial_labels.py
    python benchmarks/partial_labels.py --quick
"""

import argparse
import dataclasses
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from cells import pool_of

if TYPE_CHECKING:
    from fedvox.data.site.site_data import SiteData

JOB = Path(__file__).parents[1] / "jobs/fedgin/app/config/training.json"
ARMS = ("naive", "partial")
AMOS = {"spleen": 1, "right kidney": 2, "left kidney": 3, "gall bladder": 4, "liver": 6}
AMOS |= {"pancreas": 10}
OUTLINED = {
    "mr": ("liver", "kidney_right", "pancreas", "gallbladder"),
    "ct": ("spleen", "kidney_left", "pancreas", "gallbladder"),
}
MISSING = {"mr": ("spleen", "kidney_left"), "ct": ("liver", "kidney_right")}


def write_amos(phantoms: Path, root: Path) -> None:
    """An AMOS tree: MRI has identifiers above 500; the table names what is outlined."""
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    outlined = {"liver": 6, "right kidney": 2, "pancreas": 10, "gall bladder": 4}
    entries = []
    for number, (image, label) in enumerate(training_pairs(phantoms), start=507):
        name = f"amos_{number:04d}.nii.gz"
        shutil.copy(image, root / "imagesTr" / name)
        volume = nib.load(label)
        found = np.asarray(volume.dataobj)
        renamed = np.zeros_like(found)
        for organ, value in own_values(phantoms, OUTLINED["mr"]).items():
            amos = {"kidney_right": "right kidney", "gallbladder": "gall bladder"}.get(organ, organ)
            renamed[found == value] = AMOS[amos]
        nib.save(nib.Nifti1Image(renamed, None, volume.header), root / "labelsTr" / name)
        entries.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    labels = {"0": "background"} | {str(value): name for name, value in outlined.items()}
    listing = {"modality": {"0": "MRI"}, "labels": labels, "training": entries}
    (root / "dataset.json").write_text(json.dumps(listing))


def write_totalsegmentator(phantoms: Path, root: Path) -> None:
    """A TotalSegmentator tree: a folder per case with one mask per organ."""
    root.mkdir(parents=True)
    rows = ["image_id;age;gender;institute;study_type;split"]
    for number, (image, label) in enumerate(training_pairs(phantoms), start=1):
        case = root / f"s{number:04d}"
        (case / "segmentations").mkdir(parents=True)
        shutil.copy(image, case / "ct.nii.gz")
        volume = nib.load(label)
        found = np.asarray(volume.dataobj)
        for organ, value in own_values(phantoms, OUTLINED["ct"]).items():
            mask = nib.Nifti1Image((found == value).astype(np.uint8), None, volume.header)
            nib.save(mask, case / f"segmentations/{organ}.nii.gz")
        rows.append(f"{case.name};60;f;A;ct abdomen;train")
    (root / "meta.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")


def training_pairs(phantoms: Path) -> list[tuple[Path, Path]]:
    """Images and labels of the phantoms that were written for training."""
    cases = json.loads((phantoms / "phantom.json").read_text())["cases"]
    names = [f"{case['id']}.nii.gz" for case in cases if case["split"] == "train"]
    return [(phantoms / "images" / name, phantoms / "labels" / name) for name in names]


def own_values(phantoms: Path, organs: tuple[str, ...]) -> dict[str, int]:
    """The phantoms' label values of some organs."""
    values = json.loads((phantoms / "labels.json").read_text())
    return {organ: int(values[organ]) for organ in organs}


def run_arm(arm: str, quick: bool) -> dict[str, float]:
    """Trains one arm; modality/organ -> mean Dice on cases of the site that lacks the organ."""
    from fedvox.data.site.site_data import open_site
    from fedvox.data.site.site_file import SiteSettings
    from fedvox.flare.run.site_setup import phantom_site
    from fedvox.inference.evaluate import score_cases
    from fedvox.job.device import prepare_device, to_device
    from fedvox.job.model import initial_model
    from fedvox.job.settings import read_job
    from fedvox.job.weights import load_weights
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import ALL_SITES
    from fedvox.training.in_process import run_in_process

    job = read_job(JOB)
    if quick:
        phantom = dataclasses.replace(job.phantom, train=2, val=1, test=2, spacing_mm=12.0)
        training = dataclasses.replace(job.training, rounds=1, steps=2)
        data = dataclasses.replace(job.data, spacing=(12.0,) * 3, patch=(32,) * 3)
        job = dataclasses.replace(job, phantom=phantom, training=training, data=data)
    layouts = {"ct": ("totalsegmentator", write_totalsegmentator), "mr": ("amos", write_amos)}
    sites, tests = [], {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for number, (modality, (dataset, write)) in enumerate(layouts.items(), start=1):
            site = f"site-{number}"
            described = phantom_site(site, job.phantom, work / "phantoms" / site)
            whole = open_site(site, described, job.data, work / "whole" / site)
            tests[modality] = whole.test
            root = work / dataset
            write(Path(described.root), root)
            split = work / f"{dataset}.json"
            names = sorted(path.stem for path in root.glob("s*")) or sorted(
                path.name.removesuffix(".nii.gz") for path in (root / "imagesTr").iterdir()
            )
            split.write_text(json.dumps({"train": names}))
            settings = SiteSettings(dataset, str(root), (modality,), split=str(split))
            opened = open_site(site, settings, job.data, work / "state" / site)
            sites.append(opened if arm == "partial" else naive(opened, job.data.organs))
        result = run_in_process(sites, job, work / "run")
        model = to_device(initial_model(job), prepare_device(job.training))
        load_weights(model, result.last)
        device = prepare_device(job.training)
        rows = [
            row
            for modality, cases in tests.items()
            for row in score_cases(model, arm, cases, job, modality, "test", device)
        ]
    return {
        f"{row.modality}/{row.organ}": row.dice_mean
        for row in summarise(rows)
        if row.site == ALL_SITES and row.organ in MISSING[row.modality]
    }


def naive(site: "SiteData", organs: tuple[str, ...]) -> "SiteData":
    """The same site as if every organ were outlined: what is not becomes background."""
    cases = [dataclasses.replace(case, annotated=frozenset(organs)) for case in site.train]
    return dataclasses.replace(site, train=cases)


def main() -> int:
    """Runs both arms side by side and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two steps: a smoke run")
    args = parser.parse_args()
    with pool_of(len(ARMS), args.quick) as pool:
        runs = {arm: pool.submit(run_arm, arm, args.quick) for arm in ARMS}
        dice = {arm: run.result() for arm, run in runs.items()}
    for key in dice["partial"]:
        print(f"{key:20s} naive {dice['naive'][key]:.3f}   partial {dice['partial'][key]:.3f}")
    means = {f"{arm}_dice": round(statistics.mean(dice[arm].values()), 4) for arm in ARMS}
    print(json.dumps(means | {"organs": len(dice["partial"])}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
