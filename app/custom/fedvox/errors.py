"""Errors that a user can act on: one line, what is wrong, where, and what to do."""


class FedVoxError(Exception):
    """Base of all errors whose message is meant for a person.

    The message is one line and never holds a patient's file name, so it may leave the site.
    """


class ConfigError(FedVoxError):
    """A configuration file or a command-line value is wrong."""


class DataError(FedVoxError):
    """A site's data cannot be used as they are."""


class ModelError(FedVoxError):
    """A model file is missing, damaged, or made for another network."""


class MemoryFull(FedVoxError):
    """The memory of a GPU or of the machine is too small for the job."""


class UpdateRefused(FedVoxError):
    """A site's update failed the server's screening and does not enter the round."""
