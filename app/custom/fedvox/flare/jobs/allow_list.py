"""What a site's allow-list lets a job build, asked of FLARE's own authorizer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvflare.apis.fl_exception import UnsafeComponentError
from nvflare.app_common.widgets.component_path_authorizer import ComponentPathAuthorizer

from fedvox.flare.jobs.classes import components


@dataclass(frozen=True)
class _Resources:
    """The one thing of a FLARE workspace that FLARE's authorizer asks for."""

    path: Path

    def get_resources_file_path(self) -> str:
        """Where the site's policy lies."""
        return str(self.path)


def refused_classes(config: dict[str, Any], resources: Path) -> tuple[list[str], list[str]]:
    """Classes that the allow-list lacks, and FLARE's other reasons against the job or the list.

    Args:
        config: content of ``config_fed_client.json`` or ``config_fed_server.json``.
        resources: the site's ``resources.json``.
    """
    authorizer, place = ComponentPathAuthorizer(), _Resources(resources)
    missing, refused = set(), set()
    for component in components(config):
        try:
            authorizer.authorize_component_config(component, workspace=place)
        except UnsafeComponentError as error:
            if "is not in allow_list" in str(error):
                missing.add(str(component.get("path", component.get("class_path"))))
            else:
                refused.add(str(error))
    return sorted(missing), sorted(refused)
