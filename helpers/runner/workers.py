"""Processes for notebooks and cells of a study, here or on Dask; none goes on when the course is stopped or killed."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress

from helpers.runner.paths import Refused


def follow(parent):
    """Start a thread that ends this process when its parent is gone."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def no_interrupts():
    """Ctrl-C waits until the end of the block; a process started in it never sees one, nor does what that one starts.

    A terminal sends Ctrl-C to all processes of a command, and Jupyter to each kernel that it shuts down: a worker or a
    kernel would answer with a traceback. Only this process is to hear it; it ends the workers itself.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(processes):
    """Kill processes at once, and all that they have started, such as kernels.

    processes : with an attribute `pid`, as those of multiprocessing and subprocess have
    """
    import psutil

    for process in processes:
        try:
            worker = psutil.Process(process.pid)
            tree = [worker, *worker.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for each in tree:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def finished(workers, function, tasks, scheduler=None, under_way=lambda tasks: None):
    """Call `function` with each of the tasks (tuples of arguments) in processes; yields (task, future) as they end.

    A caller that stops before the end, as by Ctrl-C, ends the processes: no task is finished, and none is begun.
    scheduler : None: a pool of so many `workers`; "local": as many of a Dask cluster on this machine; else the address
                of a Dask scheduler, tcp://HOST:PORT, whose workers see this folder under the same path
    under_way : called with the tasks that are under way when one begins, and each second; not with a scheduler
    """
    if scheduler:
        yield from _on_dask(workers, function, tasks, scheduler)
        return
    context = multiprocessing.get_context("spawn")
    waiting, running = deque(tasks), {}
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow, initargs=(os.getpid(),)) as executor:
        try:
            while waiting or running:
                while waiting and len(running) < workers:  # not all at once: the pool would begin one more than it runs
                    task = waiting.popleft()
                    running[_submit(executor, function, task)] = task
                under_way(list(running.values()))
                wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in [each for each in running if each.done()]:
                    yield running.pop(future), future
        except BaseException:
            with no_interrupts():
                end(multiprocessing.active_children())
            raise


def _submit(executor, function, task):
    """The future of a task; of a pool that a dead worker has broken, a future that says so."""
    try:
        with no_interrupts():
            return executor.submit(function, *task)
    except BrokenProcessPool as error:
        future = Future()
        future.set_exception(error)
        return future


def _on_dask(workers, function, tasks, scheduler):
    try:
        from dask.distributed import Client, LocalCluster
        from dask.distributed import as_completed as completed
    except ImportError:
        raise Refused("--scheduler needs Dask: python -m pip install -c constraints.txt -e '.[scale]'") from None
    with ExitStack() as stack:
        if scheduler == "local":
            with no_interrupts():
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
