import dataclasses

import pytest

from fedvox.aggregation.weighing import WEIGHING, build_weighing, weighing_settings
from fedvox.aggregation.weighing.settings import AdaptiveSettings, FedPIDSettings, WeighingSettings
from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.job.settings import job_from

JOB = {"name": "a", "data": {"organs": ["liver"]}}


def set_in(mapping, *overrides):
    changed = apply_overrides(mapping, [f"training.client_weight{text}" for text in overrides])
    return job_from(changed).training.client_weight


@pytest.mark.parametrize("name", list(WEIGHING))
def test_a_name_is_short_for_its_defaults(name):
    settings = job_from(JOB | {"training": {"client_weight": name}}).training.client_weight
    assert settings == weighing_settings(name) and settings.name == name
    assert to_mapping(settings)["name"] == name
    assert callable(build_weighing(settings))


def test_cases_weigh_where_a_job_says_nothing():
    assert job_from(JOB).training.client_weight == WeighingSettings("cases")


def test_keys_of_a_rule_are_set_as_those_of_a_loss():
    short = JOB | {"training": {"client_weight": "adaptive"}}
    assert set_in(short, ".divergence=1") == AdaptiveSettings(divergence=1.0)
    assert set_in(JOB, "=fedpid", ".drop=0") == FedPIDSettings(drop=0.0)
    assert set_in(JOB, ".name=adaptive", ".quality=0") == AdaptiveSettings(quality=0.0)
    assert set_in(short, ".name=uniform") == WeighingSettings("uniform")


def test_a_key_of_another_rule_is_refused_by_name():
    with pytest.raises(ConfigError, match="client weight 'cases'; divergence belongs to adaptive;"):
        set_in(JOB, ".divergence=1")


@pytest.mark.parametrize("field", dataclasses.fields(AdaptiveSettings)[1:], ids=lambda f: f.name)
def test_settings_out_of_range_are_refused(field):
    rule = {"name": "adaptive", field.name: field.metadata["high"] + 1}
    with pytest.raises(ConfigError, match=f"client_weight.{field.name}'.* at most"):
        job_from(JOB | {"training": {"client_weight": rule}})


def test_bounds_between_which_no_share_lies_are_refused():
    rule = {"name": "adaptive", "least": 0.5, "most": 0.4}
    with pytest.raises(ConfigError, match=r"least' is 0\.5 and .* 0\.4; .*lower the one"):
        job_from(JOB | {"training": {"client_weight": rule}})


def test_quality_is_asked_for_where_it_changes_a_weight():
    assert [name for name in WEIGHING if weighing_settings(name).asks_quality] == ["adaptive"]
    assert not AdaptiveSettings(quality=0.0).asks_quality


def test_a_site_of_most_cases_is_warned_of_where_nothing_bounds_its_share():
    assert [name for name in WEIGHING if weighing_settings(name).by_cases] == ["cases"]
    assert AdaptiveSettings(most=1.0).by_cases and not AdaptiveSettings(cases=0, most=1.0).by_cases
