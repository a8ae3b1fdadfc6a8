"""An error of ours as a finding about a case or a site."""

from dataclasses import replace

from fedvox.data.images.modality import IS_CT, NAME_OR_EXPORT
from fedvox.errors import FedVoxError
from fedvox.finding import Finding, from_error

REMEDIES = {
    IS_CT: "leave such cases out; if all are so, name 'ct' under 'modalities' in the site file",
    NAME_OR_EXPORT: "leave out what is no CT, and export CTs again in HU; if all are MRI, the site "
    "file names the wrong modality",
}
"""Where a site of many cases asks for another remedy than a single scan."""


def refusal(check: str, error: FedVoxError) -> Finding:
    """An error of ours as a refused case or site; no patient's file name is in it."""
    found = from_error(check, error, "export the case again")
    return replace(found, remedy=REMEDIES.get(found.remedy, found.remedy))
