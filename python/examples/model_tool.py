"""Code written by a model, as a tool.

A program gives a script data and a few functions, limits, and a seed, and shows what the script
did and what it tried and wasn't allowed. The scripts below stand for what a model would send.

    python python/examples/model_tool.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import moonfork

ORDERS = [
    {"id": 1, "customer": "acme", "total": 120.0, "paid": True},
    {"id": 2, "customer": "zenith", "total": 80.5, "paid": False},
    {"id": 3, "customer": "acme", "total": 42.0, "paid": False},
]

GOOD = """
local owed = {}
for _, order in ipairs(orders('acme')) do
  if not order.paid then owed[#owed + 1] = order.id end
end
print('looked at the orders of acme')
return {owed = owed, lucky = math.random(100)}
"""

#: What a model may send when it is wrong, curious or talked into something.
BAD = {
    "reads a file": "return io.open('/etc/passwd'):read('a')",
    "asks for the time": "return os.time()",
    "never ends": "while true do end",
    "fills the memory": "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "asks for all customers": "for i = 1, 1000 do orders('customer ' .. i) end",
    "doesn't parse": "retrun 1",
}


@dataclass
class Tool:
    """Runs scripts over the orders, and keeps a journal of what they called."""

    journal: list[str] = field(default_factory=list[str])

    def orders(self, customer: object) -> list[dict[str, Any]]:
        """What scripts may call. Arguments are a stranger's: they are checked."""
        if not isinstance(customer, str):
            raise TypeError("orders(customer): the customer's name must be a text")
        self.journal.append(f"orders({customer!r})")
        return [order for order in ORDERS if order["customer"] == customer]

    def run(self, pool: moonfork.Pool, code: str) -> dict[str, Any]:
        """What is told to the model: a result or an error, and what was printed."""
        with pool.branch() as branch:
            try:
                answer: dict[str, Any] = {"result": branch.run(code, name="script")}
            except moonfork.Denied as error:
                answer = {"error": str(error), "denied": error.capability}
            except moonfork.LimitError as error:
                answer = {"error": str(error), "limit": error.code}
            except moonfork.Error as error:
                answer = {"error": str(error), "line": error.line}
            report = branch.report
        answer["printed"] = report.output
        # What it cost, for who pays for it.
        answer["cost"] = {
            "milliseconds": round(report.wall_ms, 2),
            "kilobytes": report.peak_memory // 1000,
            "calls": report.host_calls,
        }
        return answer


def main() -> None:
    tool = Tool()
    pool = moonfork.Pool(
        functions={"orders": tool.orders},
        wall=0.5,
        memory="16MiB",
        output="4KiB",
        host_calls=10,
        seed=7,  # the same random numbers each time: a run can be done again
    )
    with pool:
        print("a good script:", json.dumps(tool.run(pool, GOOD)))
        print("its journal:", tool.journal)
        for what, code in BAD.items():
            tool.journal.clear()
            answer = tool.run(pool, code)
            print(f"one that {what}: {answer['error']}")
            if "denied" in answer:
                print(f"  it wanted what it wasn't granted: {answer['denied']}")
            if tool.journal:
                print(f"  before that it called {tool.journal[0]} and {len(tool.journal) - 1} more")


if __name__ == "__main__":
    main()
