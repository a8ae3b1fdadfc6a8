"""Takes out of a text what may name a patient: paths, image files, long numbers, dates, addresses.

Everything of these shapes goes, whether it names somebody or not: a log that lost a harmless number
can be read, one that kept an accession number cannot be taken back. A path may hold blanks, so a
path takes with it what follows on its line, up to where it surely ends.
"""

import hashlib
import re
import traceback
from pathlib import Path
from types import FrameType

_WORD = r"[^\s\"',;:()\[\]{}<>/\\]"
_KEPT = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{16,64})"
    r"(?![\w-])"
    r"|(?:(?<=case )|(?<=\.py:\d \[)|(?<=\.py:\d\d \[)|(?<=\.py:\d\d\d \[))"
    r"(?=[0-9]*[a-f])[0-9a-f]{8}(?![\w-])"
)
"""Job ids and hashes; codes of cases and fingerprints of exceptions, where they stand in a log."""
# Each pattern begins at the start of a word only, so that long lines cost linear time.
_URL = re.compile(r"(?<![\w+.-])(?!file:)[A-Za-z][\w+.-]*+://[\w.-]+(?::\d+)?(?![\w/:])")
"""Machine and port without a path."""
_ROOT = re.compile(
    r"(?<![\w+.-])[A-Za-z][\w+.-]*+:[/\\]|(?<![\w.])~[\w.-]*+[/\\]|\\\\(?=[\w.$])"
    r"|(?<![\w.])[/\\](?=[^\s/\\<>\"'])"
)
"""Where an absolute path begins."""
_IMAGE = re.compile(
    r"\.(?:nii(?:\.gz)?|dcm|ima|mha|mhd|nrrd|hdr|img|nhdr|np[yz]|png|jpe?g|tiff?)"
    rf"(?![A-Za-z0-9]){_WORD}*",
    re.IGNORECASE,
)
_OTHER_FILE = re.compile(r"\.(?:json|ya?ml|txt|log|py|sh|csv|safetensors)(?=[\s\"',;:)\]]|$)")
_PATH_END = re.compile(r"[\"<>;]|'(?!\w)|:(?=\s|$)")
"""After a path's last slash and without a file's ending."""
_CLAUSE = re.compile(r"[\"<>;]|(?<!\w)'|'(?!\w)|:(?=\s)")
_VERB = re.compile(r"\b(?:read|write|open|load|save|find|file|image|label)\s")
_RELATIVE = re.compile(rf"(?<!{_WORD}){_WORD}+(?:[/\\]{_WORD}*)+")
_NO_PATH = re.compile(
    r"and/or|n/a|i/o|tcp/ip|\d{1,5}/\d{1,5}|(?:it|case|step|[kmg]?i?b)s?/s"
    r"|(?:local|provisioning/policies/(?:site|server))/"
    r"(?:privacy|resources|authorization|log_config|fedvox_site)\.json"
    r"|docs/(?:data|hospital-it|lead|operator|predict|privacy|researcher)\.md"
    r"|provisioning/(?:README|RUNBOOK)\.md",
    re.IGNORECASE,
)
"""No path, or one of a start-up kit or of this project, which is the same everywhere."""
_MONTH = (
    r"(?:jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)"
    r"(?:uary?|ruary?|ch|z|il|e|y|i|ust|t|tember|ober|ember)?"
)
_RULES = (
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+"), "<address>"),
    (re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}(?![\w:])", re.I), "<address>"),
    (
        re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::[0-9a-f:]*", re.I),
        "<address>",
    ),
    (re.compile(r"(?<![\w^])\w++\^[\w^]+"), "<name>"),
    # A name may hang on a date or a number: Mueller_Anna_19550317.
    (re.compile(r"(?<![\w.-])(?:[^\W\d]|-)++\d{4}[-.]\d{1,2}[-.]\d{1,2}(?!\d)[\w-]*+"), "<date>"),
    (re.compile(r"(?<!\d)\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)(?:_[\w-]*+)?"), "<date>"),
    (re.compile(r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"), "<date>"),
    (re.compile(r"(?<![\d.])\d{1,2}[-/.]\d{1,2}[-/.]\d\d(?![\d.]*\d)"), "<date>"),
    (re.compile(rf"(?<!\d)\d{{1,2}}\.?[ -]?{_MONTH}\.?[ ,-]*\d{{2,4}}(?!\d)", re.I), "<date>"),
    (re.compile(rf"\b{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}(?!\d)", re.I), "<date>"),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){4,}"), "<uid>"),
    (re.compile(r"(?<![\w-])(?:[^\W\d]|-|\d(?!\d{5}))++\d{6,}[\w-]*+"), "<number>"),
    (re.compile(r"(?<!\d)(?<!\d\.)\d{6,}+[\w-]*+"), "<number>"),
)


def redact(text: str) -> str:
    """Replaces paths, image file names, addresses, dates, UIDs and numbers of 6 digits or more.

    Job ids, hashes and decimals stay, unless they are part of a path.
    """
    text = "\n".join(_without_files(line) for line in text.split("\n"))
    parts, end = [], 0
    for kept in _KEPT.finditer(text):
        parts += [_without_names(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*parts, _without_names(text[end:])])


def _without_files(line: str) -> str:
    """A line without paths and image names; each kind goes from its first to its last at once."""
    line = _URL.sub("<address>", line)
    root = _ROOT.search(line)
    if root is None:
        return _without_relative(_without_images(line))
    head, tail = line[: root.start()], line[_path_end(line, root.end()) :]
    return f"{_without_relative(_without_images(head))}<path>{tail}"


def _path_end(line: str, start: int) -> int:
    """Where the last path of a line surely ends; ``start`` lies behind the root of the first."""
    slash = max(line.rfind("/"), line.rfind("\\"), start - 1) + 1
    file = max((m.end() for m in _IMAGE.finditer(line, start)), default=0)
    if file < slash:
        other = _OTHER_FILE.search(line, slash)
        file = other.end() if other else 0
    end = _PATH_END.search(line, slash)
    if file:
        return file
    return end.start() if end else len(line)


def _without_images(line: str) -> str:
    """Takes out image names with all words before them, as far as they may belong to the name."""
    images = list(_IMAGE.finditer(line))
    if not images:
        return line
    first = images[0].start()
    start = max((m.end() for m in _CLAUSE.finditer(line, 0, first)), default=0)
    verb = _VERB.search(line, start, first)
    start = verb.end() if verb else start
    start += len(line[start:first]) - len(line[start:first].lstrip())
    return f"{line[:start]}<file>{line[images[-1].end() :]}"


def _without_relative(line: str) -> str:
    paths = [m for m in _RELATIVE.finditer(line) if not _NO_PATH.fullmatch(m.group())]
    return f"{line[: paths[0].start()]}<path>{line[paths[-1].end() :]}" if paths else line


def _without_names(text: str) -> str:
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def exception_line(error: BaseException) -> str:
    """An exception as its kind, the place in our code where it arose and a fingerprint.

    The fingerprint, 8 hexadecimal digits over kind and places, is the same whenever the same
    failure comes back. The message is left out: another library's message may hold a file name.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [entry for entry in frames if _is_ours(entry[0])] or frames
    place = f"{_file(own[-1][0])}:{own[-1][1]}" if own else "unknown place"
    places = [f"{_file(frame)}:{frame.f_code.co_name}" for frame, _ in frames]
    trail = [type(error).__name__, *places]
    mark = hashlib.sha256("\n".join(trail).encode()).hexdigest()[:8]
    return f"{type(error).__name__} at {place} [{mark}]"


def _is_ours(frame: FrameType) -> bool:
    """Whether a module of this package runs in a frame; folders may be called as they like."""
    module = frame.f_globals.get("__package__") or frame.f_globals.get("__name__") or ""
    return str(module).partition(".")[0] == __name__.partition(".")[0]


def _file(frame: FrameType) -> str:
    return Path(frame.f_code.co_filename).name
