"""What a job is, before anybody trains."""
