"""Phantoms that a job cannot use are refused with the setting to change, which then works."""

import pytest

from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.flare.jobs.folder import find_job, job_settings
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.job.phantom_fit import check_phantoms
from fedvox.job.settings import job_from

ABDOMEN = "data.organs=liver"
MISFITS = [
    ("fedsegnet", ["phantom.modalities=t1+t1ce"], "lacks t2, flair", "data.missing_channels=true"),
    (
        "fedsegnet",
        ["phantom.incomplete=0.5"],
        "'phantom.incomplete' is 0.5",
        "phantom.incomplete=0",
    ),
    (
        "fedsegnet",
        ["phantom.body=heart", "phantom.modalities=ct,mr"],
        "'phantom.body' heart holds none of 'data.organs'",
        "phantom.body=brain phantom.modalities=t1+t1ce+t2+flair",
    ),
    (
        "fedsegnet",
        [ABDOMEN, "data.modalities=ct", "data.channels=[]"],
        "'phantom.body' brain holds none",
        "phantom.body=abdomen phantom.modalities=ct",
    ),
    (
        "fedgin",
        ["data.modalities=mr"],
        "'ct' of 'phantom.modalities' is none",
        "data.modalities=ct,mr",
    ),
    (
        "brats",
        ["data.channels=[]"],
        "is 4 images of a case and the job takes one",
        "phantom.modalities=t1,flair",
    ),
]


def checked(job: str, changes: list[str]) -> None:
    settings = job_from(apply_overrides(to_mapping(job_settings(find_job(job))), changes))
    check_phantoms(settings.phantom, settings.data, settings.phantom.modalities)


@pytest.mark.parametrize("job", ["fedgin", "fedsegnet", "mixmfl", "fedavg", "brats"])
def test_the_phantoms_of_every_job_fit_it(job):
    checked(job, [])


@pytest.mark.parametrize(("job", "changes", "told", "remedy"), MISFITS)
def test_a_misfit_names_the_setting_and_its_remedy_works(job, changes, told, remedy):
    with pytest.raises(ConfigError, match=told) as caught:
        checked(job, changes)
    assert "FEDVOX_SITE" in str(caught.value) and "site file " not in str(caught.value)
    mended = dict(change.split("=", 1) for change in [*changes, *remedy.split()])
    checked(job, [f"{key}={value}" for key, value in mended.items()])
