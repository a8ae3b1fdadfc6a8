from pathlib import Path

import pytest

from fedvox.flare.jobs.export import export_job

JOBS = Path(__file__).parents[3] / "jobs"


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_an_exported_job_says_what_it_is_and_not_what_its_source_was(tmp_path):
    changes = ["data.organs=liver,spleen", "training.rounds=3", "augmentation.name=none"]
    text = readme(export_job(JOBS / "fedgin", tmp_path, overrides=changes, name="two"))
    assert text.startswith("# two\n\n**Trains** one 3D network for liver, spleen over CT and MR")
    assert "from the job `fedgin`" in text and "Augmentation: none. 3 rounds" in text
    assert "| `training.rounds` | `6` | `3` |" in text
    assert '| `data.organs` | `["liver", "spleen", "kidney_right"' in text
    assert "pancreas and gallbladder" not in text and "0.722" not in text  # of fedgin's README


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("preinstalled", ("configuration only", "fedvox doctor --kit KIT --job two")),
        ("carried", ("A copy of the package", "fedvox job diff two")),
        ("pinned", ("`app/custom` holds its version", "nvflare simulator two")),
    ],
)
def test_it_says_how_its_code_gets_to_a_site_and_how_to_run_it(tmp_path, code, words):
    text = readme(export_job(JOBS / "fedgin", tmp_path, code, name="two"))
    assert all(word in text for word in words)


def test_a_copy_says_that_no_setting_was_changed(tmp_path):
    text = readme(export_job(JOBS / "fedgin", tmp_path))
    assert "No setting." in text and "| setting |" not in text


def test_the_number_of_sites_is_told(tmp_path):
    text = readme(export_job(JOBS / "fedgin", tmp_path, overrides=["waiting.sites=3"]))
    assert "It waits for 3 sites" in text


def test_a_job_that_plans_does_not_claim_to_train(tmp_path):
    text = readme(export_job(JOBS / "plan", tmp_path, name="mine"))
    assert "**Trains nothing**" in text and "rounds of" not in text


def test_an_export_of_an_export_names_its_own_source(tmp_path):
    first = export_job(JOBS / "fedgin", tmp_path / "a", overrides=["training.rounds=3"], name="one")
    text = readme(export_job(first, tmp_path / "b", overrides=["training.rounds=4"], name="two"))
    assert "from the job `one`" in text and "| `training.rounds` | `3` | `4` |" in text


def test_the_simulators_command_names_as_many_sites_as_the_job_speaks_of(tmp_path):
    three = ["phantom.modalities=ct,mr,mr"]
    text = readme(export_job(JOBS / "fedgin", tmp_path / "a", "pinned", three, "three"))
    assert "\nnvflare simulator three -n 3 -t 3\n" in text
    uneven = ["phantom.quality=good,noisy,small,wrong_labels"]
    text = readme(export_job(JOBS / "fedgin", tmp_path / "d", "pinned", uneven, "four"))
    assert "\nnvflare simulator four -n 4 -t 4\n" in text
    many = ["waiting.sites=4"]
    text = readme(export_job(JOBS / "fedgin", tmp_path / "b", "pinned", many, "two"))
    assert "\nnvflare simulator two -n 4 -t 4\n" in text
    assert "\nnvflare simulator two\n" in readme(
        export_job(JOBS / "fedgin", tmp_path / "c", "pinned", name="two")
    )
