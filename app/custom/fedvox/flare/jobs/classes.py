"""Classes that a job's configuration names, and those that a FedVox job may name."""

from collections.abc import Iterator
from typing import Any

CLASSES: dict[str, tuple[str, ...]] = {
    "client": (
        "fedvox.flare.compress.ReceiveModel",
        "fedvox.flare.compress.SendUpdate",
        "fedvox.flare.executor.FedVoxExecutor",
        "fedvox.flare.plan_site.PlanExecutor",
        "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent",
    ),
    "server": (
        "fedvox.flare.aggregator.FedVoxAggregator",
        "fedvox.flare.downlink.CountResults",
        "fedvox.flare.downlink.OwnPart",
        "fedvox.flare.downlink.SendModel",
        "fedvox.flare.handshake.Handshake",
        "fedvox.flare.locator.SafetensorsLocator",
        "fedvox.flare.persistor.SafetensorsPersistor",
        "fedvox.flare.plan_server.FedVoxStatistics",
        "fedvox.flare.plan_server.PlanWriter",
        "fedvox.flare.workflows.FedVoxCrossSiteEval",
        "fedvox.flare.workflows.FedVoxScatterAndGather",
        "fedvox.flare.workflows.WriteResults",
        "nvflare.app_common.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator",
        "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver",
    ),
}
"""The allow-lists of the templates in ``provisioning/policies``."""
_PATHS = ("path", "class_path")
_KEYS = (*_PATHS, "name")


def class_names(node: object) -> list[str]:
    """Every class that a configuration names, under ``path`` or ``class_path``."""
    found = [own.get(key) for own in _mappings(node) for key in _PATHS]
    return [name for name in found if isinstance(name, str) and "." in name]


def components(node: object) -> list[dict[str, Any]]:
    """Every part of a configuration from which FLARE builds an object, by class or by short name.

    A part with a ``name`` and neither class, ``args`` nor ``id`` is a plain value.
    """
    return [
        own
        for own in _mappings(node)
        if any(isinstance(own.get(key), str) and "." in own[key] for key in _PATHS)
        or (any(key in own for key in _KEYS) and ("args" in own or "id" in own))
    ]


def foreign_classes(node: object, side: str) -> list[str]:
    """What a configuration names that a FedVox job does not, in the words of a reader.

    A job that carries code may call whatever its configuration names, functions too, so that here
    every ``path``, ``class_path`` and ``name`` counts.

    Args:
        node: content of ``config_fed_client.json`` or ``config_fed_server.json``.
        side: ``client`` or ``server``.
    """
    return sorted(
        {
            f"names {own[key]!r} ({key})"
            for own in _mappings(node)
            for key in _KEYS
            if key in own and (key == "name" or own[key] not in CLASSES[side])
        }
    )


def _mappings(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _mappings(value)
