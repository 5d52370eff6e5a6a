"""A JupyterHub for a class on one machine: every student has a Unix account, a home, and a limit of memory.

Settings come through the environment, so that the image need not be built anew:

HUB_PASSWORD      the word that all students log in with, each under a name of his own (at least 8 signs; needed)
HUB_ADMIN_PASSWORD  the word of the account `teacher`, who sees and stops servers (at least 32 signs); without it no admin
HUB_MEMORY        gigabytes that one kernel may take; default 2
HUB_KERNEL_IDLE   seconds since a kernel last ran something, after which it ends if no tab shows it; default 1800
HUB_SERVER_IDLE   seconds after which a student's server ends with all its kernels; default 3600
COURSE_DATA       the folder with MNIST, read by all; default /srv/data
"""

import grp
import os
import pwd
import subprocess
import sys
from pathlib import Path

from tornado.web import HTTPError

c = get_config()  # noqa: F821
GIGABYTES = float(os.environ.get("HUB_MEMORY", "2"))
KERNEL_IDLE = int(os.environ.get("HUB_KERNEL_IDLE", "1800"))
SERVER_IDLE = int(os.environ.get("HUB_SERVER_IDLE", "3600"))
HOMES = Path("/home")
STUDENTS = range(1000, 60000)  # numbers of Unix accounts; below and above are those of the system
RULERS = {"sudo", "wheel", "docker"}  # whoever is in one of these groups can become root
STATE = Path("state")  # beside where the hub was started: its list of users and its secret, which no student may read


def word(variable, least):
    """The word in a variable, or an empty one. Raises SystemExit where it has fewer than `least` signs."""
    said = os.environ.get(variable, "")
    if said and len(said) < least:
        raise SystemExit(f"error: {variable} has {len(said)} signs, but {least} or more are needed")
    return said


if not word("HUB_PASSWORD", 8):
    raise SystemExit(
        "error: HUB_PASSWORD is not set, and nobody could log in. Set it to the word that the class will type, "
        "at least 8 signs: HUB_PASSWORD=a-long-word before `jupyterhub`, or -e HUB_PASSWORD=a-long-word after `docker run`"
    )

# ---------------------------------------------------------------- who

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = word("HUB_PASSWORD", 8)
c.SharedPasswordAuthenticator.admin_users = {"teacher"}  # also without an admin's word: then nobody gets this name
c.SharedPasswordAuthenticator.admin_password = word("HUB_ADMIN_PASSWORD", 32)
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = "^[a-z][a-z0-9_-]{1,30}$"
c.JupyterHub.template_vars = {
    "announcement_login": "Type the name that you were given: small letters, digits, - and _, first a letter, two signs "
    "or more. The word is one for all, so whoever types your name is in your account: keep nothing here that is private."
}

STATE.mkdir(mode=0o700, exist_ok=True)
c.JupyterHub.db_url = f"sqlite:///{STATE.resolve()}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE.resolve() / "cookie_secret")


def refused(sentence):
    """The error whose sentence the student reads on the hub's page."""
    error = HTTPError(403, sentence)
    error.jupyterhub_message = f"{sentence} Log out on the home page, and log in under another name."
    return error


def make_account(spawner):
    """A Unix account for the student, if he has none. A home that is there already, from an earlier container, stays his.

    Raises HTTPError 403 on the name of an account of the system, such as root, or where no account could be made.
    """
    name = spawner.user.name
    accounts = {account.pw_name: account.pw_uid for account in pwd.getpwall()}
    owners = {home.name: home.stat().st_uid for home in HOMES.iterdir()}
    used = {*accounts.values(), *owners.values()}
    free = next(number for number in STUDENTS if number not in used)
    number = accounts.get(name, owners.get(name, free))
    rules = any(name in group.gr_mem for group in grp.getgrall() if group.gr_name in RULERS)
    if number not in STUDENTS or rules:
        raise refused(f"{name} is an account of the system.")
    if name not in accounts:
        line = ["useradd", "--create-home", f"--uid={number}", f"--base-dir={HOMES}", "--shell=/bin/bash", name]
        made = subprocess.run(line, capture_output=True, text=True)
        if made.returncode:
            raise refused(f"No account could be made: {made.stderr.strip()}.")
        (HOMES / name).chmod(0o700)  # others shall not read it


# ---------------------------------------------------------------- what each gets

c.JupyterHub.spawner_class = "localprocess"
c.Spawner.pre_spawn_hook = make_account
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    "COURSE_DATA": os.environ.get("COURSE_DATA", "/srv/data"),  # one copy for all, and nobody downloads
    "COURSE_THREADS": "1",  # 30 kernels with 16 threads each would only get in each other's way
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",  # memory that was freed goes back to the others
    "PYTHONDONTWRITEBYTECODE": "1",  # the course is installed where students cannot write
}

# The spawners of systemd, Docker and Kubernetes keep to this limit. The local one does not: there each process gets it from
# the shell, and a cell that asks for more stops with an error, while its kernel lives on.
c.Spawner.mem_limit = f"{int(GIGABYTES * 1024)}M"
c.Spawner.cmd = [
    "bash",
    "-c",
    f'ulimit -d {int(GIGABYTES * 2**20)}; exec jupyterhub-singleuser "$@"',
    "jupyterhub-singleuser",
]
c.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={KERNEL_IDLE}",
    f"--MappingKernelManager.cull_interval={max(1, min(60, KERNEL_IDLE // 2))}",
    "--MappingKernelManager.cull_connected=False",  # who reads for long in an open tab keeps his variables
    "--ServerApp.terminado_settings={'shell_command': ['bash']}",  # a login shell would forget the environment's PATH
]
c.Spawner.start_timeout = 180  # thirty at once on two cores
c.Spawner.http_timeout = 180
c.JupyterHub.concurrent_spawn_limit = 10

# ---------------------------------------------------------------- what ends by itself

c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }
]
c.JupyterHub.services = [
    {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={SERVER_IDLE}"]}
]
