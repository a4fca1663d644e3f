"""Histories that break a promise today, with the reason; each row goes when its defect does. `make simulate` plays them all the same."""

from collections.abc import Mapping

OPEN: Mapping[int, str] = {
    140: "the stop leg of an exit sent as OCO is told on the stream before its parent's answer and taken for a stranger's order",
    683: "the same",
    757: "the same",
    272: "a stop whose second sending is refused for good (the price is through it) is looked up, found absent and sent again, for ever",
    637: "two snapshots a few milliseconds apart count as two looks while a moved stop's fill is still being looked up: the books are adjusted twice",
}
