import json

import pytest

import fedvox.phantoms
from fedvox.errors import ConfigError
from fedvox.phantoms.find_body import body_named, body_names
from fedvox.phantoms.writer import describe_phantoms, write_phantom_site

KNEE = """
from dataclasses import replace

from fedvox.phantoms.abdomen import BODY as ABDOMEN

BODY = replace(ABDOMEN, name="knee", modalities={"mr": ("mr_t1",)}, sites=("mr",))
"""


@pytest.fixture
def knee(tmp_path, monkeypatch):
    """A body that is nothing but a folder of its own."""
    (tmp_path / "more" / "knee").mkdir(parents=True)
    (tmp_path / "more" / "knee" / "__init__.py").write_text(KNEE)
    path = [*fedvox.phantoms.__path__, str(tmp_path / "more")]
    monkeypatch.setattr(fedvox.phantoms, "__path__", path)
    body_names.cache_clear()
    yield "knee"
    body_names.cache_clear()


@pytest.mark.parametrize("name", body_names())
def test_a_body_is_named_like_its_folder_and_fits_its_field_of_view(name):
    body = body_named(name)
    assert body.name == name and body.organs and body.sites
    for site in body.sites:
        assert all(body.contrast(c) for part in body.parts(site) for c in body.modalities[part])


def test_a_new_body_takes_a_new_folder_and_nothing_else(knee, tmp_path):
    assert knee in body_names()
    folder = tmp_path / "site"
    write_phantom_site(folder, "mr", {"test": 1}, seed=0, site=1, spacing_mm=24, body=knee)
    (case,) = json.loads((folder / "phantom.json").read_text())["cases"]
    assert case["contrast"] == "mr_t1"
    assert describe_phantoms(folder, "mr", knee)["dataset"] == "phantom"


def test_unknown_body_names_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"did you mean 'brain'.*choose one of: abdomen, brain, heart"
    ):
        body_named("brian")


@pytest.mark.parametrize("modality", ["ct+mr", "mr+mr", "flair", ""])
def test_an_abdomen_has_one_modality_per_site(modality):
    with pytest.raises(ConfigError, match=r"choose one of: ct, mr, mr_t1, mr_t2$"):
        body_named("abdomen").parts(modality)


@pytest.mark.parametrize("modality", ["ct", "t1+", "t1+t1", "t1 + t2"])
def test_a_brain_has_each_of_its_contrasts_once(modality):
    with pytest.raises(ConfigError, match='t1, t1ce, t2, flair, or several joined by "\\+"'):
        body_named("brain").parts(modality)
    assert body_named("brain").parts("flair+t1") == ("flair", "t1")
