"""A dry run never deletes what it did not make."""

import multiprocessing
from pathlib import Path

import pytest

from fedvox.errors import ConfigError
from fedvox.flare.loopback.dry_run import exit_code, site_modalities, work_folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "precious").write_text("x")
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("out", [".", "..", "../..", "/", "../checkout"])
def test_the_current_folder_and_its_parents_are_refused(here, out):
    with pytest.raises(ConfigError, match="name a folder of its own"):
        work_folder(Path(out))
    assert (here / "precious").is_file()


def test_a_folder_with_other_files_is_refused(here):
    (here / "results").mkdir()
    (here / "results/thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="other files than a run's"):
        work_folder(Path("results"))
    assert (here / "results/thesis.tex").is_file()


def test_a_folder_in_which_another_process_works_is_left_alone(here):
    ours, theirs = multiprocessing.Pipe()

    def work_elsewhere():
        theirs.send(work_folder(Path("runs/poc")))
        theirs.recv()

    # A fork has FLARE loaded already.
    other = multiprocessing.get_context("fork").Process(target=work_elsewhere)
    other.start()
    work = ours.recv()
    (work / "kits").mkdir()
    with pytest.raises(ConfigError, match="another run works in"):
        work_folder(Path("runs/poc"))
    assert (work / "kits").is_dir()
    ours.send("done")
    other.join()
    assert work_folder(Path("runs/poc")) == work
    assert not (work / "kits").exists()


def test_an_earlier_run_and_an_empty_folder_are_taken(here):
    first = work_folder(Path("runs/poc"))
    (first / "old").write_text("")
    out = here / "runs/poc"
    out.mkdir()
    assert list(work_folder(out).iterdir()) != []
    for name in ("rounds.jsonl", "model.json"):
        (out / name).write_text("")
    second = work_folder(out)
    assert second == first
    assert not (second / "old").exists()


def test_a_work_folder_of_somebody_else_is_refused(here):
    other = here / ".work/out"
    other.mkdir(parents=True)
    (other / "x").write_text("")
    with pytest.raises(ConfigError, match="not ours"):
        work_folder(Path("out"))


def test_every_further_target_is_checked_before_anything_is_made(here):
    (here / "out-console").mkdir()
    (here / "out-console/thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="out-console holds other files than a run's"):
        work_folder(Path("out"), Path("out-console"))
    assert {path.name for path in here.iterdir()} == {"precious", "out-console"}


def test_a_place_that_cannot_be_written_is_one_line(capsys):
    assert exit_code("dry run", lambda: print(work_folder(Path("/proc/x/y")))) == 1
    assert capsys.readouterr().err == (
        "dry run: error: /proc/x: No such file or directory; mend it or name another place\n"
    )


def test_a_blank_in_the_path_is_refused(here):
    with pytest.raises(ConfigError, match="blank"):
        work_folder(Path("my runs/poc"))


BRAIN = "t1+t1ce+t2+flair"


@pytest.mark.parametrize(
    ("job", "overrides", "sites", "expected"),
    [
        ("fedgin", [], None, ["ct", "mr", "mr"]),
        ("brats", [], None, [BRAIN] * 3),
        ("fedgin", ['phantom.modalities=["mr"]'], None, ["mr"] * 3),
        ("fedgin", [], "mr,ct", ["mr", "ct"]),
    ],
)
def test_sites_hold_the_jobs_phantoms_unless_they_are_named(job, overrides, sites, expected):
    assert site_modalities(job, overrides, sites, 3) == expected


def test_named_sites_that_the_job_has_no_phantoms_for_are_refused_as_they_were_given():
    with pytest.raises(ConfigError, match=r"^--sites ct,mr,mr: 'phantom.modalities"):
        site_modalities("brats", [], "ct,mr,mr", 3)
