"""A page of Markdown run from top to bottom in one folder: files written, commands given, Python executed."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    line: int
    kind: str
    text: str
    file: str | None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks; `file` is the name in backquotes that ends the paragraph above with a colon."""
    text = page.read_text()
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        above = text[: match.start()].rstrip()
        name = re.search(r"`([\w./-]+)`:$", above)
        found.append(Block(text[: match.start()].count("\n") + 1, match[1], match[2], name and name[1]))
    return found


def run(page: Path, folder: Path) -> int:
    """Run them; the number of commands and pieces of Python. What a command prints must be what the page says."""
    names: dict[str, object] = {}
    n = 0
    for block in blocks(page):
        if block.kind == "toml":
            assert block.file, f"line {block.line}: no file is named above"
            (folder / block.file).write_text(block.text)
        elif block.kind == "python":
            code = compile("\n" * block.line + block.text, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(folder):
                exec(code, names)
            n += 1
        elif block.kind == "console":
            for command, said in commands(block.text):
                if not command.startswith("pip "):
                    assert_said(said, shell(command, folder), f"line {block.line}: {command}")
                    n += 1
    return n


def run_python(page: Path, folder: Path, names: dict[str, object]) -> int:
    """Run its Python alone, one piece after the other, with `names` that the page takes as given; how many there are."""
    found = [block for block in blocks(page) if block.kind == "python"]
    for block in found:
        code = compile("\n" * block.line + block.text, str(page), "exec")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(folder):
            exec(code, names)
    return len(found)


def commands(text: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:].partition("   #")[0], []))
        else:
            found[-1][1].append(line)
    return found


def shell(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=folder, check=False,
                          env={**os.environ, "PATH": path, "NO_COLOR": "1"})  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def assert_said(expected: list[str], printed: str, where: str) -> None:
    """Line by line but for numbers and spaces; a line of ... stands for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(masked(line)) + r"\n" for line in expected)
    assert re.fullmatch(pattern, "".join(f"{masked(line)}\n" for line in printed.splitlines())), (
        f"{where} printed\n{printed}"
    )


def masked(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"-?\d[\d.,]*(e[-+]?\d+)?", "#", line)).strip()
