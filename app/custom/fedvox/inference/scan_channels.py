"""Which scans a model asks for: one of a modality that it knows, or one per channel.

A model whose job has ``data.missing_channels`` takes any of its channels, at least one.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError

AUTO = "auto"


def check_names(names: Collection[str], data: DataSettings) -> None:
    """Refuses scans that the model cannot use.

    Args:
        names: modality of each scan; ``auto`` where a model of one image shall tell it, empty where
            nobody named it.
        data: settings of the model's job.

    Raises:
        ConfigError: unknown or missing modality, or more or fewer scans than the model takes; says
            what to give.
    """
    if data.channels:
        _check_channels(names, data)
        return
    known = ", ".join(data.modalities)
    if len(names) != 1:
        raise ConfigError(
            f"--input names {len(names)} scans, the model takes one of {known}; give --input SCAN "
            f"--modality {data.modalities[0]}"
        )
    (name,) = names
    if not name:
        raise ConfigError(f"--modality is missing; name {known} or {AUTO}")
    if name not in (*data.modalities, AUTO):
        raise ConfigError(f"--modality {name}: the model was trained for {known}")


def in_channel_order(scans: Mapping[str, Path], data: DataSettings) -> dict[str, Path]:
    """Checked scans in the order of the model's channels, whatever their own is."""
    return {name: scans[name] for name in data.channels or scans if name in scans}


def missing_channels(modality: str, channels: Sequence[str]) -> tuple[str, ...]:
    """Channels of a model that a case did not have, in the model's order.

    Args:
        modality: what the case had, e.g. ``t1+flair``.
        channels: of the model; a model of one image has none.
    """
    given = modality.split("+")
    return tuple(name for name in channels if name not in given)


def channels_form(data: DataSettings) -> str:
    """How to name one scan per channel on the command line."""
    form = " ".join(f"--input {name}={name.upper()}.nii.gz" for name in data.channels)
    return f"{form}, or those of them that the case has" if data.missing_channels else form


def _check_channels(names: Collection[str], data: DataSettings) -> None:
    needed, form = ", ".join(data.channels), channels_form(data)
    if set(names) & {"", AUTO}:
        most = "up to " if data.missing_channels else ""
        raise ConfigError(
            f"--input: the model takes {most}{len(data.channels)} scans of a case ({needed}), each "
            f"under its channel's name; give {form}"
        )
    unknown = [name for name in names if name not in data.channels]
    if unknown:
        raise ConfigError(
            f"--input {unknown[0]}=...: the model's channels are {needed}; give {form}"
        )
    missing = [name for name in data.channels if name not in names]
    if data.missing_channels:
        if not names:
            raise ConfigError(f"--input: no scan, the model needs at least one; give {form}")
    elif missing:
        raise ConfigError(
            f"--input: no scan of {', '.join(missing)}, the model needs every channel; give {form}"
        )
