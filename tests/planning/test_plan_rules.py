"""Spacing and patch from made-up fingerprints."""

import numpy as np

from fedvox.planning.fingerprint import FEATURES, ORGAN_HU, CaseFingerprint, summarise_cases
from fedvox.planning.plan_rules import median_patch, plan_spacing, plan_window, shrink

ONE = (1.0, 1.0, 1.0)


def cases_of(modality, *sizes, extent=(100.0, 100.0, 100.0)):
    cases = [CaseFingerprint(size, extent) for size in sizes]
    return summarise_cases(modality, len(cases), cases)


def test_spacing_is_the_median_of_each_axis():
    found, reason = plan_spacing({"ct": cases_of("ct", (1, 1, 2), (1, 2, 3), (3, 2, 2.5))})
    assert found == (1.0, 2.0, 2.5)
    assert reason == "median of 3 cases"


def test_many_ct_cases_do_not_outvote_few_mr_cases():
    ct, mr = cases_of("ct", *[ONE] * 90), cases_of("mr", *[(2.0, 2.0, 2.0)] * 10)
    alone, _ = plan_spacing({"ct": ct, "mr": mr})
    more = cases_of("ct", *[ONE] * 900)
    assert plan_spacing({"ct": more, "mr": mr})[0] == alone
    mixed = cases_of("mr", *[(2.0, 2.0, 2.0)] * 9, (0.5, 0.5, 0.5))
    assert plan_spacing({"ct": more, "mr": mixed})[0] == ONE


def test_a_much_coarser_axis_gets_its_tenth_percentile():
    sizes = [(1.0, 1.0, 5.0)] * 8 + [(1.0, 1.0, 2.5)] * 2
    found, reason = plan_spacing({"mr": cases_of("mr", *sizes)})
    assert found == (1.0, 1.0, 2.5)
    assert "10th percentile along superior" in reason


def test_the_coarse_axis_never_becomes_finer_than_the_others():
    sizes = [(1.0, 1.0, 5.0)] * 8 + [(1.0, 1.0, 0.5)] * 2
    assert plan_spacing({"mr": cases_of("mr", *sizes)})[0] == (1.0, 1.0, 1.0)


def test_three_times_as_coarse_is_not_yet_anisotropic():
    sizes = [(1.0, 1.0, 3.0)] * 8 + [(1.0, 1.0, 1.0)] * 2
    assert plan_spacing({"mr": cases_of("mr", *sizes)})[0] == (1.0, 1.0, 3.0)


def test_the_longest_edge_shrinks_first():
    assert shrink((64, 32, 96), 8, lambda voxels: voxels <= 64 * 32 * 64) == (64, 32, 64)
    assert shrink((64, 32, 96), 8, lambda voxels: voxels <= 8 * 8 * 8) is None


def test_small_images_leave_the_deepest_level_more_than_one_voxel():
    tiny = cases_of("mr", ONE, extent=(5.0, 5.0, 5.0))
    assert median_patch({"mr": tiny}, ONE, 16) == (32, 16, 16)


def test_the_window_is_that_of_the_ct_among_several_channels():
    organs = FEATURES[ORGAN_HU].histogram(np.array([100.0]))
    own = CaseFingerprint(ONE, (100.0,) * 3, organs)
    window, reason = plan_window({"ct+mr": summarise_cases("ct+mr", 2, [own, own])})
    assert window == (100.0, 104.0)
    assert reason.endswith("inside the organs of 2 CT cases")
    assert window == plan_window({"ct": summarise_cases("ct", 2, [own, own])})[0]
    window, reason = plan_window({"t1+flair": summarise_cases("t1+flair", 2, [own, own])})
    assert window is None and "no site contributed CT" in reason
