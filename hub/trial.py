"""The hub of this folder on this computer, for a trial: no accounts, any password, and students that a program plays.

`start` runs a real JupyterHub with `jupyterhub_config.py`; a `Student` logs in, starts a server and a kernel, and runs cells.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

HERE = Path(__file__).resolve().parent
CHANGES = """
load_subconfig({config!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.pre_spawn_hook = None
c.Spawner.args += {root!r}
c.JupyterHub.services.append({{"name": "trial", "api_token": {token!r}}})
scopes = ["admin:users", "admin:servers", "tokens", "list:services", "read:services"]
c.JupyterHub.load_roles.append({{"name": "trial", "services": ["trial"], "scopes": scopes}})
"""


class Hub(NamedTuple):
    """url: of the hub's front door; token: may do everything; homes: the folder of the students' homes."""

    url: str
    token: str
    homes: Path


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@contextlib.contextmanager
def start(folder, proxy=None, more="", **environment):
    """A running `Hub` whose files lie in `folder`; ends with everything it started.

    proxy: the program configurable-http-proxy, by default where the shell finds it; more: further lines of configuration;
    environment: of the hub, such as HUB_MEMORY="1.5". Raises RuntimeError if it is not there,
    or if the hub does not answer within two minutes.
    """
    folder = Path(folder)
    proxy = proxy or shutil.which("configurable-http-proxy")
    if not proxy:
        raise RuntimeError("configurable-http-proxy is not here; `npm install configurable-http-proxy` brings it")
    homes, port, token = folder / "homes", free_port(), secrets.token_hex(16)
    homes.mkdir(parents=True)
    root = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    changes = CHANGES.format(
        config=str(HERE / "jupyterhub_config.py"), port=port, hub_port=free_port(), proxy_port=free_port(), proxy=str(proxy),
        homes=str(homes), root=root, token=token,
    )  # fmt: skip
    (folder / "trial_config.py").write_text(changes + more)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # jupyterhub-singleuser lies there
    command = [sys.executable, "-m", "jupyterhub", "-f", "trial_config.py"]
    with open(folder / "hub.log", "w") as log:
        running = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | {"PATH": path, "HUB_PASSWORD": token} | environment,
            start_new_session=True,
        )
    hub = Hub(f"http://127.0.0.1:{port}", token, homes)
    try:
        asyncio.run(_answers(hub, running, folder))
        yield hub
    finally:
        running.terminate()  # the hub ends its proxy, its services and the servers
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()


async def _answers(hub, running, folder, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and running.poll() is None:
        with contextlib.suppress(OSError, HTTPClientError):
            await AsyncHTTPClient().fetch(f"{hub.url}/hub/api/")
            return
        await asyncio.sleep(0.3)
    raise RuntimeError(f"the hub did not start:\n{(folder / 'hub.log').read_text()[-3000:]}")


def _message(received):
    """A kernel's message as a dict. Where bytes belong to it, such as a slider's pictures, it comes as numbers of their
    places in the received bytes (how many, then each, in four bytes), with the JSON in the first place."""
    if isinstance(received, bytes):
        many = int.from_bytes(received[:4], "big")
        places = [int.from_bytes(received[4 * i : 4 * i + 4], "big") for i in range(1, many + 1)]
        received = received[places[0] : (places + [len(received)])[1]]
    return json.loads(received)


class KernelDied(Exception):
    """A kernel that was killed, for example because memory ran out."""


class Student:
    """Someone with a server and one kernel of his own at the hub."""

    def __init__(self, hub, name):
        self.hub, self.name, self.token = hub, name, hub.token
        self.at = f"{hub.url}/user/{name}/api"

    async def ask(self, url, method="GET", body=None, seconds=180):
        """What the address answers, from JSON. Raises HTTPClientError on a refusal."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        text = None if method in ("GET", "DELETE") else json.dumps(body or {})
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(url, method, headers, text, connect_timeout=seconds, request_timeout=seconds)
        )
        return json.loads(answer.body) if answer.body else None

    async def log_in(self, seconds=240):
        """Make the account, get a token of his own, and wait until his server answers."""
        user = f"{self.hub.url}/hub/api/users/{self.name}"
        await self.ask(user, "POST")
        self.token = (await self.ask(f"{user}/tokens", "POST"))["token"]
        await self.ask(f"{user}/server", "POST")
        end = time.monotonic() + seconds
        while not (await self.ask(user))["servers"].get("", {}).get("ready"):
            if time.monotonic() > end:
                raise TimeoutError(f"the server of {self.name} did not start within {seconds} seconds")
            await asyncio.sleep(1)

    async def open_kernel(self, folder=""):
        """Start a kernel in a folder of the home and connect to it."""
        self.kernel = (await self.ask(f"{self.at}/kernels", "POST", {"name": "python3", "path": folder}))["id"]
        address = f"{self.at.replace('http', 'ws', 1)}/kernels/{self.kernel}/channels"
        request = HTTPRequest(address, headers={"Authorization": f"token {self.token}"}, connect_timeout=180)
        self.socket = await websocket_connect(request, max_message_size=2**28)

    async def run(self, code, seconds=600):
        """Run a cell. Returns its outputs, a list of (kind, content). Raises RuntimeError as it raised, KernelDied, TimeoutError."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": self.name,
            "session": self.name,
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header | {"version": "5.3"}, "parent_header": {}, "metadata": {}, "content": content}
        await self.socket.write_message(json.dumps(message | {"channel": "shell", "buffers": []}))
        return await asyncio.wait_for(self._outputs(header["msg_id"]), seconds)

    async def _outputs(self, asked):
        outputs, error = [], None
        while True:
            text = await self.socket.read_message()
            if text is None:
                raise KernelDied(f"the connection to the kernel of {self.name} was cut")
            message = _message(text)
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                raise KernelDied(f"the kernel of {self.name} died")
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind in ("stream", "display_data", "execute_result"):
                outputs.append((kind, content))
            elif kind == "status" and content["execution_state"] == "idle":
                if error:
                    raise RuntimeError(error)
                return outputs
