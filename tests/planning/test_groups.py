from itertools import combinations

import pytest

from fedvox.data.settings import DataSettings
from fedvox.planning.groups import plan_group, plan_groups

FOUR = ("t1", "t1ce", "t2", "flair")


@pytest.mark.parametrize("lenient", [False, True])
def test_a_job_with_channels_is_one_group_whatever_its_cases_lack(lenient):
    job = DataSettings(("liver",), modalities=FOUR, channels=FOUR, missing_channels=lenient)
    assert plan_groups(job) == ("t1+t1ce+t2+flair",)
    sets = ["+".join(chosen) for size in (1, 2, 4) for chosen in combinations(FOUR, size)]
    assert {plan_group(name, job) for name in sets} == set(plan_groups(job))


def test_without_channels_each_modality_is_one():
    job = DataSettings(("liver",), modalities=("mr", "ct"))
    assert plan_groups(job) == ("mr", "ct")
    assert [plan_group(name, job) for name in ("ct", "mr")] == ["ct", "mr"]
