"""For The Littlest JupyterHub: to be copied to /opt/tljh/config/jupyterhub_config.d/course.py."""

c.Spawner.environment.update(  # noqa: F821
    COURSE_DATA="/srv/data", COURSE_THREADS="1", OMP_NUM_THREADS="1", MALLOC_ARENA_MAX="2"
)
c.Spawner.args += [  # noqa: F821
    "--MappingKernelManager.cull_idle_timeout=1800",
    "--MappingKernelManager.cull_interval=60",
    "--MappingKernelManager.cull_connected=False",
    "--ServerApp.terminado_settings={'shell_command': ['bash']}",  # a login shell would forget the environment's PATH
]
