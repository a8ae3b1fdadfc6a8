"""A whole federation on this machine, over mTLS: kits, processes, submission, results."""
