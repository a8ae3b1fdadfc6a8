"""A site's name is looked at before its first run."""

import pytest

from fedvox.doctor.examine import examine
from fedvox.doctor.kit import Kit
from fedvox.finding import FAIL, PASS


@pytest.mark.parametrize(
    ("name", "status"), [("site-1", PASS), ("Klinikum-Nord_2", PASS), ("global_best", FAIL)]
)
def test_a_name_that_would_be_mistaken_is_found(kits, monkeypatch, name, status):
    monkeypatch.setattr(Kit, "name", property(lambda kit: name))
    found = {finding.check: finding for finding in examine(kits.kit("site-1"), None, None)}
    assert found["name"].status == status
    assert name in found["name"].message
    if status == FAIL:
        assert found["name"].remedy.startswith("ask the operator for a kit under another name")


def test_a_person_needs_no_site_name(kits):
    found = {finding.check for finding in examine(kits.kit("lead@hospital-a.org"), None, None)}
    assert "name" not in found and "kit" in found
