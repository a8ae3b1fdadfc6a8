"""``fedvox evaluate``: external validation at one site."""

import json
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.inference.model_files.model_file import describe_model, write_model
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.metrics.table import MetricRow, SummaryRow, read_csv


@pytest.fixture
def site_file(phantom_site, tmp_path) -> Path:
    """A CT site that only tests: two of its cases, none for training."""
    split = {"test": ["phantom_0005", "phantom_0006"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    content = {
        "dataset": "phantom",
        "root": str(phantom_site("ct")),
        "modalities": ["ct"],
        "split": "split.json",
    }
    path = tmp_path / "hospital-x.json"
    path.write_text(json.dumps(content))
    return path


def evaluated(model: Path, site_file: Path, out: Path) -> int:
    words = ["evaluate", "--model", model, site_file, "--out", out, "--threads", 1]
    return main([str(word) for word in words])


def test_a_site_that_only_tests_gets_a_table_and_its_rows(
    shared_model, site_file, tmp_path, capsys
):
    out = tmp_path / "private/x"
    assert evaluated(shared_model, site_file, out) == 0
    printed = capsys.readouterr().out
    assert " ct " in printed and "(own)" not in printed and f"results: {out}" in printed
    rows = read_csv(out / "metrics.csv", MetricRow)
    assert {(row.site, row.split, row.modality) for row in rows} == {("hospital-x", "test", "ct")}
    assert len({row.case for row in rows}) == 2
    summary = read_csv(out / "summary.csv", SummaryRow)
    assert {row.cases for row in summary if row.organ == "mean"} == {2}
    assert out.stat().st_mode & 0o077 == 0


def test_a_report_of_phantom_cases_says_so(shared_model, site_file, tmp_path):
    out = tmp_path / "x"
    assert evaluated(shared_model, site_file, out) == 0
    assert all(r.case.startswith("phantom-") for r in read_csv(out / "metrics.csv", MetricRow))
    assert main(["report", str(out)]) == 0
    assert "Phantom data" in (out / "report.html").read_text()


@pytest.mark.parametrize(("trained", "noted"), [("mr", True), ("ct", False)])
def test_a_modality_that_the_model_has_never_seen_is_told(
    make_model, site_file, tmp_path, capsys, trained, noted
):
    model = make_model("ct", "mr")
    told = json.loads(model.with_suffix(".json").read_text())
    model.with_suffix(".json").write_text(json.dumps(told | {"modalities": [trained]}))
    assert evaluated(model, site_file, tmp_path / "x") == 0
    note = "note: the model was trained without this modality: ct\n"
    assert (note in capsys.readouterr().err) is noted


def test_tables_call_a_model_as_its_description_does(make_model, site_file, tmp_path, capsys):
    model = make_model("ct")
    told = model.with_name("model.json")
    told.write_text(json.dumps(json.loads(told.read_text()) | {"model": "global_last"}))
    out = tmp_path / "x"
    assert evaluated(model, site_file, out) == 0
    printed = capsys.readouterr().out
    assert "global_last" in printed and "global_best" not in printed
    assert {row.model for row in read_csv(out / "metrics.csv", MetricRow)} == {"global_last"}
    assert main(["report", str(out)]) == 0


def test_json_holds_the_summary_and_no_nan(shared_model, site_file, capsys):
    words = ["evaluate", "--model", str(shared_model), str(site_file), "--json", "--threads", "1"]
    assert main(words) == 0
    told = json.loads(
        capsys.readouterr().out, parse_constant=lambda text: pytest.fail(f"holds {text}")
    )
    assert told["skipped"] == 0
    assert {row["model"] for row in told["summary"]} == {"global_best"}


def test_a_part_without_cases_is_an_error(shared_model, site_file, capsys):
    assert main(["evaluate", "--model", str(shared_model), str(site_file), "--split", "val"]) == 1
    assert "hospital-x: no validation case among 2" in capsys.readouterr().err


def test_a_modality_that_the_model_does_not_know_is_refused(make_model, site_file, capsys):
    model = make_model("mr")
    assert main(["evaluate", "--model", str(model), str(site_file)]) == 1
    error = capsys.readouterr().err
    assert "the site holds ct, the model is for mr" in error


def test_a_model_of_a_job_with_subsets_gets_a_table_of_them(
    subset_job, brats_site, tmp_path, capsys
):
    weights = weights_of(initial_model(subset_job))
    told = describe_model(subset_job, weights, 1, True, ["t1+t2+flair"])
    model = write_model(tmp_path / "model", weights, told)
    content = {"dataset": "brats", "root": str(brats_site), "modalities": ["t1", "t2"]}
    site_file = tmp_path / "hospital-x.json"
    site_file.write_text(json.dumps(content | {"split": "test"}))
    assert evaluated(model, site_file, tmp_path / "x") == 0
    table, _, by_subset = capsys.readouterr().out.partition("Dice of global_best by modality")
    assert "t1+t2" in table and " t2 " not in table
    assert [line.split()[0] for line in by_subset.splitlines()[3:6]] == ["t1", "t2", "t1+t2"]
    rows = read_csv(tmp_path / "x/metrics.csv", MetricRow)
    assert {row.modality for row in rows} == {"t1", "t2", "t1+t2"}
    summary = read_csv(tmp_path / "x/summary.csv", SummaryRow)
    assert {row.cases for row in summary if row.organ == "mean"} == {4}
