"""The documentation is correct: its Python runs, its commands parse, its options exist, its links resolve."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bss_cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CONTEXT = click.Context(cli, info_name="bss")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> Iterator[tuple[int, str]]:
    """(line, code) of the fenced blocks in one of the languages."""
    for fence in FENCE.finditer(text):
        if fence[1] in languages:
            yield text.count("\n", 0, fence.start(2)) + 1, fence[2]


def shell_lines(text: str) -> Iterator[list[str]]:
    """Words of every command in the shell blocks: one list for each part of a pipe, without redirections."""
    for _, code in blocks(text, "sh", "bash", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|;&<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, "|"]:
                if word in ("|", "||", "&&", ";"):
                    if words:
                        yield words[: next((i for i, w in enumerate(words) if set(w) <= {"<", ">"}), None)]
                    words = []
                else:
                    words.append(word)


def command_named(name: str) -> click.Command:
    command = cli.get_command(CONTEXT, name)
    assert command is not None, f"bss {name} is not a command"
    return command


def options_of(command: click.Command) -> set[str]:
    """The options of a command, or of all commands of a group."""
    if isinstance(command, click.Group) and command is not cli:
        below = [command.get_command(CONTEXT, name) for name in command.list_commands(CONTEXT)]
        return {name for one in below if one is not None for name in options_of(one)}
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


def parse(words: list[str]) -> None:
    """Parse `bss ...` like the command line, without running it."""
    with contextlib.suppress(click.exceptions.Exit):  # how --help and --version end
        if words[1:2] and not words[1].startswith("-"):
            command, rest = command_named(words[1]), words[2:]
            context = command.make_context(words[1], list(rest), parent=CONTEXT)
            if isinstance(command, click.Group):
                name, below, rest = command.resolve_command(context, [*context.protected_args, *context.args])
                assert below is not None
                below.make_context(name, rest, parent=context)
        else:
            cli.make_context("bss", words[1:])


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory, voice_files: list[Path]) -> Path:
    """A folder `scene` with two talkers and two microphones, made by the documented command."""
    import bss

    voices = [bss.read([path])[0][0, :48_000] for path in voice_files[:2]]
    folder = tmp_path_factory.mktemp("docs") / "scene"
    bss.mix(voices, 16_000, n_mics=2, rt60=0.2, rng=0).save(folder)
    return folder


def with_python(name: str) -> bool:
    return any(blocks(text_of(name), "python"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if with_python(name)])
def test_python_blocks_run(name: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scene, tmp_path / "scene")
    shutil.copytree(ROOT / "fixtures/voices", tmp_path / "fixtures/voices")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks(text_of(name), "python"):
        exec(compile("\n" * (line - 1) + code, name, "exec"), namespace)


@pytest.mark.parametrize("name", NAMES)
def test_command_lines_parse(name: str) -> None:
    for words in shell_lines(text_of(name)):
        if words[0] == "bss":
            try:
                parse(words)
            except click.UsageError as error:
                pytest.fail(f"{name}: {shlex.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_in_the_text_exist(name: str) -> None:
    for code in re.findall(r"`(bss [^`\n]*)`", FENCE.sub("", text_of(name))):
        words = code.split()
        known = options_of(command_named(words[1])) if words[1] in COMMANDS else options_of(cli) | {"--help", "COMMAND"}
        unknown = [w for w in words[1:] if (w.startswith("-") and w != "-" and w.split("=")[0] not in known)]
        assert unknown == [], f"{name}: `{code}`"
        assert words[1] in COMMANDS or words[1] in known, f"{name}: `{code}`"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "batch"])  # which has a page of its own
def test_commands_page_has_every_option_and_no_other(name: str) -> None:
    parts = re.split(r"^## ", text_of("docs/commands.md"), flags=re.M)
    (section,) = [part for part in parts if part.startswith(f"`bss {name}`")]
    shared = {"--json", "-q", "--quiet", "-v", "--verbose", "--debug"}
    listed = {o for line in section.splitlines() if line.startswith("| `-") for o in re.findall(r"`(-[-\w]+)", line)}
    assert listed == options_of(command_named(name)) - shared


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.M))
    named = set(re.findall(r"`make ([a-z]+)", text_of(name)))
    named |= {words[1] for words in shell_lines(text_of(name)) if words[0] == "make"}
    assert named <= targets


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for target in LINK.findall(FENCE.sub("", text_of(name))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(page.read_text(encoding="utf-8")), f"{name}: {target}"


@pytest.mark.parametrize("folder", ["bss", "cli", "tools", "examples"])
def test_pages_that_docstrings_name_are_there(folder: str) -> None:
    """`docs/x.md` and `docs/x.md#anchor` in docstrings, comments and messages."""
    named = {
        (path.relative_to(ROOT).as_posix(), target)
        for path in (ROOT / folder).rglob("*.py")
        for target in re.findall(
            r"\b((?:docs|examples|tools|fixtures|benchmarks)/[\w/-]+\.(?:md|py)(?:#[\w-]+)?)", path.read_text("utf-8")
        )
    }
    for file, target in named:
        page, _, anchor = target.partition("#")
        assert (ROOT / page).exists(), f"{file}: {target}"
        assert not anchor or anchor in anchors(text_of(page)), f"{file}: {target}"
    assert named or folder == "cli"


def test_external_links_are_the_listed_ones() -> None:
    """They cannot be followed here, so each is listed in CONTRIBUTING.md, to be looked at before a release."""
    address = re.compile(r"https?://[^\s)\"'`>\]|]+")
    listed = {target.rstrip(".,;") for target in address.findall(text_of("CONTRIBUTING.md").split("## External links")[1])}
    files = [*PAGES, *(path for folder in ("bss", "cli", "tools", "examples") for path in (ROOT / folder).rglob("*.py"))]
    files += [*(ROOT / "bss/networks/weights").glob("*.md"), ROOT / "fixtures/README.md", ROOT / "pyproject.toml"]
    used = {t.rstrip(".,;") for path in files if path.name != "CONTRIBUTING.md" for t in address.findall(path.read_text("utf-8"))}
    assert used == listed


def test_pages_hold_what_is_tested() -> None:
    assert with_python("README.md")
    assert with_python("docs/quickstart.md")
    commands = {words[1] for name in NAMES for words in shell_lines(text_of(name)) if words[0] == "bss"}
    assert commands >= set(COMMANDS)


def test_navigation_lists_every_page() -> None:
    listed = set(re.findall(r"^  - .*: (\S+\.md)$", text_of("mkdocs.yml"), re.M))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_shell_lines_are_found() -> None:
    text = '```sh\n$ bss mix a b \\\n  -o "my scene"  # words\nffmpeg -i a.m4a - | bss unmix - -o - > out.wav\n```\n'
    assert list(shell_lines(text)) == [
        ["bss", "mix", "a", "b", "-o", "my scene"],
        ["ffmpeg", "-i", "a.m4a", "-"],
        ["bss", "unmix", "-", "-o", "-"],
    ]


@pytest.mark.parametrize("line", ["bss unmixx a.wav", "bss unmix a.wav -o out --no-such-option", "bss --nonsense"])
def test_a_wrong_line_is_caught(line: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        parse(line.split())
