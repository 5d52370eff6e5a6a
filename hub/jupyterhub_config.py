"""A JupyterHub for a class on one machine: every student has a Unix account, a home, and a limit of memory.

Settings come through the environment, so that the image need not be built anew:

HUB_PASSWORD      the word that all students log in with, each under a name of his own (at least 8 signs; needed)
HUB_MEMORY        gigabytes that one kernel may take; default 2
HUB_KERNEL_IDLE   seconds after which a kernel ends that computes nothing and whose tab is closed; default 600
HUB_SERVER_IDLE   seconds after which a student's server ends with all its kernels; default 3600
COURSE_DATA       the folder with MNIST, read by all; default /srv/data
"""

import os
import pwd
import subprocess
import sys

c = get_config()  # noqa: F821
GIGABYTES = float(os.environ.get("HUB_MEMORY", "2"))
KERNEL_IDLE = int(os.environ.get("HUB_KERNEL_IDLE", "600"))
SERVER_IDLE = int(os.environ.get("HUB_SERVER_IDLE", "3600"))

# ---------------------------------------------------------------- who

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ.get("HUB_PASSWORD", "")
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = "^[a-z][a-z0-9_-]{1,30}$"


def make_account(spawner):
    """A Unix account for the student, if he has none. Raises ValueError on the name of an account of the system, such as root."""
    name = spawner.user.name
    try:
        if pwd.getpwnam(name).pw_uid < 1000:
            raise ValueError(f"{name} is an account of the system: log in under another name")
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
        os.chmod(pwd.getpwnam(name).pw_dir, 0o700)  # others shall not read it


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
