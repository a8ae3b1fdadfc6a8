"""Whether the job's tolerance of NSD suits the voxels of the site's test cases."""

from fedvox.data.check.site import SiteReport


def tolerance_warning(report: SiteReport, tolerance_mm: float) -> str:
    """One line where every voxel edge of test cases exceeds the tolerance, else empty.

    NSD counts surface voxels. Two that do not coincide are at least the smallest edge apart, so
    with a tolerance below it only voxels that coincide count.

    Args:
        report: from :func:`fedvox.data.check.site.check_site`.
        tolerance_mm: ``evaluation.nsd_tolerance_mm`` of the job.
    """
    edges = [min(case.spacing) for case in report.cases if "test" in case.parts and case.spacing]
    coarse = [edge for edge in edges if edge > tolerance_mm]
    if not coarse:
        return ""
    return (
        f"NSD's tolerance of {tolerance_mm:g} mm in the job is below every voxel edge of "
        f"{len(coarse)} of {len(edges)} test cases (smallest edge up to {max(coarse):.3g} mm): "
        "only surface voxels that coincide will count there; ask the lead for a larger "
        "evaluation.nsd_tolerance_mm, or read NSD with care"
    )
