"""Processes for notebooks and cells of a study, here or on Dask; none is left running when the course is killed."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack

from helpers.runner.paths import Refused


def follow(parent):
    """Start a thread that ends this process when its parent is gone."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def finished(workers, function, tasks, scheduler=None):
    """Call `function` with each of the tasks (tuples of arguments) in processes; yields (task, future) as they end.

    scheduler : None: a pool of so many `workers`; "local": as many of a Dask cluster on this machine; else the address
                of a Dask scheduler, tcp://HOST:PORT, whose workers see this folder under the same path
    """
    if scheduler:
        yield from _on_dask(workers, function, tasks, scheduler)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow, initargs=(os.getpid(),)) as executor:
        futures = {executor.submit(function, *task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _on_dask(workers, function, tasks, scheduler):
    try:
        from dask.distributed import Client, LocalCluster
        from dask.distributed import as_completed as completed
    except ImportError:
        raise Refused("--scheduler needs Dask: python -m pip install -c constraints.txt -e '.[scale]'") from None
    with ExitStack() as stack:
        if scheduler == "local":
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            scheduler = stack.enter_context(cluster)
        try:
            client = stack.enter_context(Client(scheduler, timeout=10))
        except (OSError, ValueError) as error:
            message = f"no Dask scheduler answers at {scheduler!r} ({sentence(error)}): give tcp://HOST:PORT, or local"
            raise Refused(message) from None
        futures = {client.submit(function, *task, pure=False, retries=0): task for task in tasks}
        for future in completed(futures):
            yield futures[future], future


def sentence(error):
    """What an error says, in one line; papermill's errors name the cell.

    >>> sentence(ValueError("no such column"))
    'ValueError: no such column'
    """
    if hasattr(error, "ename"):
        return f"cell [{error.exec_count}]: {error.ename}: {error.evalue}".splitlines()[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]
