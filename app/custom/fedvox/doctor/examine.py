"""All checks in the order in which a site's way into a federation breaks."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedvox.aggregation.attachment import check_listed
from fedvox.data.site.site_file import SITE_FILE, SiteSettings, find_site_file, read_site_file
from fedvox.doctor import host, job, kit, local, network, policies
from fedvox.doctor.run_check import run_check
from fedvox.doctor.site_data import UNWRITTEN, examine_data, has_torch
from fedvox.errors import ConfigError
from fedvox.finding import Finding
from fedvox.flare.jobs.folder import job_settings, require_job
from fedvox.job.settings import JobSettings
from fedvox.memory import free_memory

Check = tuple[str, Callable[[], Finding]]


@dataclass(frozen=True)
class Inputs:
    """What is to be examined, opened.

    Attributes:
        kit: the start-up kit.
        root_ca: the fingerprint that its root CA must have; empty where nobody told one.
        job_folder: the job that is about to run.
        settings: the job's settings.
        site: the site file, or what is wrong with it; None where there is none.
        unwritten: nobody named a site file or a job, and the kit's site has no file yet.
    """

    kit: kit.Kit | None
    root_ca: str
    job_folder: Path | None
    settings: JobSettings | None
    site: SiteSettings | ConfigError | None
    unwritten: bool


def examine(
    kit_folder: Path | None,
    job_folder: Path | None,
    site_file: Path | None,
    root_ca: str | None = None,
    tell: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Checks what can be checked with what is given.

    Args:
        kit_folder: unpacked start-up kit; its checks and those of the network need it.
        job_folder: job that is about to run.
        site_file: ``fedvox_site.json``, default the one that the kit's site would read:
            ``FEDVOX_SITE``, else the one in ``local``.
        root_ca: SHA-256 fingerprint of the root CA that the operator told by another channel, as
            somebody wrote it; None is no fingerprint.
        tell: is called with each check's name before it runs.

    Raises:
        ConfigError: a given folder is not what it should be.
    """
    given = _open(kit_folder, job_folder, site_file, root_ca)
    free = free_memory()
    if given.unwritten:
        needs, about_data = host.Requirements(), [UNWRITTEN]
    else:
        needs, about_data = examine_data(given.site, given.settings, job_folder, free, tell)
    findings = []
    for name, check in [*_host_checks(given, free, needs), *_version_checks(given)]:
        tell(name)
        findings.append(run_check(name, check))
    return findings + about_data


def _open(
    kit_folder: Path | None, job_folder: Path | None, site_file: Path | None, root_ca: str | None
) -> Inputs:
    if root_ca is not None and not kit_folder:
        raise ConfigError("--root-ca is compared with a kit's root CA; name the kit with --kit")
    wanted = "" if root_ca is None else kit.read_fingerprint(root_ca)
    opened = kit.open_kit(kit_folder) if kit_folder else None
    if job_folder:
        require_job(job_folder)
    settings = job_settings(job_folder) if job_folder else None
    named = site_file is not None or job_folder is not None
    site: SiteSettings | ConfigError | None = None
    try:
        site_file = site_file or _find_site_file(opened)
        if site_file:
            site = read_site_file(site_file)
            check_listed(site.attachments, site_file.name)
            asked = settings is None or settings.network.has_memory
            if asked and opened is not None and opened.kind == "client":
                policies.check_attachments(opened, site.attachments, site_file.name)
    except ConfigError as error:
        site = ConfigError(str(error).replace(f"{site_file.parent}/" if site_file else "\0", ""))
    lacks = site_file is not None and not site_file.exists()
    return Inputs(opened, wanted, job_folder, settings, site, lacks and not named)


def _find_site_file(opened: kit.Kit | None) -> Path | None:
    """The file that the kit's site would read, or the one that it lacks."""
    if opened is None or opened.kind != "client":
        return None
    local = opened.folder / "local"
    try:
        name = opened.name
    except ConfigError:  # a damaged certificate is what another check tells
        return local / SITE_FILE
    return find_site_file(name, (local,)) or local / SITE_FILE


def _host_checks(given: Inputs, free: float, needs: host.Requirements) -> list[Check]:
    clock: list[Check] = [("clock", lambda: host.check_clock(_moments(given.kit)))]
    if given.kit and given.kit.kind == "admin":
        return clock  # nobody trains where a person looks on
    folders = [given.kit.workspace if given.kit else Path.cwd(), *_cache(given)]
    device = given.settings.training.device if given.settings else "auto"
    return [
        *_device_checks(device, given.kit is not None, needs),
        ("ram", lambda: host.check_ram(free, needs)),
        ("shm", host.check_shm),
        ("disk", lambda: host.check_disk(folders, folders[-1], needs)),
        *clock,
    ]


def _device_checks(device: str, kit_given: bool, needs: host.Requirements) -> list[Check]:
    """Of what computes; without PyTorch nothing does."""
    if not has_torch():
        return [("gpu", lambda: host.check_torch(kit_given))]
    from fedvox.doctor.arithmetic import CHECK, check_arithmetic

    return [
        ("gpu", lambda: host.check_gpu(device, needs)),
        (CHECK, lambda: check_arithmetic(device)),
    ]


def _cache(given: Inputs) -> list[Path]:
    """The folder that the site file names for prepared volumes, if it names one."""
    site = given.site
    return [Path(site.cache)] if isinstance(site, SiteSettings) and site.cache else []


def _moments(opened: kit.Kit | None) -> list[tuple[str, dt.datetime]]:
    """What must lie in the past: this package's files and the kit's certificate."""
    import fedvox

    installed = dt.datetime.fromtimestamp(Path(fedvox.__file__).stat().st_mtime, dt.UTC)
    moments = [("the installed fedvox", installed)]
    if opened:
        moments.append(("the kit's certificate", opened.certificate.not_valid_before_utc))
    return moments


def _version_checks(given: Inputs) -> list[Check]:
    """Python and the installed versions, then the kit."""
    opened, place = given.kit, given.job_folder
    trains = opened is not None and opened.kind != "admin"
    checks: list[Check] = [
        ("python", host.check_python),
        ("versions", lambda: job.check_versions(place, trains)),
    ]
    if opened is None:
        return checks
    checks += _kit_checks(opened, given)
    if trains and place:
        checks.append(("allow-list", lambda: job.check_allow_list(place, opened)))
    return checks


def _kit_checks(opened: kit.Kit, given: Inputs) -> list[Check]:
    cache, site = _cache(given), given.site
    real = isinstance(site, SiteSettings) and site.dataset != "phantom"
    kept: list[Check] = [("privacy", lambda: local.check_place(cache[0]))]
    policed: list[Check] = [
        ("local", lambda: local.check_local(opened)),
        ("policies", lambda: policies.check_policies(opened)),
    ]
    named: list[Check] = [("name", lambda: kit.check_name(opened))]
    return [
        ("kit", lambda: kit.check_seal(opened)),
        *(named if opened.kind == "client" else []),
        ("ca", lambda: kit.check_ca(opened, given.root_ca)),
        ("certificate", lambda: kit.check_certificate(opened)),
        ("permissions", lambda: kit.check_permissions(opened, [opened.workspace, *cache])),
        *([] if opened.kind == "admin" else policed),
        *(kept if real and cache else []),
        ("dns", lambda: network.check_dns(opened)),
        ("port", lambda: network.check_port(opened)),
    ]
