"""The environment that kernels start in, for papermill and nbval alike: quiet, few threads, and for tests offline."""

import os
import sys
from pathlib import Path

QUIET = """import helpers  # first of all, so that TensorFlow comes without its log

c = get_config()
c.IPKernelApp.capture_fd_output = False
c.IPKernelApp.log_level = 'ERROR'
"""
UNDER_TEST = """from helpers.runner.kernels import refuse_network

refuse_network()
# once there is a shell: pandas asks on import whether it is in a notebook, and shows tables accordingly
c.InteractiveShellApp.exec_lines = ["__import__('helpers.runner.ties').runner.ties.refuse_ties()"]
"""


def configure(folder, *, threads=1, offline=False):
    """Let kernels and workers started from here on use a fresh IPython profile in `folder`, and `threads` threads.

    What libraries write straight to the file descriptors would be stored in notebooks: `capture_fd_output = False`
    keeps it out. Thread counts that the user has set stay. With `offline`, as under test, a kernel fails that
    leaves this machine or lets ties settle an order (see `helpers.runner.ties`).
    """
    profile = Path(folder) / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(QUIET + UNDER_TEST * offline, encoding="utf8")
    os.environ["IPYTHONDIR"] = str(folder)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(threads))


def threads_for(jobs):
    """Threads that each of `jobs` workers may use on this machine, at least one."""
    return max(1, (os.cpu_count() or 1) // jobs)


def _outside(event, arguments):
    """The host that an audit event of socket is about to reach, or None if it stays on this machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return None
    host = host.decode() if isinstance(host, bytes) else host
    local = host in (None, "", "localhost", "::1") or host.startswith("127.")
    return None if local else host


def refuse_network():
    """From now on, and for the life of this process, reaching any host but this one raises RuntimeError."""

    def hook(event, arguments):
        if host := _outside(event, arguments):
            raise RuntimeError(f"no network here: something tried to reach {host}")

    sys.addaudithook(hook)
