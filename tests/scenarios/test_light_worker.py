"""A worker imports what its stage needs and nothing of the parent's."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"yaml", "click", "rich", "pluggy", "msgspec", "sqlite3", "asyncio", "typing_extensions"}


def test_a_worker_imports_none_of_the_parents_libraries(project):
    project.plugin("""
        @stage
        def modules(record):
            return sorted(sys.modules)
    """)

    (modules,) = project.results("modules", records=[1])

    assert HEAVY & set(modules) == set()


def test_a_worker_imports_our_side_of_the_package_only(project):
    project.plugin("""
        @stage
        def modules(record):
            return sorted(sys.modules)
    """)

    (modules,) = project.results("modules", records=[1])

    ours = {name for name in modules if name.startswith("stagerunner.")}
    heavy = (
        "catalog",
        "config",
        "plan",
        "cli",
        "views",
        "runtime",
        "delivery",
        "journal",
        "api",
        "hookspecs",
        "engines.process.parent",
    )
    assert not [name for name in ours if name.startswith(tuple(f"stagerunner.{part}" for part in heavy))]
    assert "stagerunner_parts" not in modules


def test_the_fork_server_and_the_source_process_are_as_light(project):
    project.plugin("""
        @source
        def modules():
            yield sorted(sys.modules)
    """)

    (modules,) = project.results(source="modules")

    assert HEAVY & set(modules) == set()


def test_what_a_fork_server_imports_ahead_is_as_light_and_starts_no_thread():
    code = (
        "import sys, threading\n"
        "from importlib import import_module\n"
        "from stagerunner.engines.process.forkserver import USUAL\n"
        "for name in USUAL: import_module(name)\n"
        "print(threading.active_count(), *sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60).stdout

    threads, *modules = said.split()
    assert (threads, HEAVY & set(modules)) == ("1", set())


def test_what_workers_need_of_ours_is_imported_once_for_all(project):
    project.plugin("""
        @stage
        def parts(record):
            return sorted(name for name in sys.modules if name.startswith("stagerunner_parts."))
    """)

    (parts,) = project.results("parts", {"use": "take", "with": {"n": 1}}, records=[1], run={"fuse": "off"})

    assert "stagerunner_parts.sampling" in parts


def test_built_in_parts_import_little():
    """Each worker imports its own parts, so each pays for imports that it doesn't need."""
    parts = "text fields filter parse sources.range sources.lines sinks.lines sinks.null".split()
    imports = ", ".join(f"stagerunner_parts.{part}" for part in parts)
    code = f"import stagerunner.engines.process.forkserver, {imports}, sys; print(*sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60).stdout

    assert {"dataclasses", "inspect", "json", "msgspec"} & set(said.split()) == set()
