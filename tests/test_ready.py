"""`python -m course.ready`: each planted fault gets its own line, and the code tells the teacher which it was."""

import os
import random
import shutil
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from course import ROOT, ready, ready_code, toy_ddpm


def run(*flags, **environment):
    command = [sys.executable, *flags, "-m", "course.ready"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment
    )


def code_in(text):
    return text.split()[-1]


def test_without_any_package_it_says_what_to_install():
    done = run("-S", COURSE_DATA="")  # Python's own library alone
    assert done.returncode == 1 and not done.stderr
    assert "torch is missing" in done.stdout and "PyTorch cannot be imported" in done.stdout
    told = ready_code.decode(code_in(done.stdout))
    states = {name: ready_code.STATES[told[name]] for name in ready_code.CHECKS}
    assert states["python"] == states["weights"] == "ok" and states["packages"] == states["torch"] == "to do"
    assert states["mnist"] == states["digit"] == states["memory"] == "not looked at"
    assert told["torch_major"] == 0 and "PyTorch not here" in "\n".join(ready_code.explain(code_in(done.stdout)))


def test_a_digit_is_drawn_and_read():
    outcome = {}
    state, sentence = ready.digit(outcome)
    assert state in ("ok", "note") and "reads 7" in sentence and outcome["seconds"] > 0


def test_a_computer_that_draws_nonsense_is_found(monkeypatch):
    monkeypatch.setattr(toy_ddpm, "ddim", lambda denoiser, x_t, t, t_prev: (x_t, x_t))
    state, sentence = ready.digit({})
    assert state == "to do" and "computes wrongly" in sentence


@pytest.mark.parametrize("wanted, said", [
    ({"numpy": "99.1"}, "older than 99.1"), ({"no-such-package": "1"}, "no-such-package is missing"), ({}, "not installed"),
    ({f"missing-{i}": "1" for i in range(9)}, "and 6 more"),
])  # fmt: skip
def test_packages(wanted, said):
    state, sentence = ready.packages(wanted)
    assert state == "to do" and said in sentence and "pip install" in sentence


def test_the_floors_are_those_of_the_project():
    floors = ready.floors()
    assert floors["torch"] == "2.11" and floors["jupyterlab"] == "4.4" and "ruff" not in floors
    assert ready.numbers("2.9.1+cpu") < ready.numbers("2.11") <= ready.numbers("2.11rc1") and ready.numbers("?") == ()


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 2, "final", 0))
    assert ready.python() == ("to do", "Python 3.10 is running, 3.11 or later is needed")


def test_weights_missing_and_damaged(monkeypatch, tmp_path):
    monkeypatch.setattr(ready, "ROOT", tmp_path)
    assert ready.weights()[0] == "to do" and "no weights in" in ready.weights()[1]
    copy = tmp_path / "assets" / "weights" / "digit-judge"
    shutil.copytree(ROOT / "assets" / "weights" / "digit-judge", copy)
    sums = (ROOT / "assets" / "weights" / "SHA256SUMS").read_text().splitlines()
    (copy.parent / "SHA256SUMS").write_text("\n".join(line for line in sums if "digit-judge" in line))
    assert ready.weights() == ("ok", "2 files of weights, checksums right")
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-1] + b"?")
    assert ready.weights()[0] == "to do" and "digit-judge/model.safetensors (1 of 2)" in ready.weights()[1]


def test_mnist_missing_and_misplaced(monkeypatch, tmp_path):
    from course import data, mnist

    monkeypatch.setattr(data, "ROOT", tmp_path)
    monkeypatch.setenv("COURSE_DATA", "")
    assert ready.mnist()[0] == "note" and "-m course.data, or set COURSE_DATA" in ready.mnist()[1]
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert ready.mnist()[0] == "to do" and "does not hold MNIST" in ready.mnist()[1]
    monkeypatch.setattr(mnist, "SUMS", {})
    assert ready.mnist() == ("ok", f"MNIST is in {tmp_path}, checksums right")


def test_memory_is_what_the_machine_or_the_hub_leaves(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8e9))
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    outcome = {}
    assert ready.memory(outcome)[0] == "ok" and outcome["free"] == 8
    monkeypatch.setenv("MEM_LIMIT", "1000000000")
    state, sentence = ready.memory(outcome)
    assert state == "note" and "1.0 GB" in sentence and "close other programs" in sentence


@pytest.mark.parametrize("place, system, said", [
    ("C:\\Users\\me\\OneDrive - School\\course", "Windows", "OneDrive"), ("C:\\" + "long" * 30, "Windows", "260"),
])  # fmt: skip
def test_folders_that_make_trouble(place, system, said):
    state, sentence = ready.folder(place, system)
    assert state == "note" and said in sentence
    assert ready.folder("/home/me/course", "Linux")[0] == "ok"


# ---------------------------------------------------------------- the code


def outcomes(n):
    chance = random.Random(0)
    for _ in range(n):
        yield {name: chance.randrange(base) for name, base in ready_code.FIELDS.items()} | {"version": 1}


def test_a_code_says_what_went_into_it_and_too_much_becomes_the_largest():
    for outcome in outcomes(200):
        assert ready_code.decode(ready_code.encode(outcome)) == outcome
    assert ready_code.decode(ready_code.encode({"free_GB": 900, "tenths": -3}))["free_GB"] == 63


def test_a_code_is_read_as_people_write_it():
    code = ready_code.encode({"cores": 8, "free_GB": 1})
    as_typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert ready_code.decode(as_typed) == ready_code.decode(code)


def test_every_wrong_sign_and_every_exchange_of_neighbours_is_noticed():
    for outcome in outcomes(3):
        code = ready_code.encode(outcome).replace("-", "")
        wrong = {code[:i] + sign + code[i + 1 :] for i in range(len(code)) for sign in ready_code.SIGNS}
        wrong |= {code[:i] + code[i + 1] + code[i] + code[i + 2 :] for i in range(len(code) - 1)}
        for typed in wrong - {code}:
            with pytest.raises(ValueError):
                ready_code.decode(typed)


@pytest.mark.parametrize(
    "code, said", [("", "no code"), ("hello", "14 letters"), ("U" * 14, "no code"), ("1" * 15, "no code")]
)
def test_what_is_no_code_is_refused(code, said):
    with pytest.raises(ValueError, match=said):
        ready_code.decode(code)


def test_a_teacher_reads_many_codes_and_a_mistyped_one_hides_no_other(capsys):
    one, other = (ready_code.encode({"cores": n}) for n in (3, 5))
    assert ready.read([one, one[:-1] + ("0" if one[-1] != "0" else "1"), other]) == 1
    said = capsys.readouterr().out
    assert "3 cores" in said and "was mistyped" in said and "5 cores" in said


def test_a_code_of_another_version_is_refused():
    with pytest.raises(ValueError, match="another version"):
        ready_code.decode(ready_code.encode({"version": 2}))
