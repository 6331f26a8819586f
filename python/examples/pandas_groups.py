"""A rule of a user's, applied to each group of a data frame: one script per row group with `map`.

    python -m pip install pandas
    python python/examples/pandas_groups.py
"""

from __future__ import annotations

import moonfork
import pandas as pd

#: What a user wrote, say in a form. It sees one group's rows, and nothing else.
RULE = """
local total, pieces = 0, 0
for _, row in ipairs(state.rows) do
  total = total + row.price * row.pieces
  pieces = pieces + row.pieces
end
local discount = pieces >= 10 and 0.1 or 0
return {customer = state.customer, total = total * (1 - discount), discount = discount}
"""


def main() -> None:
    orders = pd.DataFrame(
        {
            "customer": ["acme", "zenith", "acme", "zenith", "acme"],
            "price": [2.5, 10.0, 4.0, 1.25, 3.0],
            "pieces": [4, 1, 2, 2, 5],
        }
    )
    groups = [
        {"customer": customer, "rows": rows[["price", "pieces"]].to_dict(orient="records")}
        for customer, rows in orders.groupby("customer")
    ]
    with moonfork.Pool(wall=1, memory="16MiB") as pool:
        results = pool.map(RULE, groups)
    for group, result in zip(groups, results):
        if result.error is not None:
            print(f"{group['customer']!r}: the rule fails: {result.error}")
    print(pd.DataFrame([result.value for result in results if result.error is None]))


if __name__ == "__main__":
    main()
