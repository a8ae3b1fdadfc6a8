"""A plan run's values in the settings of the job that it was made for."""

import json
from pathlib import Path
from typing import Any

from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.networks.settings import NetworkSettings
from fedvox.planning.plan import planned_settings, read_plan


def with_plan(mapping: dict[str, Any], plan: Path, job: JobSettings) -> dict[str, Any]:
    """Puts a plan's values into a parsed ``training.json``.

    Args:
        mapping: left as it is.
        plan: ``plan.json`` of a plan run.
        job: the job that is about to be exported, whose organs and network must be the plan's.

    Raises:
        ConfigError: the plan cannot be read, or was made for other organs, modalities or another
            network.
    """
    made = read_plan(plan)
    if set(made.organs) != set(job.data.organs):
        raise ConfigError(
            f"--plan {plan}: it was made for {', '.join(made.organs)}, the job trains "
            f"{', '.join(job.data.organs)}; plan again with the job's organs"
        )
    foreign = sorted(set(made.modalities) - set(job.data.modality_sets))
    if foreign:
        raise ConfigError(
            f"--plan {plan}: it was made from {', '.join(foreign)} too, which the job does not "
            "use; plan again with the job's modalities"
        )
    if made.network != job.network:
        raise ConfigError(
            f"--plan {plan}: it was made for the network {_words(made.network)}, the job has "
            f"{_words(job.network)}; plan again with the job's network"
        )
    result: dict[str, Any] = json.loads(json.dumps(mapping))
    for key, value in planned_settings(made).items():
        section, _, name = key.partition(".")
        result.setdefault(section, {})[name] = value
    return result


def _words(network: NetworkSettings) -> str:
    return ", ".join(f"{key} {value}" for key, value in to_mapping(network).items())
