"""The house rules: who may import whom, who reads the environment, what a start may cost, what the README must say."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from incidentos.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOT_THE_PACKAGE = {"tests", "bench", "build", "dist", ".venv", ".typing"}
MODULES = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("*.py")
    if not NOT_THE_PACKAGE & set(path.relative_to(ROOT).parts[:1])
    and not path.relative_to(ROOT).parts[0].startswith(".")
)
MAY_IMPORT = {
    "memory": {"memory"},
    "prompts": {"prompts", "memory"},
    "tools": {"tools", "prompts", "memory"},
    "commands": {"commands", "tools", "prompts", "memory", "settings", "wiring", "server", "__init__"},
    "settings": set(),
    "wiring": {"memory", "prompts", "settings"},
    "wire": set(),
    "server": {"tools", "prompts", "memory", "settings", "wire", "wiring", "__init__", "__main__"},
    "__main__": {"commands", "memory", "settings", "wiring", "__init__"},
    "__init__": set(),
}
NETWORK = {
    "aiohttp", "ftplib", "groq", "hindsight_client", "http", "httpcore", "httpx", "huggingface_hub", "requests",
    "smtplib", "socket", "ssl", "urllib", "urllib3", "websockets",
}  # fmt: skip
RECALL_AND_RETAIN = [
    "memory/confidence.py", "memory/learning.py", "memory/memory.py", "memory/ports.py", "memory/recall.py",
    "memory/record.py", "memory/redaction.py", "memory/runbook.py", "memory/text.py", "memory/track_record.py",
]  # fmt: skip
HEAVY = (
    "torch", "onnxruntime", "sentence_transformers", "transformers", "sqlglot", "tree_sitter", "rich", "groq",
    "hindsight_client",
)  # fmt: skip
"""Not uvicorn: `mcp.server.lowlevel` of mcp 2.3 imports it itself, through sse_starlette."""


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), str(module))


def imports(module: Path) -> Iterator[str]:
    """Every module that is imported anywhere in the file, by its absolute name."""
    package = ("incidentos", *module.parts[:-1])
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, [base, node.module or ""]))
            yield name
            if name == base or node.module is None:
                yield from (f"{name}.{alias.name}" for alias in node.names)


def own(module: Path) -> set[str]:
    """The parts of the house that a module imports: `memory`, `tools`, `settings` and so on."""
    found = set()
    for name in imports(module):
        first, _, rest = name.partition(".")
        if first == "incidentos":
            part = rest.partition(".")[0]
            known = part and ((ROOT / part).is_dir() or (ROOT / f"{part}.py").exists())
            found.add(part if known else "__init__")
    return found - {"__init__"} if module.name == "__init__.py" else found


def part_of(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_from_the_server_to_the_memory_and_never_back(module: Path) -> None:
    allowed = MAY_IMPORT[part_of(module)]
    assert own(module) <= allowed, f"{module} may import {sorted(allowed)}"


def test_only_the_server_imports_the_protocol() -> None:
    assert {str(m) for m in MODULES if {"mcp", "mcp_types"} & {n.partition(".")[0] for n in imports(m)}} == {
        "server.py"
    }


def test_only_its_adapter_knows_the_vendor_of_the_language_model() -> None:
    vendor = {"groq", "httpx"}
    assert {str(m) for m in MODULES if vendor & {n.partition(".")[0] for n in imports(m)}} == {"prompts/groq.py"}


def test_the_ports_and_the_domain_know_no_adapter() -> None:
    for module in ("incident.py", "errors.py", "ports.py"):
        inner = {name.removeprefix("incidentos.memory.") for name in imports(Path("memory") / module)}
        assert not {name for name in inner if name.startswith(("stores", "embedding", "index", "importers"))}


def test_recall_and_retain_need_no_network_and_no_language_model() -> None:
    folders = ("memory/index/", "memory/stores/", "memory/risk/", "memory/importers/")
    modules = [m for m in MODULES if m.as_posix() in RECALL_AND_RETAIN or m.as_posix().startswith(folders)]
    assert len(modules) > len(RECALL_AND_RETAIN)
    for module in modules:
        assert not NETWORK & {name.partition(".")[0] for name in imports(module)}, module


def reads_environment(module: Path) -> bool:
    names = {"environ", "environb", "getenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names})
        for node in ast.walk(tree(module))
    )


def test_the_environment_is_read_by_the_settings_alone() -> None:
    # pydantic-settings reads it for settings.py. The server hands it on to the process of the demo's server, and the
    # reference embedder and settings.py give a library its default.
    found = {m.as_posix() for m in MODULES if reads_environment(m)}
    assert found == {"server.py", "settings.py", "memory/embedding/sentence_transformer.py"}
    uses = {
        module: [ast.unparse(node) for node in ast.walk(tree(Path(module))) if "os.environ" in ast.unparse(node)]
        for module in found
    }
    assert any("setdefault('OPENBLAS_NUM_THREADS'" in use for use in uses["settings.py"])
    assert any("{**os.environ" in use for use in uses["server.py"])
    assert any("setdefault('TOKENIZERS_PARALLELISM'" in u for u in uses["memory/embedding/sentence_transformer.py"])


def test_every_package_folder_is_in_the_wheel() -> None:
    folders = {".".join(("incidentos", *m.parent.parts)) for m in MODULES}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders
    for module in MODULES:
        assert (ROOT / module.parent / "__init__.py").exists(), module.parent


def test_every_data_file_is_in_the_wheel() -> None:
    listed = PROJECT["tool"]["setuptools"]["package-data"]
    for folder in ("memory", "prompts", "tools", "commands"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                packages = [p for p in listed if file.is_relative_to(ROOT.joinpath(*p.split(".")[1:]))]
                assert any(
                    file in ROOT.joinpath(*p.split(".")[1:]).glob(pattern) for p in packages for pattern in listed[p]
                ), file


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_is_longer_than_400_lines(module: Path) -> None:
    assert len((ROOT / module).read_text(encoding="utf-8").splitlines()) <= 400


def test_no_file_of_the_tests_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert {path for path, length in lengths.items() if length > 400} == set()


@pytest.mark.slow
def test_a_start_of_the_server_imports_nothing_heavy(processes: Any) -> None:
    done = processes.run("-c", "import sys, incidentos.server, incidentos.commands.serve; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "incidentos" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.slow
def test_importing_the_package_writes_nothing(processes: Any) -> None:
    done = processes.run("-c", "import incidentos.server, incidentos.__main__, incidentos.commands.demo")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_readme_names_every_setting_tool_and_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    settings = [str(field.validation_alias) for field in Settings.model_fields.values()]
    tools = ["analyze_incident", "find_similar", "resolve_incident", "sync_memory", "list_incidents"]
    commands = ["demo", "import", "export", "list", "show", "delete", "sync", "doctor"]
    missing = [name for name in [*settings, *tools] if name not in readme]
    missing += [name for name in commands if f"incidentos {name}" not in readme]
    assert not missing


@pytest.mark.skipif(sys.platform == "win32", reason="a checkout on Windows has no symbolic link")
def test_the_type_checkers_find_the_package() -> None:
    assert (ROOT / ".typing" / "incidentos").resolve() == ROOT
