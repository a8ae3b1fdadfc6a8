"""Takes out of a text what may name a patient: paths, image files, long numbers, dates, addresses.

Everything of these shapes goes, whether it names somebody or not: a log that lost a harmless number
can be read, one that kept an accession number cannot be taken back.
"""

import hashlib
import re
import traceback
from pathlib import Path

_IMAGE = r"(?:nii(?:\.gz)?|dcm|ima|mha|mhd|nrrd|hdr|img|nhdr|png|jpe?g|tiff?)"
_IN_WORD = r"[^\s\"',;:()\[\]{}<>/]"
# Each pattern begins at the start of a word only, so that long lines cost linear time.
_RULES = (
    # file:///a/b, /a/b, ~/a and C:\a\b, with the blanks that a quoted name may hold
    (re.compile(r"""(["'])(?:file:)?(?:~|[A-Za-z]:\\|/)[^"'\n]*\1"""), r"\1<path>\1"),
    (re.compile(r"(?:file:|(?<![\w.]))(?:~/|/(?=[\w.-]))[^\s\"',;:()\[\]{}<>]*"), "<path>"),
    (re.compile(r"(?<!\w)[A-Za-z]:\\[^\s\"',;()\[\]{}<>]*"), "<path>"),
    (re.compile(rf"(?<!{_IN_WORD}){_IN_WORD}+\.{_IMAGE}\b", re.IGNORECASE), "<file>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+"), "<address>"),
    (re.compile(r"(?<![\w-])\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?![\w-])"), "<date>"),
    (re.compile(r"(?<![\w-])\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?![\w-])"), "<date>"),
    (re.compile(r"(?<![\w.])\d+(?:\.\d+){4,}(?![\w.])"), "<uid>"),
    (re.compile(r"(?<![0-9A-Fa-f.-])\d{6,}(?![0-9A-Fa-f-])"), "<number>"),
)


def redact(text: str) -> str:
    """Replaces paths, image file names, addresses, dates, UIDs and numbers of 6 digits or more.

    Numbers within longer hexadecimal words (hashes, job ids) and decimals stay.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def exception_line(error: BaseException) -> str:
    """An exception as its kind, the place in our code where it arose and a fingerprint.

    The fingerprint, 8 hexadecimal digits over kind and places, is the same whenever the same
    failure comes back. The message is left out: another library's message may hold a file name.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "fedvox" in Path(frame.filename).parts] or list(frames)
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"
    trail = [type(error).__name__, *(f"{Path(f.filename).name}:{f.name}" for f in frames)]
    mark = hashlib.sha256("\n".join(trail).encode()).hexdigest()[:8]
    return f"{type(error).__name__} at {place} [{mark}]"
