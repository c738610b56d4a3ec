"""A worker imports what its stage needs and nothing of the parent's."""

from __future__ import annotations

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
    heavy = ("catalog", "config", "plan", "cli", "views", "engines", "delivery", "journal", "runner", "hookspecs")
    assert not [name for name in ours if name.split(".")[1] in heavy]
    assert "stagerunner_parts" not in modules


def test_the_keeper_and_the_feeder_are_as_light(project):
    project.plugin("""
        @source
        def modules():
            yield sorted(sys.modules)
    """)

    (modules,) = project.results(source="modules")

    assert HEAVY & set(modules) == set()
