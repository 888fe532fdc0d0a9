"""The command `course`: run, study, doctor, check, student, site. A subcommand's imports wait until it is asked for."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from helpers.runner.paths import Refused, root

SCHEDULER = "run on Dask: tcp://HOST:PORT of a scheduler, or `local` for a cluster of --jobs workers on this machine"


def parser():
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="course", description="Run and check the notebooks of the course.")
    top.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="command", required=True)
    cores = os.cpu_count() or 1

    run = commands.add_parser("run", help="execute notebooks; what is done already is kept")
    run.add_argument(
        "numbers", nargs="*", metavar="NN", help="numbers of notebooks or parts (05, 05a), all if none is given"
    )
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter")
    run.add_argument("-f", type=Path, metavar="PROFILE", help="a parameter file, such as notebooks/profiles/smoke.yaml")
    run.add_argument("--grid", nargs="+", default=[], metavar="NAME=VALUES", help="seed=0..4 n_train=100,500")
    run.add_argument("--jobs", type=positive, default=cores, help="notebooks at a time (default: one a core)")
    run.add_argument("--scheduler", help=SCHEDULER)
    run.add_argument("--out", type=Path, help="folder for the executed notebooks (default: out in the course's folder)")
    run.add_argument("--update", action="store_true", help="store the outputs in notebooks/, the minutes in README.md")

    study = commands.add_parser("study", help="fill a study's grid of runs; list the studies without a name")
    study.add_argument("name", nargs="?")
    study.add_argument("--jobs", type=positive, default=1, help="cells at a time (default: 1, with all cores)")
    study.add_argument("--scheduler", help=SCHEDULER)
    study.add_argument(
        "--confirm", action="store_true", help="after a harmless change of code: rerun a cell of each arm"
    )
    study.add_argument(
        "--since", metavar="COMMIT", help="with --confirm: run both versions here, and let rounding differ"
    )
    study.add_argument("--arms", type=positive, help="with --confirm: of so many arms, evenly spread, not of all")
    study.add_argument(
        "--only", default="", metavar="TEXT", help="with --confirm: of arms with this in their parameters"
    )

    commands.add_parser("doctor", help="check this machine: each line is ok or says what to do")
    check = commands.add_parser("check", help="check the conventions of notebooks")
    check.add_argument("files", nargs="*", type=Path, help="notebooks, all if none is given")
    check.add_argument("--exceptions", action="store_true", help="also what older notebooks may still break")

    student = commands.add_parser("student", help="write the notebooks without their solutions")
    student.add_argument(
        "numbers", nargs="*", metavar="NN", help="numbers of notebooks or parts (05, 05a), all if none is given"
    )
    student.add_argument("--out", type=Path, help="folder to write to (default: out/student in the course's folder)")
    site = commands.add_parser("site", help="build one offline HTML site of all notebooks")
    site.add_argument("--out", type=Path, help="folder to write to (default: out/site in the course's folder)")
    return top


class Version(argparse.Action):
    """Print the version of the installed course; it is looked up only when it is asked for."""

    def __call__(self, parser, namespace, values, option_string=None):
        from helpers.runner.doctor import PROJECT, installed

        print(f"course {installed(PROJECT) or 'is not installed'}")
        parser.exit()


def positive(text):
    """A whole number of at least 1."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def run(options):
    """`course run`: plan, execute, print the table; 1 if a notebook failed or a shipped band says outside."""
    from helpers.runner import kernels, parameters, report
    from helpers.runner import run as runs
    from helpers.runner.progress import Progress

    if options.update and (options.p or options.f or options.grid):
        raise Refused("--update stores the run with shipped parameters: leave out -p, -f and --grid")
    jobs_at_once = 1 if options.update else options.jobs  # whoever measures minutes measures alone
    chosen = parameters.select(options.numbers)
    profile = parameters.read_profile(options.f) if options.f else {}
    planned = parameters.combine(chosen, options.p, profile, options.grid)
    folder = (options.out or root() / "out").resolve()
    rounds, pairs = runs.plan(planned, folder, options.update), []
    progress = Progress([job for jobs in rounds for job in jobs], jobs_at_once, report.timings(), sys.stderr)
    from helpers.runner import pages  # takes a second: only once something can be seen

    with tempfile.TemporaryDirectory() as ipython, progress:
        pages.write_assets(folder)
        kernels.configure(ipython, threads=kernels.threads_for(min(jobs_at_once, len(planned))))
        for jobs in rounds:
            for job, row in runs.run_all(jobs, jobs_at_once, progress, options.scheduler):
                if options.update and row["status"] in ("ok", "kept") and (problem := runs.store(job)):
                    row |= {"status": "failed", "error": problem}
                pairs.append((job, row))
    pairs.sort(key=lambda pair: (pair[0]["target"].parent, pair[0]["target"].name))
    rows = [row for _, row in pairs]
    good = [row for row in rows if row["status"] in ("ok", "kept")]
    print(report.table(rows))
    drawn = []
    if options.grid:
        from helpers.runner import summary

        for stem, (frame, names) in summary.of_runs(pairs).items():
            print(f"\n{stem}, all runs in {folder / stem}.csv\n{summary.write(frame, names, folder, stem)}\n")
            drawn.append(folder / f"{stem}.svg")
    if rows:
        pages.write_index(folder, pairs, drawn)
        print("\n".join(filter(None, [f"index: {folder / 'index.html'}", pages.undrawn()])))
    if options.update:
        report.record_timings(good)
        report.refresh_map()
    return 0 if len(good) == len(rows) else 1


def study(options):
    """`course study`: 1 if a cell failed."""
    from helpers.runner import studies, summary

    if options.name is None:
        print(studies.overview())
        return 0
    if options.confirm and options.since:
        return _confirm_since(options)
    if options.confirm:
        differ = studies.confirm(options.name, options.jobs, options.arms, options.only)
        print(
            "\n".join(f"other results: {cell}" for cell in differ) or f"{options.name}: confirmed, its rows are fresh"
        )
        return 1 if differ else 0
    failed = studies.fill(options.name, options.jobs, options.scheduler)
    names = list({name: None for cell in studies.cells(studies.module(options.name)).values() for name in cell})
    folder = root() / "out" / "studies"
    print(f"{summary.write(studies.load(options.name), names, folder, options.name)}\ntable and figure: {folder}")
    return 1 if failed else 0


def _confirm_since(options):
    from helpers.runner import equivalence

    found, run, equal = equivalence.compare(options.name, options.since, options.arms, options.only)
    print(
        f"{options.name}: {run} cells run by {options.since} and by the present code, {equal} equal to the last digit"
    )
    if len(found):
        print(f"root mean square of what moved, and of the distance of two seeds\n{found.round(4).to_string()}")
    far = found[found["share"] > equivalence.LIMIT]
    if len(far):
        print(
            f"{', '.join(far.index)}: moved over {equivalence.LIMIT} of the distance of two seeds, nothing is changed"
        )
        return 1
    equivalence.keep(options.name)
    print(f"{options.name}: its rows are fresh")
    return 0


def doctor(options):
    """`course doctor`: 1 if something needs a fix."""
    from helpers.runner.doctor import examine

    lines = examine()
    print("\n".join(f"{'ok ' if ok else 'fix:'} {text}" for ok, text in lines))
    return 0 if all(ok for ok, _ in lines) else 1


def check(options):
    """`course check`: 1 if a notebook breaks a convention."""
    from helpers.runner import conventions
    from helpers.runner.parameters import notebooks

    files = options.files or list(notebooks().values())
    for path in files:
        if not path.is_file():
            raise Refused(f"there is no notebook {path}")
    allowed = conventions.exceptions()
    found = [(path, gate, sentence) for path in files for gate, sentence in conventions.findings(path)]
    excused = [each for each in found if each[0].stem in allowed.get(each[1], [])]
    wrong = [f"{path.name}: {sentence}" for path, gate, sentence in found if (path, gate, sentence) not in excused]
    print("\n".join(wrong) or f"{len(files)} notebooks keep the conventions")
    if options.exceptions and excused:
        print("\n".join(f"exception to {gate}: {path.name}: {sentence}" for path, gate, sentence in excused))
    if excused:
        count = len({(path, gate) for path, gate, _ in excused})
        print(f"open exceptions, of notebooks older than a convention: {count} (--exceptions lists them)")
    return 1 if wrong else 0


def student(options):
    """`course student`: the notebooks without solutions."""
    from helpers.runner.student import write

    folder = options.out or root() / "out" / "student"
    files = write(options.numbers, folder)
    print(f"{len(files)} notebooks without solutions: {folder}")
    return 0


def site(options):
    """`course site`: all notebooks as pages that open without a server."""
    from helpers.runner.site import build

    folder = options.out or root() / "out" / "site"
    size = build(folder)
    print(f"{size / 1e6:.1f} MB: open {folder / 'index.html'}")
    return 0


def main(arguments=None):
    """Entry point: returns the exit status; 2 with one sentence for a request that is refused."""
    options = parser().parse_args(arguments)
    try:
        commands = {"run": run, "study": study, "doctor": doctor, "check": check, "student": student, "site": site}
        return commands[options.command](options)
    except Refused as error:
        print(f"course: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second Ctrl-C of somebody impatient has nothing to stop
        print("course: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
