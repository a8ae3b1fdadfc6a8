"""Encrypted models in FLARE's words: the keys lie in start-up kits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.fl_context import FLContext

from fedvox.aggregation.sealed_round import SealedRound
from fedvox.config import read_json
from fedvox.encryption.cipher import is_sealed, unseal
from fedvox.errors import ConfigError
from fedvox.flare.jobs.folder import CLIENT
from fedvox.flare.jobs.needed_filters import ENCRYPTION, require_named
from fedvox.flare.run.messages import TASK_TRAIN
from fedvox.flare.run.places import workspace_of
from fedvox.flare.run.server_run import ServerRun
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of

SITE_KEYS, SERVER_KEYS = "client_context.tenseal", "server_context.tenseal"
"""Files of a kit's ``startup``; only the sites' holds the secret key."""
CHAINS = ("task_data_filters", "task_result_filters")
MOST_WEIGHTS = 35_000_000
"""57.4 bytes each, and FLARE's messages stay below 2 GiB."""
_LIKE = "fedvox_sealed_like"


def site_keys(fl_ctx: FLContext) -> Any:
    """TenSEAL's context with the secret key.

    Raises:
        ConfigError: this kit has none, or TenSEAL is not installed.
    """
    return _keys(SITE_KEYS, fl_ctx)


def server_keys(fl_ctx: FLContext) -> Any:
    """TenSEAL's context without the secret key.

    Raises:
        ConfigError: this kit has none, it holds the secret key, or TenSEAL is not installed.
    """
    context = _keys(SERVER_KEYS, fl_ctx)
    if context.is_private():
        raise ConfigError(
            f"the kit's {SERVER_KEYS} holds the secret key, so nothing would be hidden from the "
            "server; provision the kits again"
        )
    return context


def check_site(fl_ctx: FLContext, job: JobSettings) -> None:
    """At a site's start: are the keys there, and does the job seal what leaves?

    Raises:
        ConfigError: no.
    """
    if job.encryption is None:
        return
    site_keys(fl_ctx)
    config = Path(workspace_of(fl_ctx).get_app_config_dir(str(fl_ctx.get_job_id())))
    found = read_json(config / Path(CLIENT).name, Path(CLIENT).name)
    own = {**found, **{place: _for_training(found, place) for place in CHAINS}}
    mine = [entry for entry in ENCRYPTION if entry[0] == CLIENT]
    require_named("encryption", mine, lambda file: own)


def _for_training(config: Mapping[str, Any], place: str) -> list[Any]:
    """Those of a job's chains of filters that FLARE runs on every training task and its result."""
    chains = config.get(place)
    return [
        chain
        for chain in (chains if isinstance(chains, list) else [])
        if isinstance(chain, dict) and set(chain) == {"tasks", "filters"}
        if isinstance(chain["tasks"], list) and TASK_TRAIN in chain["tasks"]
    ]


def check_server(fl_ctx: FLContext, job: JobSettings) -> None:
    """At the server's start: are the keys there, and can FLARE carry the network?

    Raises:
        ConfigError: no.
    """
    if job.encryption is None:
        return
    server_keys(fl_ctx)
    if (count := _count(job)) > MOST_WEIGHTS:
        raise ConfigError(
            f"'encryption' is set and the network has {count:,} weights; FLARE carries "
            f"{MOST_WEIGHTS:,} encrypted ones in a message: take a smaller network"
        )


def _count(job: JobSettings) -> int:
    return sum(array.size for array in weights_of(initial_model(job)).values())


def opened(
    arrays: Mapping[str, np.ndarray], job: JobSettings, fl_ctx: FLContext
) -> dict[str, np.ndarray]:
    """A model that the server of an encrypted job sent, in the clear; any other as it came.

    Raises:
        ConfigError: there are no keys.
        ModelError: it cannot be opened.
    """
    if job.encryption is None or not is_sealed(arrays):
        return dict(arrays)
    like = fl_ctx.get_prop(_LIKE)
    if like is None:
        like = weights_of(initial_model(job))
        fl_ctx.set_prop(_LIKE, like, private=True, sticky=True)
    return unseal(arrays, like, site_keys(fl_ctx))


def sealed_round(run: ServerRun, fl_ctx: FLContext, *known: Any, **options: Any) -> SealedRound:
    """A round of encrypted updates.

    Args:
        run: the run.
        fl_ctx: of the server.
        known: arguments of :class:`fedvox.aggregation.round.Round`, in their order.
        options: its other arguments.

    Raises:
        ConfigError: there are no keys.
    """
    return SealedRound(server_keys(fl_ctx), _count(run.job), *known, **options)


def _keys(name: str, fl_ctx: FLContext) -> Any:
    try:
        from nvflare.app_opt.he.homomorphic_encrypt import load_tenseal_context_from_workspace
    except ImportError:
        raise ConfigError(
            "'encryption' is set and TenSEAL is not installed here; install it with "
            "'pip install tenseal==0.3.18'"
        ) from None
    try:
        return load_tenseal_context_from_workspace(name, fl_ctx)
    except (ValueError, TypeError, RuntimeError):  # missing, unsigned, or not TenSEAL's
        raise ConfigError(
            f"'encryption' is set and the kit's folder startup has no whole {name}: let the "
            "project file name fedvox.flare.encryption_keys.EncryptionKeys, as the page 'Privacy "
            "of updates' says, and provision the kits of all sites again. The simulator has no "
            "kits: take 'make poc'"
        ) from None
