"""Errors that a user can act on: one line, what is wrong, where, and what to do."""


class FedVoxError(Exception):
    """Base of all errors whose message is meant for a person.

    The message is one line and never holds a patient's file name, so it may leave the site.
    """

    def __str__(self) -> str:
        """In one line that every terminal and log shows alike, whatever the message quotes."""
        return escaped(super().__str__())


def escaped(text: str) -> str:
    """A text with Python's escapes in the place of what is not printable: line ends, colours.

    Example:
        >>> print(escaped("Leber\\n"))
        Leber\\n
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


class ConfigError(FedVoxError):
    """A configuration file or a command-line value is wrong."""


class DataError(FedVoxError):
    """A site's data cannot be used as they are."""


class ImageError(DataError):
    """One of a case's several images cannot be used.

    Args:
        modality: of the image.
        reason: why, see :func:`about_image`.
    """

    def __init__(self, modality: str, reason: str) -> None:
        super().__init__(modality, reason)  # both, so that it comes whole out of a process
        self.modality, self.reason = modality, reason

    def __str__(self) -> str:
        """With the image's name."""
        return escaped(about_image(self.modality, self.reason))


def about_image(modality: str, text: str) -> str:
    """A text about an image with the image's modality, unless it begins with that.

    Args:
        modality: of the image.
        text: what is said of it.
    """
    name = f"the {modality} image"
    if text.startswith(("the image ", name)):
        return name + text.removeprefix(name).removeprefix("the image")
    return f"{name}: {text}"


class ModelError(FedVoxError):
    """A model file is missing, damaged, or made for another network."""


class MemoryFull(FedVoxError):
    """The memory of a GPU or of the machine is too small for the job."""


class BudgetSpent(FedVoxError):
    """A site's privacy budget allows no further update."""


class UpdateRefused(FedVoxError):
    """A site's update failed the server's screening and does not enter the round."""


class OutOfTurn(UpdateRefused):
    """An update that came at the wrong time, twice or from nobody who takes part: it says nothing
    of what the site trained."""


class CodecError(FedVoxError):
    """Values cannot be compressed, or bytes are no compressed message of these tensors."""
