"""Run: papermill over all notebooks, studies, doctor, conventions. The command `course` (cli.py) is its face."""
