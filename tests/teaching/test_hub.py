"""A real JupyterHub with `hub/jupyterhub_config.py`: a student logs in, computes, is limited, and what is idle ends."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path
from unittest.mock import MagicMock

import pytest

pytest.importorskip("jupyterhub")
pytest.importorskip("nbgitpuller")
ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "hub"))
import trial  # noqa: E402


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    proxy = shutil.which("configurable-http-proxy")
    if not proxy:
        if not shutil.which("npm"):
            pytest.skip("no configurable-http-proxy and no npm that fetches it")
        subprocess.run(["npm", "install", "--silent", "configurable-http-proxy"], cwd=folder, check=True)
        proxy = folder / "node_modules" / ".bin" / "configurable-http-proxy"
    (folder / "data").mkdir()
    settings = {"HUB_KERNEL_IDLE": "3", "HUB_MEMORY": "1.5", "COURSE_DATA": str(folder / "data"), "COURSE_THREADS": "7"}
    with trial.start(folder / "hub", proxy, **settings) as running:
        yield running


def text_of(outputs):
    return "".join(content["text"] for kind, content in outputs if kind == "stream")


def test_a_student_computes_with_the_course_within_his_limits(hub):
    async def lesson():
        student = trial.Student(hub, "ada")
        (hub.homes / "ada" / "notebooks").mkdir(parents=True)
        await student.log_in()
        await student.open_kernel("notebooks")
        said = await student.run(
            "import os, course, torch\n"
            "from course import device\n"
            "device.setup()\n"
            "print(os.getcwd(), os.environ['COURSE_DATA'], os.environ['COURSE_THREADS'], torch.get_num_threads())"
        )
        line = text_of(said).splitlines()[-1].split()
        assert line == [str(hub.homes / "ada" / "notebooks"), str(hub.homes.parents[1] / "data"), "1", "1"]
        with pytest.raises(RuntimeError, match="(?i)memory"):  # 2 GB, where 1.5 are allowed
            await student.run("full = torch.ones(500_000_000)")
        assert text_of(await student.run("print(torch.ones(3).sum().item())")) == "3.0\n"  # the kernel lives on

    asyncio.run(lesson())


def test_an_idle_kernel_ends_when_its_tab_is_closed(hub):
    async def lesson():
        student = trial.Student(hub, "emmy")
        await student.log_in()
        await student.open_kernel()
        await student.run("1 + 1")
        await asyncio.sleep(8)
        assert len(await student.ask(f"{student.at}/kernels")) == 1  # idle, but someone looks at it
        student.socket.close()
        for _ in range(40):
            await asyncio.sleep(0.5)
            if not await student.ask(f"{student.at}/kernels"):
                return
        raise AssertionError("the kernel was not culled")

    asyncio.run(lesson())


def test_a_link_brings_the_notebooks(hub, tmp_path):
    source = tmp_path / "lesson"
    shutil.copytree(ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns("0[1-9]*", "1*"))
    git = ["git", "-c", "user.name=teacher", "-c", "user.email=teacher@example.org", "-C", source]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first lesson"]):
        subprocess.run([*git, *words], check=True)

    async def lesson():
        student = trial.Student(hub, "karl")
        await student.log_in()
        query = urllib.parse.urlencode({"repo": f"file://{source}", "branch": "main", "targetpath": "lesson"})
        request = trial.HTTPRequest(
            f"{hub.url}/user/karl/git-pull/api?{query}", headers={"Authorization": f"token {student.token}"}
        )
        said = (await trial.AsyncHTTPClient().fetch(request)).body.decode()
        assert '"phase": "finished"' in said, said
        assert (hub.homes / "karl" / "lesson" / "notebooks" / "00_start_here.ipynb").exists()

    asyncio.run(lesson())


def test_the_culler_of_servers_runs_and_strangers_get_nothing(hub):
    async def look():
        services = await trial.Student(hub, "nobody").ask(f"{hub.url}/hub/api/services")
        assert services["culler"]["pid"] and "--timeout=3600" in services["culler"]["command"]
        stranger = trial.Student(hub, "ada")
        stranger.token = "wrong"
        with pytest.raises(trial.HTTPClientError, match="403"):
            await stranger.ask(f"{stranger.at}/kernels")

    asyncio.run(look())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Unix accounts")
def test_nobody_becomes_an_account_of_the_system():
    config = MagicMock()
    space = {"get_config": lambda: config}
    exec((ROOT / "hub" / "jupyterhub_config.py").read_text(), space)

    class Spawner:
        class user:
            name = "root"

    with pytest.raises(ValueError, match="account of the system"):
        space["make_account"](Spawner)
    for name, good in {"ada": True, "ada-2": True, "a b; rm": False, "../ada": False, "-x": False}.items():
        assert bool(re.match(config.Authenticator.username_pattern, name)) == good
