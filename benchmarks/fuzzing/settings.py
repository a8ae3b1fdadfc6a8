"""Files that people write: a job's settings and overrides, a site file, a data set's lists."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from hypothesis import strategies as st

from fedvox.config import read_json, to_mapping
from fedvox.data.cases.splits import split_cases
from fedvox.data.site.site_data import listed_cases
from fedvox.data.site.site_file import SiteSettings, read_site_file
from fedvox.errors import FedVoxError
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.job.settings import job_from, read_job
from fuzzing.changes import ODD, changed_bytes, changed_trees
from fuzzing.door import Door

JOBS = Path(__file__).parents[2] / "jobs"
CASES = ("anna", "bert", "cleo")
TABLE = {"background": 0, "liver": 1, "spleen": 2}


def written(bases: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """A file of JSON, whose content was changed or whose bytes were."""
    texts = [json.dumps(base, indent=1).encode() for base in bases]
    trees = changed_trees(bases).map(_dumped)
    return trees | trees | trees | changed_bytes(texts)


def _dumped(tree: Any) -> bytes:
    return json.dumps(tree).encode(errors="surrogatepass")


def job(work: Path) -> Door:
    """``training.json`` of every job and what ``--set`` changes of it."""
    bases = [read_json(path) for path in sorted(JOBS.glob("*/app/config/training.json"))]
    full = [to_mapping(job_from(base)) for base in bases]
    keys = sorted({f"{part}.{key}" for base in full for part in base for key in _keys(base[part])})
    values = ODD.map(json.dumps) | st.text(max_size=12)
    override = st.builds("{}{}{}".format, st.sampled_from(keys), st.sampled_from("=== "), values)
    place = work / "training.json"

    def enter(given: tuple[bytes, Sequence[str]]) -> bool:
        text, overrides = given
        place.write_bytes(text)
        try:
            read_job(place)
            changed = apply_overrides(read_json(place), overrides)
            settings = job_from(changed)
        except FedVoxError as error:
            check_words(error)
            return False
        assert job_from(to_mapping(settings)) == settings
        return True

    sound = st.sampled_from([json.dumps(base).encode() for base in bases])
    texts = written([*bases, *full]) | sound
    return Door(st.tuples(texts, st.lists(override, max_size=2)), enter)


def _keys(section: Any) -> list[str]:
    return sorted(section) if isinstance(section, dict) else []


def site_file(work: Path) -> Door:
    """``fedvox_site.json``."""
    (work / "scans").mkdir()
    sound = {"dataset": "plain", "root": "scans", "modalities": ["ct"]}
    more = {"split": "hash", "cache": "", "share": "summary", "max_bad_fraction": 0.05}
    bases = [sound, {**sound, **more, "attachments": ["prototypes"], "workers": 2}]
    place = work / "fedvox_site.json"

    def enter(text: bytes) -> bool:
        place.write_bytes(text)
        try:
            settings = read_site_file(place)
        except FedVoxError as error:
            check_words(error)
            return False
        assert Path(settings.root).is_dir() and settings.modalities
        return True

    return Door(written(bases), enter)


def lists(work: Path) -> Door:
    """What lies beside the scans: a label table, a data set's description, a split."""
    folders = {name: work / name for name in ("plain", "msd", "split")}
    listing = {
        "channel_names": {"0": "CT"},
        "labels": TABLE,
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
    }
    older = {
        "modality": {"0": "CT"},
        "labels": {str(value): name for name, value in TABLE.items()},
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
            for case in CASES
        ],
        "test": [],
    }
    split = {"train": [CASES[0]], "val": [CASES[1]], "test": [CASES[2]]}
    _write_cases(folders["plain"], "images/{}.nii.gz", "labels/{}.nii.gz")
    _write_cases(folders["split"], "images/{}.nii.gz", "labels/{}.nii.gz")
    for ending in ("", "_0000"):
        _write_cases(folders["msd"], f"imagesTr/{{}}{ending}.nii.gz", "labelsTr/{}.nii.gz")
    (folders["split"] / "labels.json").write_text(json.dumps(TABLE))
    names = {"plain": "labels.json", "msd": "dataset.json", "split": "split.json"}
    choice: Mapping[str, st.SearchStrategy[bytes]] = {
        "plain": written([TABLE, older["labels"]]),
        "msd": written([listing, older]),
        "split": written([split]),
    }

    def enter(given: tuple[str, bytes]) -> bool:
        kind, text = given
        folder = folders[kind]
        (folder / names[kind]).write_bytes(text)
        reader = "msd" if kind == "msd" else "plain"
        own = str(folder / "split.json") if kind == "split" else "hash"
        return accepted(SiteSettings(reader, str(folder), ("ct",), own))

    return Door(
        st.one_of([st.tuples(st.just(kind), texts) for kind, texts in choice.items()]), enter
    )


def accepted(site: SiteSettings) -> bool:
    """Whether a site's cases can be listed, split and their tables read."""
    try:
        cases = listed_cases(site)
        split_cases(cases, site.split)
    except FedVoxError as error:
        check_words(error)
        return False
    return True


def _write_cases(folder: Path, image: str, label: str) -> None:
    voxels = np.arange(64, dtype=np.int16).reshape(4, 4, 4) % 3
    for case in CASES:
        for pattern in (image, label):
            path = folder / pattern.format(case)
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


def check_words(error: FedVoxError, secrets: Sequence[str] = CASES) -> None:
    """A message is one line that says something, and names no patient."""
    text = str(error)
    assert text and "\n" not in text
    assert not any(name in text for name in secrets)
