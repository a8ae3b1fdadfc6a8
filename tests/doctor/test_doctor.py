"""`fedvox doctor` finds each of twelve planted faults and none in a clean place."""

import datetime as dt
import gzip
import json
import re
import shutil
from collections import namedtuple

import nibabel as nib
import numpy as np
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fedvox.commands.main import main
from fedvox.doctor.host import GIB
from fedvox.doctor.run_check import run_check

CLEAN_RUNS = 3


def test_a_clean_place_has_no_complaint(doctor, complaints):
    code, findings = doctor()
    assert (code, complaints(findings)) == (0, set())
    assert {"disk", "ram", "clock", "certificate", "ca", "dns", "port"} <= set(findings)
    assert {"permissions", "versions", "data", "labels", "allow-list", "kit"} <= set(findings)


def test_it_stays_without_complaint(doctor, complaints):
    assert [complaints(doctor()[1]) for _ in range(CLEAN_RUNS)] == [set()] * CLEAN_RUNS


def test_disk(found, monkeypatch):
    usage = namedtuple("usage", "total used free")
    real = shutil.disk_usage
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda path: real(path) if "shm" in str(path) else usage(10**12, 10**12, GIB // 2),
    )
    assert found("disk", "0.5 GiB free")[0] == 1


def test_ram(found, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert found("ram", "1.0 GiB available")[0] == 1


def test_clock(found, place, kits):
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    issue(place, kits, later, later + dt.timedelta(days=300))
    assert found("clock", "the kit's certificate is from")[0] == 1


def test_certificate_under_30_days(found, place, kits):
    now = dt.datetime.now(dt.UTC)
    issue(place, kits, now - dt.timedelta(days=300), now + dt.timedelta(days=20))
    found("certificate", "19 days left")


def test_expired_certificate(found, place, kits):
    now = dt.datetime.now(dt.UTC)
    issue(place, kits, now - dt.timedelta(days=300), now - dt.timedelta(days=20))
    assert found("certificate", "expired")[0] == 1


def test_foreign_ca(found, place):
    _, root = own_root()
    (place.startup / "rootCA.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    assert found("ca", "not issued by")[0] == 1


def test_other_fingerprint_than_the_operator_named(found):
    assert found("ca", "the operator named abab", more=["--root-ca", "ab:" * 31 + "ab"])


def test_the_named_fingerprint_passes(doctor, complaints):
    unnamed = doctor()[1]["ca"]["message"]
    assert unnamed.endswith("compared with nothing: give --root-ca")
    text = re.search("[0-9a-f]{64}", unnamed)[0]
    colons = ":".join(text[i : i + 2] for i in range(0, 64, 2)).upper()
    _, findings = doctor("--root-ca", colons)
    assert complaints(findings) == set()
    assert findings["ca"]["message"].endswith("as the operator named it")


@pytest.mark.parametrize("form", ["sha256 Fingerprint={}", " SHA256:{}\n", "{} ", "“{}”"])
def test_the_fingerprint_may_be_pasted_as_openssl_prints_it(doctor, kits, form):
    root = x509.load_pem_x509_certificate((kits.kit("site-1") / "startup/rootCA.pem").read_bytes())
    digits = root.fingerprint(hashes.SHA256()).hex(" " if form == "{} " else ":").upper()
    assert doctor("--root-ca", form.format(digits))[1]["ca"]["status"] == "PASS"


@pytest.mark.parametrize("text", ["", ":", "abab", "g" * 64, "ab" * 30])
def test_no_fingerprint_is_one_line(place, capsys, text):
    assert main(["doctor", "--kit", str(place.kit), "--root-ca", text]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is not a SHA-256 fingerprint; give the operator's 64" in error


def test_dns(found, place):
    retarget(place, "no-such-host.invalid", None)
    assert found("dns", "no-such-host.invalid")[0] == 1


def test_port(found, place):
    retarget(place, None, 9)
    assert found("port", "does not answer")[0] == 1


def test_permissions(found, place):
    (place.startup / "client.key").chmod(0o644)
    assert found("permissions", "can be read by others")[0] == 1


def test_a_kit_mounted_read_only_is_right_where_flare_works_elsewhere(
    doctor, found, place, tmp_path, monkeypatch
):
    place.kit.chmod(0o500)
    found("permissions", "the kit cannot be written")
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("NVFL_WORKSPACE", str(tmp_path / "work"))
    assert doctor()[1]["permissions"]["status"] == "PASS"
    (tmp_path / "work").chmod(0o500)
    found("permissions", "the folder in NVFL_WORKSPACE cannot be written")


def test_unwritable_cache(found, place):
    cache = place.kit.parent / "cache"
    cache.mkdir(mode=0o500)
    assert found("permissions", "the cache cannot be written")[0] == 1


@pytest.mark.parametrize("package", ["fedvox", "nvflare", "torch"])
def test_version(found, place, package):
    path = place.job / "app/config/versions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), package: "0.0.9"}))
    assert found("versions", f"the job needs {package} 0.0.9, this machine has")[0] == 1


def test_data(found, place):
    for path in sorted((place.data / "images").glob("*.nii.gz")):
        path.write_bytes(path.read_bytes()[:-100])
    assert found("data", "cases cannot be used")[0] == 1


def test_modality(found, place):
    path = place.local / "fedvox_site.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "modalities": ["t1"]}))
    assert found("data")[0] == 1


def test_labels(found, place):
    for path in sorted((place.data / "labels").glob("*.nii.gz")):
        volume = nib.load(path)
        array = np.asarray(volume.dataobj).astype(np.uint8)
        array[0, 0, 0] = 77
        nib.save(nib.Nifti1Image(array, volume.affine), path)
    assert found("labels", "wrong labels")[0] == 1


def test_allow_list(found, place):
    path = place.local / "resources.json"
    policy = json.loads(path.read_text())
    policy["class_allow_list"].remove("fedvox.flare.executor.FedVoxExecutor")
    path.write_text(json.dumps(policy))
    assert found("allow-list", "fedvox.flare.executor.FedVoxExecutor")[0] == 1


def test_a_bit_flip_that_gzip_notices_is_data(doctor, complaints, place):
    path = min((place.data / "images").glob("*.nii.gz"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises((OSError, EOFError, gzip.zlib.error)):
        gzip.decompress(path.read_bytes())
    assert "data" in complaints(doctor()[1])


def test_the_machine_alone_can_be_checked(capsys):
    assert main(["doctor"]) == 0
    assert "PASS  versions" in capsys.readouterr().out


def test_a_missing_site_file_is_a_finding(doctor, place, capsys):
    """A warning while only the kit is looked at, a failure as soon as a job is about to run."""
    (place.local / "fedvox_site.json").unlink()
    code, findings = doctor()
    assert (code, findings["data"]["status"]) == (1, "FAIL")
    assert main(["doctor", "--kit", str(place.kit), "--json"]) == 0
    findings = {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["data"]["status"] == "WARN"
    assert "fedvox_site.json" in findings["data"]["remedy"]


def test_a_fingerprint_without_a_kit_is_refused(capsys):
    assert main(["doctor", "--root-ca", "ab"]) == 1
    assert "--kit" in capsys.readouterr().err


def test_a_certificate_that_the_server_refuses_is_found(found, place):
    key, _ = own_root()
    own = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (place.startup / "client.key").write_bytes(own)
    made = certificate("site-1", key.public_key(), "foreign", key)
    (place.startup / "client.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    assert found("port", "refuses this kit's certificate")[0] == 1


def test_a_check_that_breaks_is_a_finding_and_names_nobody():
    def broken():
        raise RuntimeError("driver too old for /data/MUELLER")

    finding = run_check("gpu", broken)
    assert finding.status == "FAIL"
    assert "RuntimeError" in finding.message
    assert "MUELLER" not in finding.message


def test_no_kit_there_is_one_line(tmp_path, capsys):
    assert main(["doctor", "--kit", str(tmp_path)]) == 1
    assert "no start-up kit" in capsys.readouterr().err


def retarget(place, host, port):
    """Points the kit at another server."""
    path = place.startup / "fed_client.json"
    config = json.loads(path.read_text())
    service = config["servers"][0]["service"]
    old = service["target"].rsplit(":", 1)
    service["target"] = f"{host or old[0]}:{port or old[1]}"
    path.write_text(json.dumps(config))


def own_root():
    key = rsa.generate_private_key(65537, 2048)
    return key, certificate("foreign", key.public_key(), "foreign", key)


def issue(place, kits, start, end):
    """Gives the kit another certificate of the project's own root CA."""
    state = json.loads((kits.folder.parent / "state/cert.json").read_text())
    root = x509.load_pem_x509_certificate(state["root_cert"].encode())
    key = serialization.load_pem_private_key(state["root_pri_key"].encode(), None)
    own = serialization.load_pem_private_key((place.startup / "client.key").read_bytes(), None)
    issuer = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    made = certificate("site-1", own.public_key(), issuer, key, start, end)
    (place.startup / "client.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def certificate(name, public, issuer, key, start=None, end=None):
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start or now - dt.timedelta(days=1))
        .not_valid_after(end or now + dt.timedelta(days=300))
        .sign(key, hashes.SHA256())
    )


@pytest.fixture
def without_a_job(place, server, capsys):
    """A function to exit code and finding by check of a site that has no job yet."""

    def run():
        code = main(["doctor", "--kit", str(place.kit), "--json"])
        return code, {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}

    return run


def test_without_a_job_the_site_file_is_followed_to_its_cases(without_a_job):
    code, findings = without_a_job()
    assert (code, findings["data"]["status"]) == (0, "PASS")
    assert findings["data"]["message"].startswith("the site file leads to 6 cases")


def test_the_site_file_that_the_variable_names_is_the_one_that_is_checked(
    without_a_job, place, monkeypatch
):
    own = place.kit / "local/fedvox_site.json"
    moved = own.rename(place.kit.parent / "site-1.json")
    monkeypatch.setenv("FEDVOX_SITE", str(place.kit.parent / "{site}.json"))
    code, findings = without_a_job()
    assert (code, findings["data"]["status"]) == (0, "PASS")
    moved.rename(own)
    code, findings = without_a_job()
    assert (code, findings["data"]["status"]) == (1, "FAIL")
    assert "FEDVOX_SITE names no file for site-1" in findings["data"]["message"]


def test_without_a_job_an_empty_data_folder_is_found(without_a_job, place):
    shutil.rmtree(place.data / "images")
    (place.data / "images").mkdir()
    code, findings = without_a_job()
    assert (code, findings["data"]["status"]) == (1, "FAIL")
    assert findings["data"]["remedy"]


def test_a_job_that_is_not_there_is_one_line(capsys):
    assert main(["doctor", "--job", "nosuch"]) == 1
    assert "nosuch: no such folder; name an exported job" in capsys.readouterr().err


def test_a_sha1_fingerprint_is_told(place, capsys):
    assert main(["doctor", "--kit", str(place.kit), "--root-ca", "ab:" * 19 + "ab"]) == 1
    assert "40 digits are a SHA-1 fingerprint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "no such folder; name the unpacked kit"),
        ("kit/startup", "lies in a kit; name the kit: "),
        (".", "is no start-up kit but holds 1; name one, as in: "),
        ("data", "it lacks startup/fed_client.json (a site)"),
    ],
)
def test_a_folder_that_is_no_kit_is_told_from_one_that_holds_some(place, capsys, name, words):
    folder = place.kit.parent / name
    assert main(["doctor", "--kit", str(folder)]) == 1
    assert words in capsys.readouterr().err


def test_a_folder_of_jobs_is_no_job(place, capsys):
    assert main(["doctor", "--job", str(place.job.parent)]) == 1
    assert f"is no job but holds 1; name {place.job}" in capsys.readouterr().err


def test_a_missing_key_is_told(found, place):
    (place.startup / "client.key").unlink()
    _, findings = found("permissions", "startup/client.key is missing")
    assert findings["permissions"]["remedy"] == "unpack the kit afresh"
    assert findings["port"]["message"] == "not tried: client.key is missing in startup/"


@pytest.mark.parametrize("name", ["MANIFEST.sha256", "MANIFEST.sha256.sig"])
def test_a_kit_without_its_seal_is_told(found, place, name):
    (place.kit / name).unlink()
    _, findings = found("kit", f"{name}")
    assert "missing" in findings["kit"]["message"] and "afresh" in findings["kit"]["remedy"]
