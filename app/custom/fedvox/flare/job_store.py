"""Keeps submitted jobs in the server's workspace and not in a folder that everybody can read."""

from pathlib import Path

from nvflare.apis.impl.job_def_manager import SimpleJobDefManager

FOLDER = "jobs-storage/jobs"


class WorkspaceJobManager(SimpleJobDefManager):
    """FLARE's job manager with its store in ``<workspace>/jobs-storage``.

    FLARE's default is a folder under ``/tmp``. The server changes into its workspace before it
    builds its components, so the store lies beside the kit wherever the kit was put.

    Args:
        job_store_id: id of the storage component.
        uri_root: another folder for the store; ``nvflare poc prepare`` writes one of its own.
    """

    def __init__(self, job_store_id: str = "job_store", uri_root: str = "") -> None:
        folder = Path(uri_root) if uri_root else Path.cwd() / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(uri_root=str(folder), job_store_id=job_store_id)
