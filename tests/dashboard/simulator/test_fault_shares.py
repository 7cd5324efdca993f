"""A fault may strike a share of the calls, and strikes the same ones when it comes again."""

from __future__ import annotations

from dashboard.simulator.faults import FaultPlan


def struck(seed: int) -> list[bool]:
    plan = FaultPlan()
    plan.configure({"seed": seed, "faults": [{"operation": "*", "status": 503, "times": None, "share": 0.2}]})
    return [plan.take("move") is not None for _ in range(1000)]


def test_a_fault_strikes_its_share_of_the_calls_and_the_same_ones_again() -> None:
    assert 150 < sum(struck(3)) < 250
    assert struck(3) == struck(3)
    assert struck(3) != struck(4)


def test_a_fault_without_a_share_strikes_every_call() -> None:
    plan = FaultPlan()
    plan.next("move", status=503, times=None)

    assert all(plan.take("move") for _ in range(20))
    assert plan.take("release") is None
