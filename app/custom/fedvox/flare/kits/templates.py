"""Classes that the templates in ``provisioning/policies`` name, for doctor."""

from fedvox.flare.kits.prepared import K8S, SLURM

GUARD = "fedvox.flare.kit_guard.KitGuard"
OUTGOING = "fedvox.flare.outgoing.OutgoingFilter"
RECEIVED = "fedvox.flare.received.ReceivedModel"

_FLARE = "nvflare.app_common"
COMPONENTS = {
    "client": {
        GUARD,
        f"{_FLARE}.resource_managers.gpu_resource_manager.GPUResourceManager",
        f"{_FLARE}.resource_consumers.gpu_resource_consumer.GPUResourceConsumer",
        "fedvox.flare.restarts.launchers.RestartingClientLauncher",
    },
    "server": {
        GUARD,
        f"{_FLARE}.job_schedulers.job_scheduler.DefaultJobScheduler",
        "fedvox.flare.job_store.WorkspaceJobManager",
        f"{_FLARE}.storages.filesystem_storage.FilesystemStorage",
        "fedvox.flare.restarts.launchers.RestartingServerLauncher",
        "fedvox.flare.restarts.job_rescue.JobRescue",
        "fedvox.flare.restarts.site_rejoin.SiteRejoin",
    },
}
"""Components of ``resources.json``, by kind of kit. FLARE builds them when it starts."""
_PASSTHROUGH = f"{_FLARE}.resource_managers.passthrough_resource_manager.PassthroughResourceManager"
_LAUNCHERS = "nvflare.app_opt.job_launcher"
PREPARED_COMPONENTS = {
    (K8S, "client"): {_PASSTHROUGH, f"{_LAUNCHERS}.k8s_launcher.ClientK8sJobLauncher"},
    (K8S, "server"): {_PASSTHROUGH, f"{_LAUNCHERS}.k8s_launcher.ServerK8sJobLauncher"},
    (SLURM, "client"): {_PASSTHROUGH, f"{_LAUNCHERS}.slurm.ClientSlurmJobLauncher"},
    (SLURM, "server"): {_PASSTHROUGH, f"{_LAUNCHERS}.slurm.ServerSlurmJobLauncher"},
}
"""Those that ``fedvox kit prepare`` puts there, by runtime and kind."""
FILTERS = {OUTGOING, RECEIVED}
"""Filters of ``privacy.json``."""
ADDED_FILTERS = {"fedvox.flare.noise.NoisyUpdate"}
"""Filters of this package that a site may add there."""
LOGGING = {
    "fedvox.flare.logs.RedactingFormatter",
    "fedvox.flare.logs.RedactingJsonFormatter",
    "logging.StreamHandler",
    "logging.handlers.RotatingFileHandler",
}
"""Classes of ``log_config.json``."""
