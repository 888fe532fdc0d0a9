"""Processes that take turns: each has everything loaded and answers requests, a line of JSON each."""

import json
import os
import subprocess
import sys

THREADS = 2
QUIET = {  # settings of Transformers' Trainer that keep it from the disk, the network and the terminal
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}


def serve(functions):
    """Answer requests [name, *arguments] until none comes; functions: {name: function to a dict of JSON}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    for line in sys.stdin:
        name, *given = json.loads(line)
        answers.write(json.dumps(functions[name](*given), default=float) + "\n")
        answers.flush()


class Side:
    """A process that serves: ask it, and wait for the answer."""

    def __init__(self, module, backend="tensorflow"):
        environment = os.environ | {
            "KERAS_BACKEND": backend,
            "OMP_NUM_THREADS": str(THREADS),
            "TF_NUM_INTRAOP_THREADS": str(THREADS),
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--serve"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, *request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the process that should run {request[0]} ended: is the extra peers installed?")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


MISSED = []


def judge(bar, holds):
    """Print a bar with what was measured, and whether it holds; remember those that do not."""
    print(f"bar: {bar}: {'holds' if holds else 'MISSED'}", flush=True)
    MISSED.extend([] if holds else [bar])
