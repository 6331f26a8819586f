//! The rows of the table: printed as they come, and kept for a file.

use serde::Serialize;

use crate::Result;
use crate::measure::{Effort, Pair, Work, in_turn};

/// Collects rows.
pub(crate) struct Table {
    effort: Effort,
    only: String,
    rows: Vec<Row>,
}

/// One comparison.
#[derive(Serialize)]
struct Row {
    name: String,
    ours: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    native: Option<f64>,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// The ratio to reach; rows for diagnosis have none.
    goal: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    higher_is_better: bool,
}

/// What a row is to be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// At most this ratio.
    AtMost(f64),
    /// At least this ratio.
    AtLeast(f64),
    /// Shown for diagnosis.
    None,
}

impl Table {
    /// An empty table, for rows whose names contain `only`.
    pub(crate) fn new(effort: Effort, only: String) -> Table {
        println!(
            "median of {} rounds of {} ms a side, in turn; native: mlua, the same Lua, no sandbox\n",
            effort.rounds,
            effort.slice.as_millis()
        );
        println!(
            "{:<58} {:>10} {:>10} {:<4} {:>7}  goal",
            "", "moonfork", "native", "unit", "ratio"
        );
        Table {
            effort,
            only,
            rows: Vec::new(),
        }
    }

    /// How long to measure.
    pub(crate) fn effort(&self) -> Effort {
        self.effort
    }

    /// Whether the row is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// Times both sides, unless the row isn't asked for.
    pub(crate) fn time(
        &mut self,
        name: &str,
        goal: Goal,
        ours: &mut Work<'_>,
        native: &mut Work<'_>,
    ) -> Result<()> {
        if self.wants(name) {
            let pair = in_turn(self.effort, ours, native)?;
            self.add_times(name, goal, pair);
        }
        Ok(())
    }

    /// Adds a row of times.
    pub(crate) fn add_times(&mut self, name: &str, goal: Goal, pair: Pair) {
        let (unit, scale) = match pair.native {
            ..1e-6 => ("ns", 1e9),
            1e-6..1e-3 => ("us", 1e6),
            _ => ("ms", 1e3),
        };
        let scaled = Pair {
            ours: pair.ours * scale,
            native: pair.native * scale,
            ..pair
        };
        self.add(name, goal, scaled, unit);
    }

    /// Adds a row of anything.
    pub(crate) fn add(&mut self, name: &str, goal: Goal, pair: Pair, unit: &'static str) {
        let (goal, higher_is_better) = match goal {
            Goal::AtMost(goal) => (Some(goal), false),
            Goal::AtLeast(goal) => (Some(goal), true),
            Goal::None => (None, false),
        };
        let verdict = goal.map(|goal| {
            let met = if higher_is_better {
                pair.ratio >= goal
            } else {
                pair.ratio <= goal
            };
            let bound = if higher_is_better { ">=" } else { "<=" };
            format!("{bound} {goal}{}", if met { "" } else { "  missed" })
        });
        println!(
            "{name:<58} {:>10.2} {:>10.2} {unit:<4} {:>7.3}  {}",
            pair.ours,
            pair.native,
            pair.ratio,
            verdict.unwrap_or_default()
        );
        self.rows.push(Row {
            name: name.to_owned(),
            ours: pair.ours,
            native: Some(pair.native),
            unit,
            ratio: Some(pair.ratio),
            goal,
            higher_is_better,
        });
    }

    /// Adds a row of what native states have no counterpart of.
    pub(crate) fn add_alone(&mut self, name: &str, value: f64, unit: &'static str) {
        println!("{name:<58} {value:>10.2} {:>10} {unit:<4}", "-");
        self.rows.push(Row {
            name: name.to_owned(),
            ours: value,
            native: None,
            unit,
            ratio: None,
            goal: None,
            higher_is_better: false,
        });
    }

    /// All rows as JSON.
    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows)? + "\n")
    }
}
