"""Tests of docs/migrate.md. Each section of the page is a case, which runs the programs on the page
before and after the migration. pyzmq.py runs the cases.
"""

import contextlib
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from support import ENGINE, PATIENCE, REPOSITORY, Gateway, case

PAGE = (REPOSITORY / "docs" / "migrate.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"(?:#|//) (\S+)\n")
PORT = re.compile(r"tcp://(?:\*|localhost):(\d+)")
NATIVE_ONLY = re.compile(r"\b(type|frames|envelope): ")


def blocks(text):
    """Returns the files in a part of the page by name, and a list of its commands with their outputs."""
    files, commands = {}, []
    for language, block in BLOCK.findall(text):
        if language != "console":
            files[FILE.match(block)[1]] = block
            continue
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                commands.append([line.removeprefix("$ ").strip(), ""])
            else:
                commands[-1][1] += line
    return files, commands


class Stage:
    """The files of one stage in a directory, and their programs. The files have IPC sockets in the directory
    instead of TCP ports."""

    def __init__(self, files):
        self.files = files
        self.running = contextlib.ExitStack()

    def __enter__(self):
        self.directory = pathlib.Path(self.running.enter_context(tempfile.TemporaryDirectory()))
        for name, text in self.files.items():
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(PORT.sub(rf"ipc://{self.directory}/\1", text))
        if "routes.yaml" in self.files:
            (self.directory / "schemas").mkdir(exist_ok=True)
            routes = (self.directory / "routes.yaml").read_text()
            self.running.enter_context(Gateway(routes, schemas=self.directory / "schemas"))
        for name in ("broker.py", "worker.py"):
            if name in self.files:
                self.running.enter_context(self.program(name))
        return self

    def __exit__(self, *failure):
        return self.running.__exit__(*failure)

    @contextlib.contextmanager
    def program(self, name):
        process = subprocess.Popen([sys.executable, name], cwd=self.directory)
        try:
            yield
            assert process.poll() is None, f"{name} has ended"
        finally:
            process.kill()
            process.wait()

    def run(self, command):
        """Runs a command of the page, and returns its output."""
        python, *arguments = shlex.split(command)
        assert python == "python", command
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=4 * PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout


def run_stage(shared, text):
    """Runs the commands of one stage of a section."""
    files, commands = blocks(text)
    files = shared | files
    assert commands, text
    if ENGINE == "libzmq" and NATIVE_ONLY.search(files.get("routes.yaml", "")):
        return
    with Stage(files) as stage:
        for command, expected in commands:
            printed = stage.run(command)
            assert printed == expected, f"{command}\n{printed}is not\n{expected}"


def section_case(title, text):
    """Registers a section of the page as a case."""

    def runs():
        common, *stages = re.split(r"^### (?:Before|After)\n", text, flags=re.MULTILINE)
        shared, commands = blocks(common)
        assert len(stages) == 2 and not commands, title
        for stage in stages:
            run_stage(shared, stage)

    runs.__name__ = "migration_" + re.sub(r"\W+", "_", title.lower())
    case(runs)


SECTIONS = re.split(r"^## (.*)\n", PAGE, flags=re.MULTILINE)[1:]
assert len(SECTIONS) >= 2, "the page has sections"
for title, text in zip(SECTIONS[::2], SECTIONS[1::2], strict=True):
    section_case(title, text)
