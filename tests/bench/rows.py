"""A row of the table, and how a number becomes one."""
import typing


class Row(typing.NamedTuple):
    what: str
    measured: str
    budget: str
    value: float
    within: bool


def at_most(what, value, limit, text, budget):
    return Row(what, text, budget, value, value <= limit)


def at_least(what, value, limit, text, budget):
    return Row(what, text, budget, value, value >= limit)


def without_budget(what, value, text):
    return Row(what, text, "", value, True)
