"""Opens a site's data when its process starts: site file, or phantoms under the simulator only."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from nvflare.apis.fl_context import FLContext

from fedvox.aggregation.attachment import check_listed
from fedvox.config import build
from fedvox.data.site.fatal import NONE, Fatal, watch_cases
from fedvox.data.site.site_data import SiteData, open_site
from fedvox.data.site.site_file import (
    SITE_FILE,
    SITE_VARIABLE,
    SiteSettings,
    find_site_file,
    read_site_file,
)
from fedvox.errors import ConfigError
from fedvox.flare.restarts.start import crashed, own_start
from fedvox.flare.run.places import is_simulator, run_dir, state_dir, workspace_of
from fedvox.job.phantom_fit import check_phantoms
from fedvox.job.settings import JobSettings
from fedvox.phantoms.settings import PhantomSettings
from fedvox.phantoms.writer import describe_phantoms, write_phantom_site

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SiteSetup:
    """A site, ready for tasks.

    Attributes:
        data: its cases.
        state: its state folder for this run.
    """

    data: SiteData
    state: Path


def set_up_site(fl_ctx: FLContext, job: JobSettings) -> SiteSetup:
    """Finds the site's data and prepares its cases.

    Raises:
        ConfigError: no site file outside the simulator, or a wrong one.
        DataError: the data cannot be used.
    """
    name = str(fl_ctx.get_identity_name())
    site, state = find_site(fl_ctx, job)
    fatal = fatal_cases(fl_ctx, state)
    return SiteSetup(open_site(name, site, job.data, state, progress=True, fatal=fatal), state)


def fatal_cases(fl_ctx: FLContext, state: Path) -> Fatal:
    """Cases that ended earlier processes of this run; has the work of this one kept.

    Under the simulator nobody starts a process again, and one process may hold several sites.
    """
    if is_simulator(fl_ctx):
        return NONE
    return watch_cases(state, str(fl_ctx.get_job_id()), crashed(own_start()))


def find_site(fl_ctx: FLContext, job: JobSettings) -> tuple[SiteSettings, Path]:
    """The site file, or under the simulator that of phantoms, and the state folder of this run.

    Raises:
        ConfigError: no site file outside the simulator, or a wrong one; phantoms that do not fit.
    """
    name = str(fl_ctx.get_identity_name())
    path = _site_file(fl_ctx)
    if path is not None:
        site = _read_without_path(name, path)
    elif is_simulator(fl_ctx):
        logger.warning(
            "%s: NO SITE FILE, USING PHANTOM DATA: a test instrument, not evidence about patients",
            name,
        )
        check_phantoms(job.phantom, job.data, [job.phantom.modality_of(_number(name))])
        site = phantom_site(name, job.phantom, run_dir(fl_ctx) / "phantom")
    else:
        raise ConfigError(
            f"{name}: no {SITE_FILE} in the workspace's local folder and {SITE_VARIABLE} is not "
            "set; describe the site's data in one of them"
        )
    root = Path(site.cache) if site.cache else None
    return site, state_dir(fl_ctx, root, job.training.continues)


def has_site_file(fl_ctx: FLContext) -> bool:
    """Whether somebody described the site's data; else, under the simulator, they are phantoms."""
    return _site_file(fl_ctx) is not None


def _site_file(fl_ctx: FLContext) -> Path | None:
    config = Path(workspace_of(fl_ctx).get_site_config_dir())
    return find_site_file(str(fl_ctx.get_identity_name()), (config,))


def _read_without_path(site: str, path: Path) -> SiteSettings:
    """Reads the site file; its errors go to the server, so they name it without its folder."""
    try:
        site_file = read_site_file(path)
        check_listed(site_file.attachments, path.name)
        return site_file
    except ConfigError as error:
        raise ConfigError(f"{site}: {str(error).replace(f'{path.parent}/', '')}") from None


def phantom_site(name: str, settings: PhantomSettings, folder: Path) -> SiteSettings:
    """Describes, and on first use writes, the phantom data of a simulator site.

    Args:
        name: the site's name; its number k chooses entry (k − 1) mod n of the modalities, and
            of the qualities.
        settings: the job's phantom settings.
        folder: where the site's phantoms lie.
    """
    index = _number(name)
    modality = settings.modality_of(index)
    if not folder.is_dir():
        counts = {"train": settings.train, "val": settings.val, "test": settings.test}
        write_phantom_site(
            folder,
            modality,
            counts,
            settings.seed,
            index,
            size_mm=settings.size_mm,
            spacing_mm=settings.spacing_mm,
            body=settings.body,
            quality=settings.quality_of(index),
            wrong_share=settings.wrong_share,
            incomplete=settings.incomplete,
        )
    return build(SiteSettings, describe_phantoms(folder, modality, settings.body), SITE_FILE)


def _number(name: str) -> int:
    """What a site's name ends in; 1 for one without a number."""
    number = re.search(r"(\d+)$", name)
    return int(number.group(1)) if number else 1
