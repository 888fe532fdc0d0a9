"""A pool of processes for notebooks and cells of a study, which leaves nothing running when the course is killed."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed


def follow(parent):
    """Start a thread that ends this process when its parent is gone."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def finished(workers, function, tasks):
    """Call `function` with each of the tasks (tuples of arguments) in processes; yields (task, future) as they end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow, initargs=(os.getpid(),)) as executor:
        futures = {executor.submit(function, *task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def sentence(error):
    """What an error says, in one line; papermill's errors name the cell.

    >>> sentence(ValueError("no such column"))
    'ValueError: no such column'
    """
    if hasattr(error, "ename"):
        return f"cell [{error.exec_count}]: {error.ename}: {error.evalue}".splitlines()[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]
