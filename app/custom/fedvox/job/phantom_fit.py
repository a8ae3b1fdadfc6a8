"""Whether a job's phantoms are such that its sites can train on them."""

from collections.abc import Sequence

from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError
from fedvox.phantoms.body import stored_modality
from fedvox.phantoms.find_body import body_named
from fedvox.phantoms.settings import PhantomSettings


def check_phantoms(phantom: PhantomSettings, data: DataSettings, entries: Sequence[str]) -> None:
    """Refuses phantoms that the job cannot use, before any is written.

    Only where phantoms are used: sites with data of their own may run a job whose section
    ``phantom`` speaks of something else.

    Args:
        phantom: of the job.
        data: of the same job.
        entries: those of ``phantom.modalities`` that sites get.

    Raises:
        ConfigError: what does not fit, and which setting to change.
    """
    reason = _misfit(phantom, data, entries)
    if reason:
        raise ConfigError(
            f"the job's phantoms do not fit it: {reason}; to use data of your own, name their site "
            "files in FEDVOX_SITE"
        )


def _misfit(phantom: PhantomSettings, data: DataSettings, entries: Sequence[str]) -> str:
    """What does not fit and its remedy, empty where all does."""
    organs = body_named(phantom.body).organs
    if not set(organs) & set(data.organs):
        return (
            f"'phantom.body' {phantom.body} holds none of 'data.organs' ({', '.join(data.organs)}) "
            f"but {', '.join(organs)}; change one of the two"
        )
    for entry in entries:
        reason = _unfit(entry, data)
        if reason:
            return f"'{entry}' of 'phantom.modalities' {reason}"
    if phantom.incomplete and data.channels and not data.missing_channels:
        return (
            f"'phantom.incomplete' is {phantom.incomplete:g} and every case of the job has every "
            "channel; set it to 0, or 'data.missing_channels' to true"
        )
    return ""


def _unfit(entry: str, data: DataSettings) -> str:
    held = [stored_modality(part) for part in entry.split("+")]
    if not data.channels:
        if len(held) > 1:
            return (
                f"is {len(held)} images of a case and the job takes one; list one modality for "
                f"each site, of {', '.join(data.modalities)}, or set 'data.channels'"
            )
        if held[0] not in data.modalities:
            return (
                f"is none of 'data.modalities' ({', '.join(data.modalities)}); change one of the "
                "two"
            )
        return ""
    missing = [name for name in data.channels if name not in held]
    if len(missing) == len(data.channels):
        return f"is none of 'data.channels' ({', '.join(data.channels)}); change one of the two"
    if missing and not data.missing_channels:
        return (
            f"lacks {', '.join(missing)}, and every case of the job has every channel; write "
            f"{'+'.join(data.channels)}, or set 'data.missing_channels' to true"
        )
    return ""
