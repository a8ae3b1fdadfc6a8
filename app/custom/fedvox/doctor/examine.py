"""All checks in the order in which a site's way into a federation breaks."""

import datetime as dt
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from fedvox.data.site import SITE_FILE, SiteSettings, find_site_file, read_site_file
from fedvox.doctor import host, job, kit, local, network, policies
from fedvox.doctor.finding import FAIL, WARN, Finding, run_check
from fedvox.errors import ConfigError
from fedvox.flare.job_folder import job_settings, require_job
from fedvox.memory import free_memory
from fedvox.training.settings import JobSettings

Check = tuple[str, Callable[[], Finding]]


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
    if root_ca is not None and not kit_folder:
        raise ConfigError("--root-ca is compared with a kit's root CA; name the kit with --kit")
    wanted = "" if root_ca is None else kit.read_fingerprint(root_ca)
    opened = kit.open_kit(kit_folder) if kit_folder else None
    if job_folder:
        require_job(job_folder)
    settings = job_settings(job_folder) if job_folder else None
    named = site_file is not None
    site: SiteSettings | ConfigError | None = None
    try:
        site_file = site_file or _find_site_file(opened)
        site = read_site_file(site_file) if site_file else None
    except ConfigError as error:
        site = ConfigError(str(error).replace(f"{site_file.parent}/" if site_file else "\0", ""))
    unwritten = not named and settings is None and site_file is not None and not site_file.exists()
    free = free_memory()
    needs = host.Needs()
    data_findings: list[Finding] = []
    trains = opened is not None and opened.kind != "admin"
    if isinstance(site, ConfigError):
        data_findings = [_UNWRITTEN if unwritten else _unreadable(site)]
    elif site is not None and not _has_torch():
        data_findings = [_UNREAD]
    elif site is not None and settings is not None and job_folder is not None:
        tell("data")
        needs, data_findings = _data_findings(site, settings, job_folder, free)
    elif site is not None:
        tell("data")
        data_findings = _listing_findings(site)
    checks = _host_checks(opened, site, settings, free, needs)
    checks += [("versions", lambda: job.check_versions(job_folder, trains))]
    if opened:
        checks += _kit_checks(opened, site, wanted)
    if opened and opened.kind != "admin" and job_folder:
        given, place = opened, job_folder
        checks += [("allow-list", lambda: job.check_allow_list(place, given))]
    findings = []
    for name, check in checks:
        tell(name)
        findings.append(run_check(name, check))
    return findings + data_findings


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


_UNWRITTEN = Finding(
    "data", WARN, f"no local/{SITE_FILE} yet", f"write {SITE_FILE} before the site takes part"
)


_UNREAD = Finding(
    "data",
    FAIL,
    "not read, since PyTorch is not installed here",
    "run it where the site trains, or pip install -r requirements.txt",
)


def _has_torch() -> bool:
    return find_spec("torch") is not None


def _host_checks(
    opened: kit.Kit | None,
    site: SiteSettings | ConfigError | None,
    settings: JobSettings | None,
    free: float,
    needs: host.Needs,
) -> list[Check]:
    clock: list[Check] = [("clock", lambda: host.check_clock(_moments(opened)))]
    if opened and opened.kind == "admin":
        return clock  # nobody trains where a person looks on
    folders = [opened.workspace] if opened else [Path.cwd()]
    if isinstance(site, SiteSettings) and site.cache:
        folders.append(Path(site.cache))
    device = settings.training.device if settings else "auto"
    gpu: Check = ("gpu", lambda: host.check_gpu(device, needs))
    if not _has_torch():
        gpu = ("gpu", lambda: host.check_torch(opened is not None))
    return [
        gpu,
        ("ram", lambda: host.check_ram(free, needs)),
        ("shm", host.check_shm),
        ("disk", lambda: host.check_disk(folders, folders[-1], needs)),
        *clock,
    ]


def _moments(opened: kit.Kit | None) -> list[tuple[str, dt.datetime]]:
    """What must lie in the past: this package's files and the kit's certificate."""
    import fedvox

    installed = dt.datetime.fromtimestamp(Path(fedvox.__file__).stat().st_mtime, dt.UTC)
    moments = [("the installed fedvox", installed)]
    if opened:
        moments.append(("the kit's certificate", opened.certificate.not_valid_before_utc))
    return moments


def _kit_checks(
    opened: kit.Kit, site: SiteSettings | ConfigError | None, wanted: str
) -> list[Check]:
    folders = [opened.workspace]
    if isinstance(site, SiteSettings) and site.cache:
        folders.append(Path(site.cache))
    if isinstance(site, SiteSettings) and site.dataset != "phantom" and site.cache:
        cache = Path(site.cache)
        kept: list[Check] = [("privacy", lambda: local.check_place(cache))]
    else:
        kept = []
    policed: list[Check] = [
        ("local", lambda: local.check_local(opened)),
        ("policies", lambda: policies.check_policies(opened)),
    ]
    named: list[Check] = [("name", lambda: kit.check_name(opened))]
    return [
        ("kit", lambda: kit.check_seal(opened)),
        *(named if opened.kind == "client" else []),
        ("ca", lambda: kit.check_ca(opened, wanted)),
        ("certificate", lambda: kit.check_certificate(opened)),
        ("permissions", lambda: kit.check_permissions(opened, folders)),
        *([] if opened.kind == "admin" else policed),
        *kept,
        ("dns", lambda: network.check_dns(opened)),
        ("port", lambda: network.check_port(opened)),
    ]


def _listing_findings(site: SiteSettings) -> list[Finding]:
    """What can be said of the data without a job."""
    from fedvox.doctor import data

    findings = [run_check("data", lambda: data.check_listing(site))]
    if findings[0].status != FAIL:
        findings.append(run_check("split", lambda: data.check_split(site)))
    return findings


def _unreadable(error: ConfigError) -> Finding:
    message, _, remedy = str(error).rpartition("; ")
    return Finding("data", FAIL, message or remedy, remedy if message else "mend the file")


def _data_findings(
    site: SiteSettings, settings: JobSettings, job_folder: Path, free: float
) -> tuple[host.Needs, list[Finding]]:
    foreign = set(site.modalities) - set(settings.data.modalities)
    if foreign:
        failed = Finding(
            "data",
            FAIL,
            f"the site holds {', '.join(sorted(foreign))}, the job uses "
            f"{', '.join(settings.data.modalities)}",
            "change 'modalities' in the site file, or leave this job out",
        )
        return host.Needs(), [failed]
    with tempfile.TemporaryDirectory() as name:
        return _measured(site, settings, job_folder, Path(name), free)


def _measured(
    site: SiteSettings, settings: JobSettings, job_folder: Path, folder: Path, free: float
) -> tuple[host.Needs, list[Finding]]:
    """Findings about a sample of the data, and what the job was seen to take with it."""
    from fedvox.doctor import data, measure

    taken: list[data.Sample] = []
    rounds: list[measure.Measured] = []

    def sampled() -> Finding:
        taken.append(data.take_sample(site, settings, folder))
        return data.check_data(taken[0])

    def waited() -> Finding:
        if free < measure.LEAST_MEMORY:
            return Finding("waiting", WARN, "no round was measured, for want of memory", "see ram")
        rounds.append(measure.measure_round(taken[0], settings))
        return job.check_waiting(job_folder, rounds[0].seconds, taken[0].seconds_to_prepare)

    with measure.PeakMemory() as memory:
        findings = [run_check("data", sampled)]
        if taken:
            findings.append(run_check("split", lambda: data.check_split(site)))
        if taken and (taken[0].ready or data.label_problems(taken[0])):
            findings.append(run_check("labels", lambda: data.check_labels(taken[0], settings)))
        if taken and taken[0].ready:
            findings.append(run_check("waiting", waited))
    if not rounds:
        return host.Needs(), findings
    needs = host.Needs(memory.bytes, rounds[0].gpu, taken[0].bytes_to_write, rounds[0].state)
    return needs, findings
