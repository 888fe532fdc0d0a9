"""How far a run of notebooks is: which are under way and how long the rest will take, on a terminal or in a log."""

import heapq
import shutil
import time

UNKNOWN = 60  # seconds that a notebook without timings is taken to need


def rough(seconds):
    """A time as one says it.

    >>> rough(3), rough(47), rough(95), rough(3700)
    ('10 s', '50 s', '2 min', '62 min')
    """
    return f"{max(10, 10 * round(seconds / 10))} s" if seconds < 55 else f"{max(1, round(seconds / 60))} min"


def time_left(running, waiting, workers):
    """Seconds until all is done, if each worker that gets free takes the next that waits.

    running : seconds that each of those under way still needs, at most `workers` of them
    waiting : seconds that each of the others needs, in their order

    >>> time_left([10, 40], [20, 30], 2)  # one worker: 10 + 20 + 30, the other: 40
    60
    """
    free = [*running, *[0] * (workers - len(running))]
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


class Progress:
    """A line that renews itself where `stream` is a terminal, and a line a finished notebook elsewhere.

    jobs    : those of `run.plan`, in their order
    workers : how many run at a time
    timings : {stem: {"seconds": …}}, of an earlier run; what this run measures corrects them for this machine
    """

    def __init__(self, jobs, workers, timings, stream):
        self.expected = {job["notebook"]: timings.get(job["source"].stem, {}).get("seconds", UNKNOWN) for job in jobs}
        self.workers, self.stream, self.terminal = workers, stream, stream.isatty()
        self.begun, self.started, self.done, self.measured = time.monotonic(), {}, [], {}
        total = time_left([], self.expected.values(), workers)
        self.say(f"{len(jobs)} notebooks, {min(workers, len(jobs))} at a time: about {rough(total)}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.terminal:
            self.say("")
            self.stream.write("\r")

    def say(self, text):
        """Write a line, on a terminal over the one before."""
        if self.terminal:
            room = shutil.get_terminal_size().columns - 1
            text = "\r" + (text if len(text) <= room else text[: room - 1] + "…").ljust(room)
        print(text, end="" if self.terminal else "\n", file=self.stream, flush=True)

    def left(self):
        """Words on the time that the rest will take, "" if all is done or nobody tells what is under way."""
        now = time.monotonic()
        known = sum(self.expected[name] for name in self.measured)
        pace = sum(self.measured.values()) / known if known else 1
        under_way = [name for name in self.started if name not in self.done]
        waiting = [name for name in self.expected if name not in self.started and name not in self.done]
        if not self.started or not (under_way or waiting):
            return ""
        running = [max(0, pace * self.expected[name] - (now - self.started[name])) for name in under_way]
        return f"about {rough(time_left(running, [pace * self.expected[name] for name in waiting], self.workers))} left"

    def under_way(self, jobs):
        """Take note of the jobs that are under way; called when one begins, and each second."""
        for job in jobs:
            self.started.setdefault(job["notebook"], time.monotonic())
        if self.terminal:
            names = ", ".join(job["notebook"] for job in jobs)
            minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
            self.say(" · ".join(filter(None, [f"{minutes}:{seconds:02}", self.count(), self.left(), names])))

    def ended(self, job, row):
        """Take note of a job's row."""
        self.done.append(job["notebook"])
        if row["status"] != "kept":
            self.measured[job["notebook"]] = row["seconds"]
        words = f"{self.count()}: {job['notebook']} {row['status']}, {row['seconds']:.0f} s"
        self.say("; ".join(filter(None, [words, self.left()])))

    def count(self):
        """How many are done."""
        return f"{len(self.done)} of {len(self.expected)}"
