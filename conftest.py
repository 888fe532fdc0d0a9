"""Kernels that nbval starts: quiet, one thread each, and cut off from the network."""

import shutil
import tempfile

from helpers.runner import kernels


def pytest_configure(config):
    config.kernel_profile = tempfile.mkdtemp(prefix="course-ipython-")
    kernels.configure(config.kernel_profile, offline=True)


def pytest_unconfigure(config):
    shutil.rmtree(config.kernel_profile, ignore_errors=True)
