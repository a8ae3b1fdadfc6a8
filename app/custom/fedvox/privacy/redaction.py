"""Takes out of a text what may name a patient: paths, image files, long numbers, dates, addresses.

Everything of these shapes goes, whether it names somebody or not: a log that lost a harmless number
can be read, one that kept an accession number cannot be taken back.
"""

import hashlib
import re
import traceback
from pathlib import Path

_IMAGE = r"(?:nii(?:\.gz)?|dcm|ima|mha|mhd|nrrd|hdr|img|nhdr|np[yz]|png|jpe?g|tiff?)"
_IN_WORD = r"[^\s\"',;:()\[\]{}<>/\\]"
_IN_PATH = r"(?:[^\s\"',;:()\[\]{}<>]|[,:'](?=[^\s]))"
_KEPT = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{16,64})"
    r"(?![\w-])"
)
"""Job ids and hashes."""
# Each pattern begins at the start of a word only, so that long lines cost linear time.
_RULES = (
    # what stands in quotes and begins as a path, blanks and all
    (re.compile(r'"(?:file:)?(?:~|[A-Za-z]:\\|\\\\|/)[^"\n]*"'), '"<path>"'),
    (re.compile(r"'(?:file:)?(?:~|[A-Za-z]:\\|\\\\|/)[^'\n]*'"), "'<path>'"),
    # a path with blanks that ends in an image's name
    (
        re.compile(rf"(?<![\w.])(?:~|[A-Za-z]:)?[/\\](?=\w)[^\"'\n<>]{{0,200}}?\.{_IMAGE}\b"),
        "<path>",
    ),
    (re.compile(rf"(?:file:|(?<![\w.]))(?:~/|/(?=[\w.-])){_IN_PATH}*"), "<path>"),
    (re.compile(rf"(?<!\w)(?:[A-Za-z]:\\|\\\\){_IN_PATH}*"), "<path>"),
    (re.compile(rf"(?<!{_IN_WORD}){_IN_WORD}+(?:[/\\]{_IN_WORD}+){{2,}}"), "<path>"),
    (re.compile(rf"(?<!{_IN_WORD}){_IN_WORD}+\.{_IMAGE}\b", re.IGNORECASE), "<file>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+"), "<address>"),
    (re.compile(r"(?<![\w^])\w++\^[\w^]+"), "<name>"),
    (re.compile(r"(?<!\d)\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)"), "<date>"),
    (re.compile(r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"), "<date>"),
    (re.compile(r"(?<!\d)\d\d[-/.]\d\d[-/.]\d\d(?!\d)"), "<date>"),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){4,}"), "<uid>"),
    (re.compile(r"(?<![\d.])\d{6,}"), "<number>"),
)


def redact(text: str) -> str:
    """Replaces paths, image file names, addresses, dates, UIDs and numbers of 6 digits or more.

    Job ids, hashes and decimals stay.
    """
    parts, end = [], 0
    for kept in _KEPT.finditer(text):
        parts += [_without_names(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*parts, _without_names(text[end:])])


def _without_names(text: str) -> str:
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
