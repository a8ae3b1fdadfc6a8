import io
import json
import re

import pytest
from metric_values import scores as values
from page_markup import check_alone, checked_tags
from PIL import Image

from fedvox.aggregation.round_text import round_text
from fedvox.errors import ConfigError
from fedvox.metrics import METRICS
from fedvox.metrics.hd95 import TITLES
from fedvox.metrics.metric import Masks, Metric
from fedvox.metrics.summary import reduce_rows, summarise
from fedvox.metrics.table import MetricRow, SummaryRow, write_csv
from fedvox.privacy.forms import share
from fedvox.report.pages.run_page import PHANTOM_BANNER, write_report
from fedvox.report.pages.scores import comparison, headline
from fedvox.report.records.failure import Failure, write_failure
from fedvox.report.records.run_record import SiteCases, write_run_record

ROUND = {"contributors": [], "refused": [], "missing": [], "validation": {}, "seconds": 1.0}
_PNG = io.BytesIO()
Image.new("RGB", (2, 2)).save(_PNG, "PNG")
PICTURE = _PNG.getvalue()
EVIL = '<script>alert("x")</script>'


def scores(model: str, site: str, modality: str, mean: float, cases: int = 4) -> list[MetricRow]:
    return [
        MetricRow(
            model, site, "test", modality, f"c{c}", "liver", values(mean + 0.01 * c, 3.5, 0.9), 50
        )
        for c in range(cases)
    ]


def three_hospitals(model: str = "global_best") -> list[MetricRow]:
    """One CT site and two MRI sites of which the second does badly."""
    return [
        *scores(model, "ukbonn.de", "ct", 0.9),
        *scores(model, "Klinikum-Nord", "mr", 0.8),
        *scores(model, "site-3", "mr", 0.4, cases=2),
    ]


def write_run(folder, phantom: bool = True, reason: str = "32 cases") -> None:
    rows = [
        MetricRow(
            model,
            "site-1",
            "test",
            modality,
            f"c{case}",
            organ,
            values(0.8 + 0.01 * case, 3.5, 0.9),
            50,
        )
        for model in ("global_best", "site-1")
        for modality in ("ct", "mr")
        for organ in ("kidney_right", "liver")
        for case in range(4)
    ]
    write_csv(folder / "metrics.csv", rows, MetricRow)
    write_csv(folder / "summary.csv", summarise(rows), SummaryRow)
    part = {"site": "site-1", "modality": "ct", "weight": 1.0, "reason": reason}
    part |= {"train_loss": 0.5, "val_dice": None, "update_norm": 2.25, "train_seconds": 3}
    rounds = [
        {"round": 0, "seconds": 75, "bytes_up": 9.4e6, "bytes_down": 512, "contributors": [part]},
        {"round": 1, "contributors": [], "refused": [{"site": "site-2", "reason": "norm 412"}]},
    ]
    (folder / "rounds.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rounds))
    model = {"fedvox_version": "0.1.0", "job": "fedgin", "phantom": phantom, "hash": "ab12"}
    model |= {
        "network": {"name": "unet", "channels": [16, 32]},
        "organs": ["kidney_right", "liver"],
    }
    (folder / "model.json").write_text(json.dumps(model | {"modalities": ["ct", "mr"], "round": 1}))
    (folder / "progress.png").write_bytes(PICTURE)
    (folder / "overlay_ct_1.png").write_bytes(PICTURE)
    (folder / "model.safetensors").write_bytes(b"")
    write_run_record(folder, "fedgin", "3f1c-ab", [SiteCases("site-1", 24)])
    (folder / "tb").mkdir()


@pytest.fixture
def page(tmp_path):
    write_run(tmp_path)
    return write_report(tmp_path).read_text(encoding="utf-8")


def test_markup_is_balanced_and_headers_have_a_scope(page):
    assert {"th", "img", "h1", "caption"} <= set(checked_tags(page))


def test_page_needs_nothing_from_outside(page):
    check_alone(page)
    assert page.count("data:image/png;base64,") == 3


def test_headline_speaks_of_the_best_global_model(page):
    result = page[page.index('id="result"') : page.index('id="hospitals"')]
    assert "global_best" in result and "site-1" not in result
    assert result.count('<div class="value">0.815</div>') == 2
    assert "4 test cases" in result


def test_tables_hold_the_numbers(page):
    for text in ("Kidney right", "HD95, mm", ">3.5<", ">0.900<", "2.250", "32 cases"):
        assert text in page
    assert "1 min 15 s" in page and "9.4 MB" in page and "512 B" in page
    assert "norm 412" in page and "Refused:" in page
    assert "ab12" in page and "0.1.0" in page and "channels: 16, 32" in page


def test_complete_folder_misses_nothing(page):
    assert "the run folder is complete" in page


def test_phantom_banner_stands_on_phantom_runs_only(tmp_path):
    write_run(tmp_path)
    assert PHANTOM_BANNER in write_report(tmp_path).read_text()
    (tmp_path / "real").mkdir()
    write_run(tmp_path / "real", phantom=False)
    assert "Phantom" not in write_report(tmp_path / "real").read_text()


def test_codes_of_phantoms_tell_where_no_record_does(tmp_path):
    write_run(tmp_path)
    for name in ("model.json", "rounds.jsonl"):
        (tmp_path / name).unlink()
    assert PHANTOM_BANNER not in write_report(tmp_path).read_text()
    table = tmp_path / "metrics.csv"
    table.write_text(table.read_text().replace(",c0,", ",phantom-00c0ffee,"))
    assert PHANTOM_BANNER in write_report(tmp_path).read_text()


def test_a_site_that_is_called_like_a_phantom_holds_none(tmp_path):
    write_run(tmp_path, phantom=False)
    table = tmp_path / "metrics.csv"
    table.write_text(table.read_text().replace(",site-1,", ",phantom-lab,"))
    assert PHANTOM_BANNER not in write_report(tmp_path).read_text()
    table.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"metrics\.csv: not a CSV file in UTF-8"):
        write_report(tmp_path)


def test_picture_is_named_with_its_model_and_its_site_as_they_are(tmp_path):
    write_run(tmp_path)
    (tmp_path / "overlay_ct_1.png").rename(tmp_path / "overlay_global_last_Klinik_Nord-2_1.png")
    assert "global_last, Klinik_Nord-2, picture 1: prediction" in write_report(tmp_path).read_text()


def test_every_text_is_escaped(tmp_path):
    write_run(tmp_path, reason=EVIL)
    rows = [SummaryRow(EVIL, EVIL, EVIL, 0.5, 0.4, 0.6, {}, 3)]
    rows.append(SummaryRow(EVIL, EVIL, "mean", 0.5, 0.4, 0.6, {}, 3))
    rows += [SummaryRow(EVIL, EVIL, "mean", 0.5, 0.4, 0.6, {}, 3, site + EVIL) for site in "ab"]
    record = {"job": EVIL, "job_id": EVIL, "written": EVIL, "fedvox_version": EVIL}
    (tmp_path / "run.json").write_text(json.dumps(record | {"sites": [{"site": EVIL}]}))
    write_csv(tmp_path / "summary.csv", rows, SummaryRow)
    model = {"job": EVIL, "network": {"name": EVIL, EVIL: [EVIL]}, "modalities": [EVIL], EVIL: EVIL}
    (tmp_path / "model.json").write_text(json.dumps(model | {"hash": EVIL, "fedvox_version": EVIL}))
    page = write_report(tmp_path).read_text()
    assert "<script" not in page.lower()
    assert page.count("&lt;script&gt;") + page.count("&lt;SCRIPT&gt;") > 20


def test_each_missing_file_is_named_with_a_reason(tmp_path):
    page = write_report(tmp_path).read_text()
    missing = page[page.index('id="missing"') :]
    for name in ("metrics.csv", "summary.csv", "rounds.jsonl", "progress.png", "overlay_*.png"):
        assert f"<code>{name}</code>: " in missing
    assert "cannot say whether the data are phantoms" in missing
    assert "No test scores" in page
    assert 'id="curves"' not in page and 'id="cases"' not in page


def test_a_summary_without_rows_says_that_no_site_had_a_case_to_score(tmp_path):
    write_run(tmp_path)
    write_csv(tmp_path / "summary.csv", [], SummaryRow)
    page = write_report(tmp_path).read_text()
    assert "No site has a test case with an organ of the job." in page


def test_summary_is_made_from_the_cases_where_it_is_missing(tmp_path):
    write_run(tmp_path)
    (tmp_path / "summary.csv").unlink()
    page = write_report(tmp_path).read_text()
    assert '<div class="value">0.815</div>' in page
    assert "<code>summary.csv</code>" in page


def test_damaged_file_is_named(tmp_path):
    write_run(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ConfigError, match=r"model\.json"):
        write_report(tmp_path)


def test_regions_stand_behind_the_structures_and_before_the_mean():
    organs = ("tumour_whole", "tumour_core", "tumour_oedema", "liver")
    rows = [MetricRow("m", "a", "test", "flair", "c", o, values(0.5), 9) for o in organs]
    headings = re.findall(r'scope="col"[^>]*>([^<]+)<', comparison(summarise(rows)))
    assert headings[3:] == ["Liver", "Tumour oedema", "Tumour whole", "Tumour core", "Mean"]


def between(page: str, first: str, then: str) -> str:
    return page[page.index(f'id="{first}"') : page.index(f'id="{then}"')]


def test_every_hospital_has_its_line_and_the_worst_is_named(tmp_path):
    write_run(tmp_path)
    rows = [*three_hospitals(), *three_hospitals("site-3")]
    write_csv(tmp_path / "summary.csv", summarise(rows), SummaryRow)
    write_run_record(tmp_path, "fedgin", "x", [SiteCases("site-4", 5), SiteCases("site-3", 9)])
    part = between(write_report(tmp_path).read_text(), "hospitals", "models")
    assert "global_best is lowest at <strong>site-3</strong>, MR: 0.405 over 2 test cases" in part
    lines = re.findall(r'<th scope="row">([^<]+)</th><td>(\w+)</td><td class="n">(\d)</td>', part)
    assert lines == [("Klinikum-Nord", "MR", "4"), ("site-3", "MR", "2"), ("ukbonn.de", "CT", "4")]
    assert "site-3 (own)" in part
    assert re.search(r"site-4</th><td colspan=.4.>no result: it has no test case", part)


def test_card_of_few_cases_has_no_interval_and_names_the_lowest_site():
    cards = headline(summarise([r for r in three_hospitals() if r.case in ("c0", "c1")]))
    assert cards.count("no interval: fewer than 3 cases") == 1  # CT has two, MRI has four
    assert "95% interval [" in cards and "lowest: 0.405 at site-3" in cards


def test_card_does_not_guess_why_an_interval_is_missing():
    two = [row for row in three_hospitals() if row.modality == "mr" and row.case in ("c0", "c1")]
    card = headline(summarise([], reduce_rows(two)))  # two cases at each of two sites
    assert "no interval: the cases do not differ, or no site tells their spread" in card


def test_head_tells_which_run_it_was_and_who_took_part(tmp_path):
    write_run(tmp_path)
    sites = [SiteCases("site-1", 24, 8, 10), SiteCases("late", 6)]
    record = write_run_record(tmp_path, "fedgin", "3f1c-ab", sites)
    write_csv(tmp_path / "summary.csv", summarise(three_hospitals()), SummaryRow)
    head = write_report(tmp_path).read_text().partition("<main>")[0]
    assert f"fedgin, {record.written} UTC, job 3f1c-ab, fedvox {record.fedvox_version}" in head
    assert "5 sites (2 with CT, 2 with MR, 1 with modality unknown); 2 rounds; " in head
    assert "cases: 30 train, 8 val, 10 test" in head


def test_folder_of_an_older_version_says_what_is_not_on_record(tmp_path):
    write_run(tmp_path)
    (tmp_path / "run.json").unlink()
    old = [row for row in summarise(three_hospitals()) if row.site == "all"]
    write_csv(tmp_path / "summary.csv", old, SummaryRow)
    page = write_report(tmp_path).read_text()
    head = page.partition("<main>")[0]
    assert "date not on record, job id not on record" in head
    assert "numbers of cases not on record" in head
    assert "holds no result per site" in between(page, "hospitals", "models")
    assert "<code>run.json</code>: date, job id, sites" in page


def test_last_model_that_was_chosen_stands_once(tmp_path):
    write_run(tmp_path)
    rows = [*three_hospitals(), *three_hospitals("global_last")]
    write_csv(tmp_path / "summary.csv", summarise(rows), SummaryRow)
    page = write_report(tmp_path).read_text()
    assert "<summary>global_last</summary>" in page and "both are shown once" not in page
    model = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(model | {"round": 2}))
    page = write_report(tmp_path).read_text()
    assert "both are shown once" in page and "global_best = last" in page
    assert "<summary>global_last</summary>" not in page
    assert "(own)" not in page


def test_page_says_which_hd95_and_which_tolerance(tmp_path):
    write_run(tmp_path)
    model = json.loads((tmp_path / "model.json").read_text())
    for name in ("max_directed", "both_directions"):
        evaluation = {"hd95": name, "nsd_tolerance_mm": 3.0}
        settings = {"evaluation": evaluation}
        (tmp_path / "model.json").write_text(json.dumps(model | {"settings": settings}))
        page = write_report(tmp_path).read_text()
        assert page.count(TITLES[name]) == 2
        assert "here 3.0 mm" in page
        assert "is below every voxel edge" not in page
    write_run_record(tmp_path, "fedgin", "x", [SiteCases("site-1", 24, coarse=3)])
    page = write_report(tmp_path).read_text()
    note = "tolerance of 3 mm is below every voxel edge of test cases (3 of site-1)"
    assert note in between(page, "result", "hospitals")


def test_rounds_are_counted_from_one_as_on_the_console(page):
    assert re.findall(r'scope="rowgroup"[^>]*>(\w+)<', page) == ["1", "2"]
    assert round_text({**ROUND, "round": 0}, 2).startswith("round 1 of 2")


def test_a_note_stands_under_the_round_that_the_table_and_the_console_name(tmp_path):
    write_run(tmp_path)
    (tmp_path / "rounds.jsonl").write_text('{"round": 0, "notes": ["site-2 came late"]}\n')
    assert "<li>Round 1: site-2 came late</li>" in write_report(tmp_path).read_text()


def test_damaged_record_of_the_run_is_named(tmp_path):
    write_run(tmp_path)
    for broken in ("{", '{"sites": 3}', '{"sites": [{"site": 1}], "job": "a"}'):
        (tmp_path / "run.json").write_text(broken)
        with pytest.raises(ConfigError, match=r"run\.json"):
            write_report(tmp_path)


def test_a_further_metric_says_what_it_is(tmp_path, monkeypatch):
    def ratio(masks: Masks) -> float:
        """Ratio of volumes, ``|P| < |R|``."""
        return 1.0

    monkeypatch.setattr(METRICS, "_entries", dict(METRICS.items()))
    METRICS.register("ratio")(Metric(ratio, "Ratio", share(), "higher", missed=0.0, invented=0.0))
    write_run(tmp_path)
    page = write_report(tmp_path).read_text()
    assert "<strong>Ratio</strong>: Ratio of volumes, |P| &lt; |R|. Higher is better." in page


def test_page_of_a_failed_run_begins_with_the_reason_and_escapes_it(tmp_path):
    assert 'role="alert"' not in write_report(tmp_path).read_text()
    write_failure(tmp_path, Failure("start", None, (), "<b>evil</b> runs fedvox 0.0.1"))
    page = write_report(tmp_path).read_text()
    assert "The run failed (start): &lt;b&gt;evil&lt;/b&gt; runs fedvox 0.0.1" in page


def test_page_before_the_evaluation_says_so(tmp_path):
    record = '{"round": 2, "final": true, "evaluated": false, "notes": ["<i>late</i> came"]}\n'
    (tmp_path / "rounds.jsonl").write_text(record)
    page = write_report(tmp_path).read_text()
    assert "Not evaluated." in page
    assert "At the end: &lt;i&gt;late&lt;/i&gt; came" in page
