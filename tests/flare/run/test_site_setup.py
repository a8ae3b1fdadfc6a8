import json
import logging

import pytest

from fedvox.errors import ConfigError, DataError
from fedvox.flare.run import site_setup
from fedvox.flare.run.site_setup import phantom_site, set_up_site
from fedvox.job.settings import job_from
from fedvox.phantoms.settings import PhantomSettings

LOGGER = "fedvox.flare.run.site_setup"


@pytest.fixture
def written(monkeypatch):
    """Notes what phantom sites would be written, instead of writing them."""
    calls: list[tuple[str, int]] = []

    def write(folder, modality, counts, seed, site, **options):
        folder.mkdir(parents=True)
        calls.append((modality, site))

    monkeypatch.setattr(site_setup, "write_phantom_site", write)
    return calls


@pytest.mark.parametrize(
    ("name", "modality", "number"),
    [
        ("site-1", "ct", 1),
        ("site-2", "mr_t1", 2),
        ("site-3", "mr_t2", 3),
        ("site-4", "ct", 4),
        ("hospital12", "mr_t2", 12),
        ("clinic", "ct", 1),
    ],
)
def test_number_of_the_site_chooses_its_modality(tmp_path, written, name, modality, number):
    settings = PhantomSettings(modalities=("ct", "mr_t1", "mr_t2"))
    site = phantom_site(name, settings, tmp_path / "phantom")
    assert written == [(modality, number)]
    assert site.modalities == (modality.split("_")[0],)
    assert (site.dataset, site.split) == ("phantom", "dataset")


def test_a_brain_site_names_its_contrasts_in_its_own_order_and_its_split_file(tmp_path, written):
    settings = PhantomSettings(body="brain", modalities=("t1+t2", "flair+t1"))
    site = phantom_site("site-2", settings, tmp_path / "phantom")
    assert written == [("flair+t1", 2)]
    assert (site.dataset, site.modalities) == ("brats", ("flair", "t1"))
    assert site.split == str(tmp_path / "phantom" / "split.json")


def test_cases_lack_modalities_as_the_job_says(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        site_setup, "write_phantom_site", lambda *told, **options: asked.append(options)
    )
    settings = PhantomSettings(body="brain", modalities=("t1+t2", "t1"), incomplete=0.25)
    phantom_site("site-1", settings, tmp_path / "phantom")
    assert asked[0]["incomplete"] == 0.25


def test_phantoms_are_announced_loudly_whenever_a_process_starts(party, tiny, caplog):
    site = party("site-2", job_id="simulate_job")
    for _ in range(2):
        caplog.clear()
        set_up_site(site.context(), job_from(tiny))
        ((_, level, message),) = [entry for entry in caplog.record_tuples if entry[0] == LOGGER]
        assert level == logging.WARNING
        assert message.startswith("site-2: NO SITE FILE, USING PHANTOM DATA")
        assert "not evidence about patients" in message


def test_site_with_a_site_file_announces_no_phantoms(party, tiny, phantom_site, caplog):
    site = party("site-1", job_id="simulate_job")
    site_file(site, phantom_site)
    set_up_site(site.context(), job_from(tiny))
    assert "PHANTOM" not in caplog.text


def test_phantoms_are_written_once(tmp_path, written):
    for _ in range(2):
        phantom_site("site-1", PhantomSettings(), tmp_path / "phantom")
    assert len(written) == 1


def test_missing_site_file_outside_the_simulator_is_an_error_with_a_remedy(party, tiny, written):
    with pytest.raises(ConfigError, match=r"site-1: no fedvox_site\.json .*; describe the site"):
        set_up_site(party("site-1").context(), job_from(tiny))
    assert written == []


def site_file(party, phantom_site, **values) -> None:
    content = {"dataset": "phantom", "root": str(phantom_site("ct")), "modalities": ["ct"]}
    path = party.root / "local" / "fedvox_site.json"
    path.write_text(json.dumps(content | {"split": "dataset"} | values))


def test_site_file_in_the_workspace_is_used_under_the_simulator_too(
    party, tiny, written, phantom_site
):
    site = party("site-1", job_id="simulate_job")
    site_file(site, phantom_site)
    setup = set_up_site(site.context(), job_from(tiny))
    assert written == []
    assert [len(cases) for cases in (setup.data.train, setup.data.val, setup.data.test)] == [
        3,
        1,
        2,
    ]
    assert setup.data.share == "summary"
    assert setup.state == site.run_dir / "fedvox_state" / "site-1"


def test_variable_comes_before_the_workspace(party, tiny, phantom_site, tmp_path, monkeypatch):
    site = party("site-1")
    site_file(site, phantom_site, root="/nowhere")
    site.root.joinpath("local", "fedvox_site.json").rename(tmp_path / "site-1.json")
    monkeypatch.setenv("FEDVOX_SITE", str(tmp_path / "{site}.json"))
    site_file(site, phantom_site)
    with pytest.raises(ConfigError, match="'root' is not a folder on this machine; mend it there"):
        set_up_site(site.context(), job_from(tiny))


def test_state_and_prepared_cases_lie_in_the_cache_of_the_site_file(
    party, tiny, phantom_site, tmp_path
):
    site = party("site-1")
    site_file(site, phantom_site, cache=str(tmp_path / "cache"))
    setup = set_up_site(site.context(), job_from(tiny))
    assert setup.state.parent.parent == tmp_path / "cache"
    assert setup.data.train[0].path.parent == tmp_path / "cache" / "prepared"


def test_data_of_another_modality_than_the_site_file_says_are_an_error(party, tiny, phantom_site):
    site = party("site-1")
    site_file(site, phantom_site, modalities=["mr"])
    with pytest.raises(DataError, match=r"phantom\.json says 'ct', the site file says 'mr'"):
        set_up_site(site.context(), job_from(tiny))


def test_an_unknown_attachment_is_refused_before_cases_are_prepared(party, tiny, phantom_site):
    site = party("site-1")
    site_file(site, phantom_site, attachments=["statistics"])
    with pytest.raises(ConfigError, match=r"site-1: fedvox_site\.json: 'attachments' names 'stat"):
        set_up_site(site.context(), job_from(tiny))
