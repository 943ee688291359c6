"""Type README and tutorial along in a terminal of 80 columns, and write what it shows into them.

    python docs/type_along.py

Between `<!-- typed: NAME -->` and `<!-- /typed -->` every block for the shell is typed, on a fresh home in an
empty directory: `console` blocks hold commands with their output, `sh` blocks commands alone, and a comment
`<!-- picture: FILE` holds commands whose coloured output is drawn into that file. Two outputs are the same
when they differ in ids, times, ages and temporary paths alone: those of the page stay then.
tests/test_type_along.py types the pages too, and compares.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
CELLS, LINES = 80, 60
SHOWN_USER, SHOWN_HOME = "anna", "/home/anna"
MOST_SECONDS = 120  # for one command

_SESSION = re.compile(r"<!-- typed: ([\w-]+) -->\n(.*?)<!-- /typed -->", re.DOTALL)
_BLOCK = re.compile(
    r"^```(?P<kind>console|sh)\n(?P<body>.*?)^```$|^<!-- picture: (?P<file>\S+)\n(?P<drawn>.*?)^-->$",
    re.DOTALL | re.MULTILINE,
)
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_VARYING = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{3})?Z"), "<time>"),
    (re.compile(r"just now|\d+ (?:second|minute)s? ago"), "<age>"),
)
# What work of more than a second says at its end.
_RATE = re.compile(r"^[\d,]+ [\w ]+ in \d+ \w+.*/s\)\n", re.MULTILINE)
# The shell reads commands from descriptor 3, so that those have the terminal for their input.
_SHELL = r"""
while IFS= read -r -d "" -u 3 command; do
    eval "$command" 3<&-
    printf '\036%d\037' $?
done
"""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that was typed, what the terminal showed, and its exit code."""

    command: str
    raw: str
    code: int

    @property
    def shown(self) -> str:
        """The lines that stay on the terminal, without colours."""
        return _STYLES.sub("", self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A session of a page: its text as it would have to be, what was typed, its pictures."""

    name: str
    before: str
    after: str
    typed: list[Typed] = field(default_factory=list)
    pictures: dict[str, list[Typed]] = field(default_factory=dict)


def sessions(page: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each session of a page."""
    for found in _SESSION.finditer(page):
        yield found[1], found[2]


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, with the output below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        length = 1 + next(
            (number for number, line in enumerate(lines) if not line.endswith("\\\n")), 0
        )
        yield "".join(lines[:length]).rstrip("\n"), "".join(lines[length:]).rstrip("\n")


def run(name: str, text: str, environ: Mapping[str, str]) -> Run:
    """Type a session along, and return its text with the output of today."""
    found = Run(name=name, before=text, after="")
    with _Desk(text, environ) as desk:
        parts, end = [], 0
        for block in _BLOCK.finditer(text):
            parts += [text[end : block.start()], _typed_block(block, desk, found)]
            end = block.end()
    after = "".join([*parts, text[end:]])
    return Run(name=name, before=text, after=after, typed=found.typed, pictures=found.pictures)


def _typed_block(block: re.Match[str], desk: _Desk, found: Run) -> str:
    if block["file"]:
        drawn = [desk.type(command, color=True) for command, _ in commands(block["drawn"])]
        found.pictures[block["file"]] = drawn
        return block[0]
    if block["kind"] == "sh":
        found.typed.append(desk.type(block["body"].rstrip("\n")))
        return block[0]
    shown = []
    for command, before in commands(block["body"]):
        typed = desk.type(command)
        found.typed.append(typed)
        now = typed.shown.strip("\n")
        output = before if is_same(command, before, now) else now
        shown.append(f"$ {command}\n{output}\n" if output else f"$ {command}\n")
    return "```console\n" + "\n".join(shown) + "```"


def is_same(command: str, before: str, now: str) -> bool:
    """Tell whether two outputs of a command say the same."""
    found = comparable(before), comparable(now)
    if command.startswith(
        "pfa sync push -n"
    ):  # of one commit, changes are in the order of their ids
        found = sorted(found[0]), sorted(found[1])
    return found[0] == found[1]


def comparable(text: str) -> list[str]:
    """Return lines without what differs from run to run; columns lose their width with it."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return [re.sub(r" +", " ", re.sub("─+", "─", line)).strip() for line in text.splitlines()]


class _Desk:
    """A terminal with a shell in a fresh home, and further terminals for what runs beside it."""

    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._ports = {port: str(_free_port()) for port in re.findall(r"--port (\d+)", text)}
        self._stack = ExitStack()

    def __enter__(self) -> _Desk:
        self._home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="d")))
        tools = self._home / ".bin"
        tools.mkdir()
        pfa = tools / "pfa"
        pfa.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pfa_cli "$@"\n')
        pfa.chmod(0o755)
        self._variables = {
            "HOME": str(self._home),
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "PFA_PAGER": "cat",
            **self._environ,
        }
        self._leader, self._commands = self._stack.enter_context(_shell(self._variables))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def type(self, command: str, *, color: bool = False) -> Typed:
        """Type a command, and wait for its end; a sandbox runs on in a terminal of its own."""
        actual = command
        for shown, port in self._ports.items():
            actual = actual.replace(shown, port)
        if actual.startswith("pfa sandbox"):
            return Typed(command, self._as_shown(self._beside(actual)), 0)
        if color:
            actual = f"unset NO_COLOR\n{actual}\nexport NO_COLOR=1"
        output, code = self._in_shell(actual)
        return Typed(command, self._as_shown(output), code)

    def _in_shell(self, command: str) -> tuple[str, int]:
        os.write(self._commands, command.encode() + b"\0")
        output, _, code = _read_until(self._leader, b"\x1f").decode().rpartition("\x1e")
        return output, int(code.rstrip("\x1f"))

    def _beside(self, command: str) -> str:
        folder, _ = self._in_shell("pwd")
        arguments = ["sh", "-c", f"cd {folder.strip()} && exec {command}"]
        leader = self._stack.enter_context(_terminal(arguments, self._variables))
        return _read_until(leader, b"PFA_PEMS_URL=http://127.0.0.1:", b"\n").decode()

    def _as_shown(self, output: str) -> str:
        lines = output.replace("\r\n", "\n").split("\n")
        text = "\n".join(line.rpartition("\r")[2].replace("\x1b[K", "") for line in lines)
        text = _RATE.sub("", text).replace(str(self._home), SHOWN_HOME)
        text = re.sub(rf"\b{re.escape(getpass.getuser())}\b", SHOWN_USER, text)
        for shown, port in self._ports.items():
            text = text.replace(port, shown)
        return text


@contextmanager
def _shell(variables: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Start a shell in a terminal; it takes commands from the pipe."""
    reading, writing = os.pipe()
    arguments = ["bash", "--norc", "--noprofile", "-c", f"exec 3<&{reading}\n{_SHELL}"]
    try:
        with _terminal(arguments, variables, pass_fds=(reading,)) as leader:
            yield leader, writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _terminal(arguments: list[str], variables: Mapping[str, str], **options: Any) -> Iterator[int]:
    """Start a program in a terminal, and end it and what it started with the block."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, CELLS, 0, 0))
    with subprocess.Popen(
        arguments, stdin=follower, stdout=follower, stderr=follower, env=dict(variables),
        cwd=variables["HOME"], start_new_session=True, **options,
    ) as process:  # fmt: skip
        os.close(follower)
        try:
            yield leader
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            os.close(leader)


def _read_until(leader: int, *marks: bytes) -> bytes:
    """Read from a terminal until the marks came, one after the other.

    Raises:
        TimeoutError: They did not come in time.
        EOFError: The program ended before.
    """
    read, end = b"", time.monotonic() + MOST_SECONDS
    while not _has(read, marks):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing more after {read!r}")
        try:
            part = os.read(leader, 65_536)
        except OSError:
            part = b""
        if not part:
            raise EOFError(f"the program ended after {read!r}")
        read += part
    return read


def _has(read: bytes, marks: tuple[bytes, ...]) -> bool:
    for mark in marks:
        _, found, read = read.partition(mark)
        if not found:
            return False
    return True


def _free_port() -> int:
    """Return a free port of five digits, as those of the pages have."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
        if port >= 10_000:
            return port


# -- pictures ---------------------------------------------------------------------------------


def picture(typed: list[Typed]) -> str:
    """Draw commands and their output as an SVG, by rich."""
    from io import StringIO

    from rich.console import Console
    from rich.terminal_theme import TerminalTheme
    from rich.text import Text

    console = Console(
        width=CELLS, record=True, file=StringIO(), force_terminal=True, color_system="truecolor",
        legacy_windows=False,
    )  # fmt: skip
    for one in typed:
        console.print(Text.assemble(("$ ", "dim"), (one.command, "bold")), soft_wrap=True)
        console.print(Text.from_ansi(one.raw.rstrip("\n")), soft_wrap=True)
        console.print()
    theme = TerminalTheme(
        (23, 27, 34), (221, 227, 234),
        [(72, 79, 88), (255, 123, 114), (87, 201, 107), (227, 179, 65), (121, 174, 255),
         (210, 168, 255), (86, 212, 221), (221, 227, 234)],
    )  # fmt: skip
    return console.export_svg(
        title="pfa, 80 columns", theme=theme, unique_id="pfa", code_format=_FRAME
    )


# rich's frame, without the fonts that it would have a browser fetch.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def words_of(svg: str) -> list[str]:
    """Return the words of a picture, in their order."""
    import html

    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL)
    return html.unescape(" ".join(texts)).replace("\xa0", " ").split()


# -- the pages --------------------------------------------------------------------------------


def main() -> None:
    """Type every page along, write it and its pictures."""
    with tempfile.TemporaryDirectory(prefix="d") as folder:
        Path(folder).chmod(0o755)  # as root the server runs under a service user
        for page in PAGES:
            text = page.read_text("utf-8")
            for name, before in sessions(text):
                place = f"{folder}/{name}"
                environ = {"PFA_EMBEDDED_DIR": place}
                try:
                    done = run(name, before, environ)
                finally:
                    stop = [sys.executable, "-m", "pfa_cli", "db", "stop"]
                    subprocess.run(stop, env=os.environ | environ, cwd=ROOT, capture_output=True)
                    shutil.rmtree(place, ignore_errors=True)
                print(f"{page.name}, {name}: {len(done.typed)} typed")
                text = text.replace(done.before, done.after)
                for file, typed in done.pictures.items():
                    (page.parent / file).write_text(picture(typed), "utf-8")
            page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
