"""Helpers of the course: one module a stage, in the order in which data flow. Importing this loads no framework.

TensorFlow, imported after helpers, comes without its log. No setting of its own stops that log, which would stand in
the first cell of a notebook and between the lines of a terminal. So a notebook imports helpers before keras. An import
that fails shows all that was written; of one that kills the process, `course doctor` shows it.
"""

import os
import sys
from importlib.machinery import PathFinder

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what comes after the import; errors are raised all the same


class _QuietTensorFlow:
    """Finds TensorFlow as Python does, and keeps what its import writes to file descriptor 2 from the reader."""

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
