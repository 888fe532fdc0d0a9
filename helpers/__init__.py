"""Helpers of the course: one module a stage, in the order in which data flow. Importing this loads no framework.

TensorFlow, when it is imported later, does so without its log, which would stand in the first cell of a notebook and
between the lines of a terminal. So import helpers before keras. What else it writes, and all errors, come as ever.
"""

import os
import sys
from importlib.machinery import PathFinder

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors of one operation raise; what this level leaves is fatal


class _QuietTensorFlow:
    """Finds TensorFlow as Python does, and lets it run with file descriptor 2 closed to the log that no level stops."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "tensorflow" or (spec := PathFinder.find_spec(name, path, target)) is None:
            return None
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: _quietly(execute, module)
        return spec


def _quietly(function, *arguments):
    """Call a function; what it writes to file descriptor 2 is shown only if it fails."""
    import tempfile

    with tempfile.TemporaryFile() as log:
        stderr = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            function(*arguments)
        except BaseException:
            log.seek(0)
            os.write(stderr, log.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


sys.meta_path.insert(0, _QuietTensorFlow)
