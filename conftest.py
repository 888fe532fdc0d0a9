"""Kernels that nbval starts: quiet, one thread each, and cut off from the network; what it lets differ."""

import shutil
import tempfile

from helpers.runner import kernels
from helpers.runner.paths import root


def pytest_configure(config):
    config.kernel_profile = tempfile.mkdtemp(prefix="course-ipython-")
    kernels.configure(config.kernel_profile, offline=True)
    config.option.nbval_sanitize_with = str(root() / "tests" / "nbval.cfg")


def pytest_unconfigure(config):
    shutil.rmtree(config.kernel_profile, ignore_errors=True)
