from __future__ import annotations

from stagerunner.parts.base import ATTRIBUTE, Part, first_sentence, mark, part, part_of, target_of


class Given:
    """Does this. Then that.

    And more.
    """

    class Inner:
        pass


def test_a_target_names_module_and_place():
    assert target_of(Given.Inner) == f"{__name__}:Given.Inner"


def test_the_first_line_of_a_docstring_is_the_summary():
    assert first_sentence(Given) == "Does this. Then that"
    assert first_sentence(Given.Inner) == ""


def test_a_marked_object_stays_what_it_was():
    def function():
        return 5

    assert mark(function, Part("stage", "f", "m:f")) is function
    assert function() == 5
    assert part_of(function) == Part("stage", "f", "m:f")


def test_a_subclass_is_no_part_because_its_base_is():
    class Base:
        pass

    mark(Base, Part("stage", "base", "m:Base"))

    class Derived(Base):
        pass

    assert part_of(Derived) is None


def test_what_was_never_marked_is_no_part():
    pretender = type("Pretender", (), {ATTRIBUTE: "not a part"})

    assert part_of(pretender) is None
    assert part_of(5) is None


def test_a_part_can_be_named_without_importing_it():
    named = part("geo.locate", "no.such.module:Locate", summary="Find it", suffixes=(".geo",))

    assert (named.name, named.target, named.summary, named.suffixes) == (
        "geo.locate",
        "no.such.module:Locate",
        "Find it",
        (".geo",),
    )
