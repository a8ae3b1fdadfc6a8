"""What the README of fedsegnet prints for real data sets reads them, from the tree on disk."""

import json
import re
import shlex
from pathlib import Path

import pytest

from fedvox.commands.main import build_parser
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.flare.jobs.folder import job_settings

README = Path(__file__).parents[3] / "jobs/fedsegnet/README.md"
TREES = {
    "brats": lambda trees, root: [trees.brats(root / f"BraTS20_Training_00{n}") for n in (1, 2, 3)],
    "lits": lambda trees, root: trees.lits(root, 2, 10, 11),
    "acdc": lambda trees, root: trees.acdc(root, training=[1, 2, 100], testing=[101]),
}
CASES = {
    "brats": [f"BraTS20_Training_00{n}" for n in (1, 2, 3)],
    "lits": ["volume-2", "volume-10", "volume-11"],
}


def command(name: str) -> list[str]:
    """The words of the documented command that writes a copy of the job."""
    lines = README.read_text().replace("\\\n", " ").splitlines()
    (found,) = (line for line in lines if re.search(rf"--name swin-{name}\b", line))
    return shlex.split(found)[1:]


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_documented_job_opens_its_data_set(name, trees, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = build_parser().parse_args(command(name))
    assert args.run(args) == 0
    job = job_settings(tmp_path / "mine" / f"swin-{name}")
    TREES[name](trees, tmp_path / "data")
    split = "dataset"
    if name in CASES:
        split = str(tmp_path / "split.json")
        lists = dict(zip(("train", "val", "test"), ([case] for case in CASES[name])))
        Path(split).write_text(json.dumps(lists))
    site = SiteSettings(
        name, str(tmp_path / "data"), job.data.modalities, split=split, max_bad_fraction=0.0
    )
    data = open_site("site-1", site, job.data, tmp_path / "state")
    assert data.annotated == set(job.data.organs) and not data.skipped
    assert data.train and data.test
    assert all(min(case.counts) > 0 for case in data.train)
