"""What starts a job's processes again after a kill; components of ``local/resources.json``."""
