"""Kernels that nbval starts: quiet, one thread each, cut off from the network; what may differ; ties."""

import shutil
import tempfile

from helpers.runner import kernels, ties
from helpers.runner.paths import root


def pytest_configure(config):
    config.kernel_profile = tempfile.mkdtemp(prefix="course-ipython-")
    kernels.configure(config.kernel_profile, offline=True)
    config.option.nbval_sanitize_with = str(root() / "tests" / "nbval.cfg")
    ties.refuse_ties()


def pytest_unconfigure(config):
    shutil.rmtree(config.kernel_profile, ignore_errors=True)
