import csv
import json
import stat
from pathlib import Path

from fedvox.data.check.listing import COLUMNS, is_list, write_files, write_list
from fedvox.data.check.site import check_site
from fedvox.data.check.summary import to_mapping


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_code_leads_to_its_files_and_nothing_is_passed_over_unnamed(site, tmp_path):
    (Path(site.root) / "images" / "miller_anna_1.nii.gz").write_bytes(b"")
    (Path(site.root) / "labels" / "anna.nii.gz").touch()
    Path(site.split).write_text(
        json.dumps({"train": ["miller_anna_0", "miller_anna_1"], "val": ["miller_anna_2"]})
    )
    report = check_site(site)
    path = tmp_path / "files.csv"
    write_list(path, report)
    found = {row["identifier"]: row for row in rows(path)}
    assert [found[f"miller_anna_{n}"]["state"] for n in range(4)] == [
        *("used", "refused", "used"),
        "not in the split",
    ]
    refused = found["miller_anna_1"]
    assert refused["code"] in {case.code for case in report.cases if case.refused}
    assert "images/miller_anna_1.nii.gz" in refused["files"] and "empty" in refused["findings"]
    stray = found["anna.nii.gz"]
    assert (stray["state"], stray["files"]) == (
        "passed over",
        str(Path(site.root) / "labels" / "anna.nii.gz"),
    )
    assert stray["findings"].startswith("labels without an image of their name; name each label")


def test_the_list_is_private_and_what_is_printed_names_no_file(site, tmp_path):
    (Path(site.root) / "labels" / "anna.nii.gz").touch()
    report = check_site(site)
    write_list(tmp_path / "files.csv", report)
    assert stat.S_IMODE((tmp_path / "files.csv").stat().st_mode) == 0o600
    assert "anna" not in json.dumps(to_mapping(report))


def test_only_such_a_list_is_taken_for_one(site, tmp_path):
    write_list(tmp_path / "files.csv", check_site(site))
    assert is_list(tmp_path / "files.csv")
    (tmp_path / "other.csv").write_text("state,code\n")
    (tmp_path / "image").write_bytes(b"\xff\xfe")
    assert not any(map(is_list, (tmp_path / "other.csv", tmp_path / "image", tmp_path / "none")))
    assert COLUMNS[0] == "state"


def test_names_that_are_no_text_do_not_stop_the_list(site, tmp_path):
    odd = Path(site.root) / "labels" / "m\udcfcller.nii.gz"
    odd.touch()
    write_list(tmp_path / "files.csv", check_site(site))
    assert rows(tmp_path / "files.csv")[-1]["state"] == "passed over"


def test_no_cell_is_a_formula(tmp_path):
    write_files(tmp_path / "files.csv", [Path("=1+1.nii"), Path("-2.nii")], "@SUM(1)")
    found = rows(tmp_path / "files.csv")
    assert [row["identifier"] for row in found] == ["'=1+1.nii", "'-2.nii"]
    assert found[0]["files"] == "'=1+1.nii" and found[0]["findings"] == "'@SUM(1)"
