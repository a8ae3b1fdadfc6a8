"""Which scans a model asks for: one of a modality that it knows, or one per channel."""

from collections.abc import Collection, Mapping
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
    return {name: scans[name] for name in data.channels or scans}


def channels_form(data: DataSettings) -> str:
    """How to name one scan per channel on the command line."""
    return " ".join(f"--input {name}={name.upper()}.nii.gz" for name in data.channels)


def _check_channels(names: Collection[str], data: DataSettings) -> None:
    needed, form = ", ".join(data.channels), channels_form(data)
    if set(names) & {"", AUTO}:
        raise ConfigError(
            f"--input: the model takes {len(data.channels)} scans of a case ({needed}), each under "
            f"its channel's name; give {form}"
        )
    unknown = [name for name in names if name not in data.channels]
    if unknown:
        raise ConfigError(
            f"--input {unknown[0]}=...: the model's channels are {needed}; give {form}"
        )
    missing = [name for name in data.channels if name not in names]
    if missing:
        raise ConfigError(
            f"--input: no scan of {', '.join(missing)}, the model needs every channel; give {form}"
        )
