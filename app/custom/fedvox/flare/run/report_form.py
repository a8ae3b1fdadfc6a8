"""What an evaluation report may speak of, as the sending site and the server both know it."""

from collections.abc import Mapping

from fedvox.admission.registration import Registration
from fedvox.data.organs import scored_structures
from fedvox.flare.run.messages import MODEL_BEST, MODEL_LAST, SERVER_PREFIX
from fedvox.job.settings import JobSettings
from fedvox.metrics.columns import forms
from fedvox.metrics.summary import TEST_SPLIT
from fedvox.metrics.table import MEAN_ORGAN, MetricRow, SharedSummary
from fedvox.privacy.reports import ReportForm


def model_name(owner: str) -> str:
    """A model as it stands in tables, from its owner as FLARE writes it in a task."""
    name = owner.removeprefix(SERVER_PREFIX)
    return name if name in (MODEL_BEST, MODEL_LAST) else owner


def report_form(
    job: JobSettings, site: str, owner: str, registration: Registration | None = None
) -> ReportForm:
    """The form of one report.

    Args:
        job: the job's settings.
        site: the site's own name; at the server the name under which it was authenticated.
        owner: whose model the task brought.
        registration: what the site registered last; without it, as at the site, a stated maximum
            bounds the number of cases.
    """
    organs, model = job.data.organs, model_name(owner)
    dropping = job.evaluation.subsets and model in (MODEL_BEST, MODEL_LAST)
    cases: dict[str, Mapping[str, int]] | None = None
    if registration is not None:
        cases = {"val": registration.validation, "test": registration.test}
    return ReportForm(
        site=site,
        model=model,
        structures=frozenset(scored_structures(organs, organs)),
        mean=MEAN_ORGAN,
        modalities=frozenset(job.data.modality_sets),
        row_columns=forms(MetricRow),
        shared_columns=forms(SharedSummary),
        cases=cases,
        subsets=(TEST_SPLIT,) if dropping else (),
    )
