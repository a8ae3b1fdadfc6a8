"""A patient's words in files, headers and crashes stay at the site; the search would see them."""

import importlib.util
import json
import os
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def canary() -> ModuleType:
    spec = importlib.util.spec_from_file_location("canary", ROOT / "poc/canary.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.txt", b"no such file: Quastenbauer_7.nii.gz"),
        ("tb/events.out.tfevents.1", b"\x00\x0aXANTHIPPE\xff"),
        ("born_1955-03-17/empty", b""),
    ],
)
def test_the_search_sees_names_contents_and_bytes(canary, tmp_path, name, content):
    path = tmp_path / "disk" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert [hit.place for hit in canary.search(tmp_path / "disk")] == [f"disk/{name}"]


def test_the_search_opens_archives(canary, tmp_path):
    with zipfile.ZipFile(tmp_path / "workspace", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.txt", "patient 4711081547 " * 50)
    assert [hit.place for hit in canary.search(tmp_path)] == [f"{tmp_path.name}/workspace:log.txt"]


def test_a_clean_disk_has_no_hit(canary, tmp_path):
    (tmp_path / "log.txt").write_text("round 1 of 1 is done")
    assert list(canary.search(tmp_path)) == []


@pytest.mark.system
def test_nothing_leaves_a_site_that_crashes(tmp_path, start_script, left_over):
    out = os.path.relpath(tmp_path / "canary", ROOT)
    run = start_script("poc/canary.py", "--crashes", "1", "--out", out)
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 0, output
    figures = json.loads(output.strip().splitlines()[-1])
    assert figures == {"crashes": 1, "left_the_site": 0, "in_the_sites_logs": 0}
    assert left_over(tmp_path) == []
