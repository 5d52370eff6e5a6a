"""A real JupyterHub with `hub/jupyterhub_config.py`: a student logs in, computes, is limited, and what is idle ends."""

import asyncio
import json
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
from tornado.web import HTTPError  # noqa: E402


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    proxy = shutil.which("configurable-http-proxy")
    if not proxy:
        if not shutil.which("npm"):
            pytest.skip("no configurable-http-proxy and no npm that fetches it")
        subprocess.run(["npm", "install", "--silent", "configurable-http-proxy@5"], cwd=folder, check=True)
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


def test_a_terminal_has_the_environments_python(hub):
    """A login shell would take PATH from /etc/profile, and `python -m course.ready` would not be found."""

    async def lesson():
        student = trial.Student(hub, "grace")
        await student.log_in()
        name = (await student.ask(f"{student.at}/terminals", "POST"))["name"]
        address = f"{hub.url.replace('http', 'ws', 1)}/user/grace/terminals/websocket/{name}"
        socket = await trial.websocket_connect(
            trial.HTTPRequest(address, headers={"Authorization": f"token {student.token}"})
        )
        await socket.write_message(json.dumps(["stdin", "echo found=$(command -v python)\r"]))
        said = ""
        while not (found := re.search(r"found=(/\S+)", said)):
            kind, *rest = json.loads(await asyncio.wait_for(socket.read_message(), 20))
            said += rest[0] if kind == "stdout" else ""
        assert Path(found[1]).parent == Path(sys.executable).parent

    asyncio.run(lesson())


def test_students_cannot_read_the_hubs_secrets(hub):
    state = hub.homes.parent / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {"jupyterhub.sqlite", "cookie_secret"} <= {path.name for path in state.iterdir()}


def test_the_culler_of_servers_runs_and_strangers_get_nothing(hub):
    async def look():
        services = await trial.Student(hub, "nobody").ask(f"{hub.url}/hub/api/services")
        assert services["culler"]["pid"] and "--timeout=3600" in services["culler"]["command"]
        await trial.Student(hub, "ruth").log_in()
        stranger = trial.Student(hub, "ruth")
        stranger.token = "wrong"
        with pytest.raises(trial.HTTPClientError, match="403"):
            await stranger.ask(f"{stranger.at}/kernels")

    asyncio.run(look())


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The hub's configuration as read in an empty folder, with `homes` as the folder of the homes: (c, its names)."""
    pytest.importorskip("pwd", reason="Unix accounts")
    monkeypatch.chdir(tmp_path)
    for name in ("HUB_MEMORY", "HUB_KERNEL_IDLE", "HUB_SERVER_IDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_PASSWORD", "noise-and-digits")
    names = {"get_config": MagicMock()}
    exec((ROOT / "hub" / "jupyterhub_config.py").read_text(), names)
    names["HOMES"] = tmp_path / "homes"
    names["HOMES"].mkdir()
    return names["c"], names


def test_the_readme_and_the_other_hubs_have_the_defaults(config):
    _, names = config
    readme, tljh, values = (
        (ROOT / "hub" / name).read_text("utf-8") for name in ("README.md", "tljh.py", "values.yaml")
    )
    defaults = {name: float(number) for name, number in re.findall(r"^\| `(HUB_\w+)` .* \| (\d+) \|$", readme, re.M)}
    memory, idle, server = names["GIGABYTES"], names["KERNEL_IDLE"], names["SERVER_IDLE"]
    assert defaults == {"HUB_MEMORY": memory, "HUB_KERNEL_IDLE": idle, "HUB_SERVER_IDLE": server}
    assert f"cull_idle_timeout={idle}" in tljh and f"cull_idle_timeout: {idle}," in values


class Computer:
    """Accounts of a computer that is only played: `log_in` gives the line that makes an account, or None."""

    def __init__(self, names, monkeypatch, *accounts):
        self.names, self.accounts, self.line = names, dict(accounts), None
        monkeypatch.setattr(names["pwd"], "getpwall", self.all_accounts)
        monkeypatch.setattr(names["subprocess"], "run", self.run)

    def all_accounts(self):
        return [MagicMock(pw_name=name, pw_uid=number) for name, number in self.accounts.items()]

    def run(self, line, **_):
        self.line = line
        home = self.names["HOMES"] / line[-1]
        home.mkdir(exist_ok=True)
        return MagicMock(returncode=0)

    def log_in(self, name):
        self.line = None
        spawner = MagicMock()
        spawner.user.name = name
        self.names["make_account"](spawner)
        return self.line and next(int(word[6:]) for word in self.line if word.startswith("--uid="))


def test_a_home_keeps_its_owner_when_the_accounts_are_gone(config, monkeypatch):
    """A new container with the old homes: bob, who logs in first, must not get ada's number."""
    _, names = config
    homes = names["HOMES"]
    owner = {homes / "ada": 1000, homes / "bob": 1001}
    monkeypatch.setattr(type(homes), "stat", lambda path, **_: MagicMock(st_uid=owner.get(path, 0), st_mode=0o40700))
    for home in owner:
        os.mkdir(home)
    computer = Computer(names, monkeypatch, ("root", 0), ("nobody", 65534), ("printer", 1002))
    assert [computer.log_in(name) for name in ("bob", "emmy", "ada")] == [1001, 1003, 1000]
    computer.accounts["ada"] = 1000
    assert computer.log_in("ada") is None  # she has an account


def test_nobody_becomes_an_account_of_the_system(config, monkeypatch):
    c, names = config
    computer = Computer(names, monkeypatch, ("root", 0), ("nobody", 65534), ("owner", 1000))
    monkeypatch.setattr(names["grp"], "getgrall", lambda: [MagicMock(gr_name="sudo", gr_mem=["owner"])])
    for name in ("root", "nobody", "owner"):
        with pytest.raises(HTTPError) as error:
            computer.log_in(name)
        assert error.value.status_code == 403
        assert f"{name} is an account of the system. Log out" in error.value.jupyterhub_message
    for name, good in {"ada": True, "ada-2": True, "a b; rm": False, "../ada": False, "-x": False, "a": False}.items():
        assert bool(re.match(c.Authenticator.username_pattern, name)) == good


@pytest.mark.parametrize(
    "word, said", [(None, "HUB_PASSWORD is not set.*HUB_PASSWORD=a-long-word"), ("short", "has 5 signs")]
)
def test_a_hub_that_nobody_could_enter_does_not_start(config, monkeypatch, word, said):
    _, names = config
    monkeypatch.delenv("HUB_PASSWORD")
    if word:
        monkeypatch.setenv("HUB_PASSWORD", word)
    with pytest.raises(SystemExit, match=said):
        exec((ROOT / "hub" / "jupyterhub_config.py").read_text(), names)
