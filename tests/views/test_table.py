from __future__ import annotations

from stagerunner.views.table import Column, table

COLUMNS = (Column("stage", left=True), Column("in"), Column("wait", drops=2), Column("work", drops=1))
ROWS = [["parse", "1,204", "3 %", "97 %"], ["x", "7", "10 %", "90 %"]]


def test_text_begins_and_numbers_end_on_one_line():
    assert table(COLUMNS, ROWS) == ["stage     in  wait  work", "parse  1,204   3 %  97 %", "x          7  10 %  90 %"]


def test_columns_give_way_in_order_until_the_rest_fits():
    assert table(COLUMNS, ROWS, 20)[0] == "stage     in  work"
    assert table(COLUMNS, ROWS, 12)[0] == "stage     in"


def test_no_line_is_ever_wider_than_allowed():
    assert all(len(line) <= 6 for line in table(COLUMNS, ROWS, 6))


def test_a_cell_can_not_break_its_line():
    assert len(table((Column("x", left=True),), [["a\nb"]])) == 2


def test_an_optional_column_of_nothing_is_left_out():
    columns = [Column("stage", left=True), *(Column(title, optional=True) for title in ("in", "wait", "work"))]
    assert table(columns, [["a", "0", "", "1"], ["b", "0", "", "0"]]) == ["stage  work", "a         1", "b         0"]
