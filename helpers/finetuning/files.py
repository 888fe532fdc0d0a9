"""What training leaves on the disk, written whole or not at all."""

import shutil
import tempfile
from pathlib import Path

from safetensors import SafetensorError


def write_folder(folder, write):
    """Have write(path) fill a new folder, which then takes the place of `folder`, or is removed if anything fails.

    errors : FileExistsError if `folder` exists and holds anything; OSError, one sentence, if the disk does not take it
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already: give a new folder, or delete it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(partial)
        partial.chmod(0o755)  # a temporary folder is its owner's alone
        partial.replace(folder)
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise OSError(f"{folder} was not written ({said}): nothing of it is left") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
