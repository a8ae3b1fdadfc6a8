"""What people mistype, forget and confuse: each is answered by one line that says what to do.

A row is a command line and a part of its answer. Nothing is computed, written or left behind, and
no answer names a class of Python. ``SITE``, ``MODEL`` and the other words in capitals are files
of the fixture; ``shlex`` splits a row as a shell would.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.flare.jobs.export import export_job

ROOT = Path(__file__).parents[2]
OUT = "--output o.nii.gz"
NO_SCAN = f"--model MODEL --modality ct {OUT}"
SCAN = f"{NO_SCAN} --input ct.nii.gz"
NAMED = f"--model MODEL {OUT} --input t1=ct.nii.gz"
EXPORT = "job export fedgin --out new"

GENERAL = [
    ("--helpp", "unknown option --helpp; did you mean --help? See 'fedvox --help'"),
    ("-v", "unknown option -v; did you mean --version?"),
    ("help", "did you mean --help?"),
    ("prdict", "unknown command 'prdict'; did you mean predict?"),
    ("Predict", "did you mean predict?"),
    ("xyz", "unknown command 'xyz'; choose phantom, check, doctor, job, predict, evaluate, "),
]
PREDICT = [
    ("", "missing: --model, --input, --output; see 'fedvox predict --help'"),
    ("--bogus", "unknown option --bogus; see 'fedvox predict --help'"),
    ("--modle MODEL", "unknown option --modle; did you mean --model?"),
    ("--Model MODEL", "did you mean --model?"),
    ("-m MODEL", "did you mean --model?"),
    ("-model MODEL", "did you mean --model?"),
    ("—model MODEL", "did you mean --model?"),
    (f"{SCAN} --largest_component", "did you mean --largest-component?"),
    (f"{SCAN} --report", "--report needs a value after it"),
    (f"{SCAN} other.nii.gz", "--input takes one scan or a folder of scans"),
    (f"{SCAN} --json=1", "--json takes no value, not '1'"),
    (f"{SCAN} --threads two", "--threads: 'two' is no whole number"),
    (f"{SCAN} --threads 0", "--threads is 0; it must be from 1 to 256"),
    (f"{SCAN} --device gpu", "--device 'gpu': choose auto, cpu or cuda"),
    (f"{SCAN} --modality ''", "--modality is empty; name ct, mr or auto"),
    (f"{SCAN} --modality xray", "--modality xray: the model was trained for ct, mr"),
    (f"{SCAN} --model nope", "--model nope: no such model file; give the model.safetensors of"),
    (f"{SCAN} --model folder", "--model folder: it is a folder; give the model.safetensors of a"),
    (f"{SCAN} --model .", "--model .: it is a folder; name model.safetensors"),
    (f"{SCAN} --model model.json", "it holds no weights; name model.safetensors"),
    (f"{SCAN} --model text.txt", "it holds no weights; give the model.safetensors of a run"),
    (f"{SCAN} --model ''", "--model: is empty; name a folder or file"),
    (f"{NO_SCAN} --input nope.nii.gz", "holds none of that name"),
    (f"{NO_SCAN} --input a/b/c.nii.gz", "of its path only"),
    (f"{NO_SCAN} --input '*.nii.gz'", "no file matches the pattern; name one path, or the folder"),
    (rf"{NO_SCAN} --input 'C:\scans\x.nii.gz'", "it looks like a Windows path"),
    (f"{NO_SCAN} --input ' ct.nii.gz'", "it begins or ends with a blank or a quote; take it out"),
    (f"{NO_SCAN} --input ~nobody-here/ct.nii.gz", "there is no such user here"),
    (f"{NO_SCAN} --input text.txt", "it is a text; give a NIfTI file, or the folder of a DICOM"),
    (f"{NO_SCAN} --input text.nii.gz", "it is a text"),
    (f"{NO_SCAN} --input picture.png", "it is a PNG picture"),
    (f"{NO_SCAN} --input one.dcm", "a single DICOM file; name the folder that holds the files of"),
    (f"{NO_SCAN} --input folder --output x", "it holds neither NIfTI files nor folders of DICOM"),
    (f"{NO_SCAN} --input folder", "--input is a folder of scans, so name a folder"),
    (f"{SCAN} --input mr.nii.gz", "each needs its channel's name, as in --input t1=t1.nii.gz --in"),
    (f"{SCAN} --input t2=mr.nii.gz", "each needs its channel's name"),
    (f"{NAMED} --input t1=mr.nii.gz", "--input t1=... is given twice; name one scan per channel"),
    (f"{NAMED} --modality ct", "--modality: each --input names its own already; leave --mod"),
    (
        f"{NAMED} --input t2=second.nii.gz",
        "names 2 scans, the model takes one of ct, mr; give --input",
    ),
    (f"{NAMED} --input t2=ct.nii.gz", "it is the same scan as that of t1; name each channel's own"),
    (f"{NAMED}", "--modality t1: the model was trained for ct, mr"),
    (f"--model MODEL {OUT} --input ct.nii.gz", "--modality is missing; name ct, mr or auto"),
    (f"--model MODEL {OUT} --input t1=no.nii.gz", "holds none of that name"),
    (f"{SCAN} --output ct.nii.gz --force", "it is the scan itself; choose another name"),
    (f"{SCAN} --output labels", "--output labels: the name must end in .nii or .nii.gz"),
    (f"{SCAN} --output folder/", "the name must end in .nii or .nii.gz"),
    (f"{SCAN} --output text.txt/o.nii.gz", "text.txt is a file, not a folder; choose another"),
    (f"{SCAN} --output /proc/o.nii.gz", "/proc cannot be written ("),
    (f"{SCAN} --output there.nii.gz", "it exists already; choose another name or give --force"),
    (f"{SCAN} --preview o.jpg", "--preview o.jpg: the name must end in .png"),
]
CHECK = [
    ("", "missing: SITE_FILE; see 'fedvox check --help'"),
    ("nope.json", "nope.json: the file is missing; "),
    ("'*.json'", "no file matches the pattern"),
    ("site", "site: it is a folder; name site.json"),
    ("folder", "it is a folder; name the site file, as folder/fedvox_site.json"),
    ("text.txt", "not valid JSON at line 1"),
    ("''", "SITE_FILE: is empty; name a folder or file"),
    ("SITE SITE", "(one site file at a time)"),
    ("SITE --htm1 x", "unknown option --htm1; did you mean --html?"),
    ("SITE --html folder", "--html folder: it is a folder; name the file to write"),
    ("SITE --html text.txt", "it exists and is no page; choose another name"),
    ("SITE --html /proc/x.html", "/proc cannot be written ("),
    ("SITE --html text.txt/x.html", "is a file, not a folder; choose another"),
    ("SITE --thumbnails", "--thumbnails stand on the page; give --html FILE as well"),
    ("SITE --workers 0", "--workers is 0; it must be at least 1"),
    ("SITE --workers many", "--workers: 'many' is no whole number"),
    ("SITE --job nope", "--job nope: no such folder; name an exported job's folder"),
    ("SITE --job text.txt", "--job text.txt: it is a file; name an exported job's folder"),
    ("SITE --job folder", "--job folder: no job, since it lacks app/config/training.json"),
    ("SITE --which ''", "--which is empty; copy the 8 digits of a case"),
    ("SITE --quarantine", "--quarantine needs 'cache'"),
]
DOCTOR = [
    ("--kit nope", "nope: no such folder; name the unpacked kit"),
    ("--kit text.txt", "it is a file; unpack the kit, if it is one, and name the folder"),
    ("--kit folder", "no start-up kit, since it lacks"),
    ("--kit ''", "--kit: is empty"),
    ("--job nope", "no such folder; name an exported job's folder"),
    ("--job text.txt", "it is a file; name an exported job's folder"),
    ("--root-ca 12", "name the kit with --kit"),
    ("--jsn", "unknown option --jsn; did you mean --json?"),
]
JOB = [
    ("job", "missing: list, show, export or diff; see 'fedvox job --help'"),
    ("job lst", "unknown action 'lst'; did you mean list?"),
    ("job list --jobs nope", "nope: no folder of jobs"),
    ("job list --jobs folder", "folder: it holds no jobs; name a folder of job folders"),
    ("job show", "missing: name; see 'fedvox job show --help'"),
    ("job show fedgn", "did you mean fedgin?"),
    ("job show FedGIN", "did you mean fedgin?"),
    ("job show jobs/fedgin/", "did you mean fedgin?"),
    ("job show zzz", "choose one of: brats, fedavg, fedgin, fedsegnet, mixmfl, plan"),
    ("job export fedgin", "missing: --out"),
    ("job export fedgin --out text.txt", "--out text.txt: it is a file; name a folder"),
    ("job export fedgin --out /proc", "/proc cannot be written ("),
    ("job export fedgin --out ''", "--out: is empty"),
    ("job export fedgin --out made", "exists already; remove it or choose another --out"),
    (f"{EXPORT} --code none", "--code 'none': choose preinstalled, carried or pinned"),
    (f"{EXPORT} --set", "--set needs a value after it"),
    (f"{EXPORT} --set training.rounds", "write it as key.path=value"),
    (f"{EXPORT} --set training.round=3", "did you mean 'rounds'?"),
    (f"{EXPORT} --set rounds=3", "write it as training.rounds=3"),
    (f"{EXPORT} --set Training.rounds=3", "did you mean 'training'?"),
    (f"{EXPORT} --set training=3", "name a key of the section, as training."),
    (f"{EXPORT} --set training.rounds=three", "must be a whole number, not 'three'"),
    (f"{EXPORT} --set training.rounds=-3", "it must be at least 1"),
    (f"{EXPORT} --set training.rounds.x=3", "'rounds' holds a value, not a section"),
    (f"{EXPORT} --set training.steps=3 --set training.steps=4", "steps is set to 3 too; keep one"),
    (
        f"{EXPORT} --set training.loss.gamma=3 --set training.loss=dice_focal",
        "training.loss overrides training.loss.gamma; put it first",
    ),
    (
        f"{EXPORT} --set augmentation.gin.probability=1 --set augmentation.name=none",
        "augmentation.name overrides augmentation.gin.probability; put it first",
    ),
    (f"{EXPORT} --set training.personal=model.9.*", "no tensor of the network is called so"),
    (f"{EXPORT} --set training.loss=dice", "choose one of: dice_ce, dice_focal"),
    (f"{EXPORT} --set augmentation.name=GIN", "choose one of: gin, none"),
    (f"{EXPORT} --set data.organs=livr", "unknown organ 'livr'; did you mean 'liver'? known: "),
    (f"{EXPORT} --set data.organs=Liver", "unknown organ 'Liver'; did you mean 'liver'?"),
    (f"{EXPORT} --set data.modalities=MRI", "did you mean 'mr'? allowed: ct, mr"),
    (f"{EXPORT} --set data.modalities=CT", "did you mean 'ct'? allowed: ct, mr"),
    (f"{EXPORT} --set phantom.modalities=ct,mri", "did you mean 'mr'? "),
    (f"{EXPORT} --set network.name=unnet", "did you mean 'unet'? choose one of: "),
    (f"{EXPORT} --set training.client_weight=case", "did you mean 'cases'? choose one of: "),
    (f"{EXPORT} training.rounds=3", "--set KEY=VALUE, without blanks); see 'fedvox job export"),
    (f"{EXPORT} --set training.rounds =3", "unknown: =3 (write each setting as --set KEY=VALUE"),
    ("job list fedgin", "unknown: fedgin; see 'fedvox job list --help'"),
    (f"{EXPORT} --set data.spacing=2", "must have 3 elements, not 1"),
    (f"{EXPORT} --min-clients 0", "a job needs 1 to 10000 sites"),
    (f"{EXPORT} --min-clients two", "--min-clients: 'two' is no whole number"),
    (f"{EXPORT} --name 'a b'", "use 1 to 64 letters, digits"),
    (f"{EXPORT} --plan nope.json", "nope.json: file not found; check the path"),
    (f"{EXPORT} --plan folder", "folder: cannot be read (Is a directory)"),
    ("job diff nope", "no such folder; name an exported job's folder"),
    ("job diff JOBS", "is no job but holds 6; name "),
    ("job diff made/fedgin --against nope", "--against nope: no fedvox package"),
]
KIT = [
    ("kit", "missing: prepare, templates or renew"),
    ("kit prepar", "unknown action 'prepar'; did you mean prepare?"),
    ("kit prepare", "missing: kit, --config, --out"),
    ("kit prepare folder --config nope.yml --out o", "missing or no YAML; start from the files in"),
    ("kit prepare folder --config text.txt --out o", "'runtime' must be k8s or slurm"),
    ("kit prepare folder --config K8S --out o", "no start-up kit of a server or site"),
    ("kit prepare folder --config K8S --out text.txt/o", "is a file, not a folder"),
    ("kit renew site-1 --state nope", "name the project's state folder with --state"),
    ("kit templates --out text.txt", "--out text.txt: it is a file; name a folder"),
]
PHANTOM = [
    ("", "missing: --out"),
    ("--output x", "unknown option --output; did you mean --out?"),
    ("--out text.txt", "--out text.txt: it is a file; name a folder"),
    ("--out .", "site-1 exists already; remove it or choose another --out"),
    ("--out x --sites pet", "choose one of: ct, mr, mr_t1, mr_t2"),
    ("--out x --sites ct mr", "unknown: mr (write several sites with commas and no blanks"),
    ("--out x --sites mri", "did you mean 'mr'?"),
    ("--out x --sites ''", "choose one of: ct, mr, mr_t1, mr_t2"),
    ("--out x --cases 2", "it must be at least 3"),
    ("--out x --cases 100000", "it must be at most 10000"),
    ("--out x --cases 1e3", "--cases: '1e3' is no whole number"),
    ("--out x --seed -1", "it must be 0 or more"),
    ("--out x --size nan", "it must be from 4 voxels up to 1000 mm"),
    ("--out x --spacing 0", "it must be from 1 to 40"),
]
OTHERS = [
    ("export", "missing: --model, --out"),
    ("export --model nope --out x", "no such model file; give the model.safetensors of a run"),
    ("export --model MODEL --out folder", "it exists already; choose another name"),
    ("export --model MODEL --out text.txt/x", "is a file, not a folder; choose another"),
    ("export --model MODEL --out x --format onnx", "choose bundle or torchscript"),
    ("export --model MODEL --out x.ts", "a bundle is a folder; for a file of that name give "),
    ("report", "missing: RUN_DIR"),
    ("report nope", "no such folder; name a run folder"),
    ("report text.txt", "it is a file; name the run folder in which it lies"),
    ("report folder", "not a run folder, it holds none of"),
    ("report runs", "not a run folder, but it holds one; name runs/fedgin"),
    ("report folder --out x", "unknown option --out; see 'fedvox report --help'"),
]
ROWS = [
    *GENERAL,
    *((f"predict {words}", line) for words, line in PREDICT),
    *((f"check {words}", line) for words, line in CHECK),
    *((f"doctor {words}", line) for words, line in DOCTOR),
    *JOB,
    *KIT,
    *((f"phantom {words}", line) for words, line in PHANTOM),
    *OTHERS,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, phantom_site):
    """A folder as people have it before them; no row may change it."""
    place = tmp_path_factory.mktemp("mistakes")
    scans = sorted((phantom_site("ct") / "images").iterdir())
    for name, scan in zip(("ct.nii.gz", "second.nii.gz"), scans, strict=False):
        (place / name).symlink_to(scan)
    for name in ("text.txt", "text.nii.gz", "there.nii.gz"):
        (place / name).write_text("some words\n")
    (place / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    (place / "one.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
    for name in ("folder", "site", "site-1", "runs/fedgin"):
        (place / name).mkdir(parents=True)
    (place / "runs/fedgin/rounds.jsonl").touch()
    site = {"dataset": "phantom", "root": str(phantom_site("ct")), "modalities": ["ct"]}
    (place / "site.json").write_text(json.dumps(site))
    export_job(ROOT / "jobs/fedgin", place / "made")
    return place


@pytest.fixture
def words(folder, make_model, monkeypatch):
    """A function from a row to the words of its command line."""
    model = make_model("ct", "mr")
    for name in ("model.safetensors", "model.json"):
        if not (folder / name).exists():
            (folder / name).write_bytes(model.with_name(name).read_bytes())
    monkeypatch.chdir(folder)
    meaning = {
        "MODEL": "model.safetensors",
        "SITE": "site.json",
        "JOBS": str(ROOT / "jobs"),
        "K8S": str(ROOT / "provisioning/runtimes/k8s.yml"),
    }
    return lambda row: [meaning.get(word, word) for word in shlex.split(row)]


@pytest.mark.parametrize(("row", "line"), ROWS)
def test_a_mistake_is_answered_by_one_line_that_says_what_to_do(row, line, words, folder, capsys):
    command, before = words(row), sorted(folder.rglob("*"))
    try:
        code = main(command)
    except SystemExit as stop:
        code = stop.code
    output, error = capsys.readouterr()
    assert (code in (1, 2), output) == (True, ""), error
    assert error.startswith("fedvox: error: ") and error.count("\n") == 1
    assert line in error
    assert not re.search(r"\w+(Error|Exception)\b|Traceback|NoneType", error)
    assert sorted(folder.rglob("*")) == before


def test_every_command_has_its_mistakes():
    told = {" ".join(shlex.split(row)[:1]) for row, _ in ROWS}
    assert {"predict", "check", "doctor", "job", "kit", "phantom", "export", "report"} <= told


@pytest.mark.parametrize("name", ["CT", " Ct"])
def test_a_modality_may_be_written_in_any_case(name, words, folder, tmp_path, capsys):
    command = words(f"predict {SCAN} --threads 1 --modality '{name}'")
    command[command.index("o.nii.gz")] = str(tmp_path / "o.nii.gz")
    assert main(command) == 0, capsys.readouterr().err


def test_a_tilde_that_the_shell_left_is_the_users_home(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(words("job export fedgin --out=~/made")) == 0
    assert (tmp_path / "made/fedgin/meta.json").is_file()


def test_options_are_checked_before_anything_heavy_is_loaded(tmp_path):
    code = (
        "import sys\n"
        "from fedvox.commands.main import main\n"
        "for words in ['predict', '--bogus'], ['--help'], ['check', '--help'], [], ['predict'],\\\n"
        "        'predict --modality CT --input x --model y --output z'.split(),\\\n"
        "        ['export', '--model', 'y', '--out', '.'],\\\n"
        "        ['check', 'nope.json'], ['report', 'nope'], ['job', 'show', 'nope']:\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "    heavy = {'torch', 'monai', 'nibabel', 'scipy', 'matplotlib'} & {*sys.modules}\n"
        "    if heavy: sys.exit(f'{words} loads {heavy}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-300:]


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["--version"], 0)])
def test_the_package_runs_as_a_module(words, code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fedvox", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("fedvox 0" if "--version" in words else "usage: fedvox")
