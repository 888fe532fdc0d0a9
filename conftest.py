"""Kernels that nbval starts: quiet, one thread each, cut off from the network; no order from ties, here and there."""

import shutil
import tempfile

from helpers.runner import kernels, ties


def pytest_configure(config):
    config.kernel_profile = tempfile.mkdtemp(prefix="course-ipython-")
    kernels.configure(config.kernel_profile, offline=True)
    ties.refuse_ties()


def pytest_unconfigure(config):
    shutil.rmtree(config.kernel_profile, ignore_errors=True)
