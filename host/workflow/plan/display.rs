//! A plan in text: one step a line, the nodes of a branch below its fan-out.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use super::ways::{Exits, FanOutId, Leads, Next, NodeId, Plan, Way};
use crate::workflow::model::{END, START};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines {
            plan: self,
            text: String::new(),
            most: MOST + MOST_PER_BYTE * self.written(),
        };
        lines.main();
        if lines.is_full() {
            lines.text.push_str("... (there is more)");
        }
        f.write_str(lines.text.trim_end())
    }
}

/// Bytes that a plan has in text, whatever it is a plan of.
const MOST: usize = 16 << 10;

/// Bytes that it has besides for each byte of names and conditions in it. What several branches
/// come by is printed in each of them, which makes more of branches inside of branches than anybody
/// could read.
const MOST_PER_BYTE: usize = 64;

impl Plan {
    /// Bytes of names and conditions.
    fn written(&self) -> usize {
        let names = self.names.iter().map(|name| name.len());
        let exits = self.exits.iter().chain([&self.start]);
        let conditions = exits
            .flat_map(|exits| &exits.ways)
            .map(|way| source(way).len());
        names.chain(conditions).sum()
    }
}

struct Lines<'p> {
    plan: &'p Plan,
    text: String,
    /// Bytes that it may have.
    most: usize,
}

impl Lines<'_> {
    fn main(&mut self) {
        let plan = self.plan;
        let mut seen = HashSet::new();
        let mut queue = VecDeque::from([None]);
        while let Some(node) = queue.pop_front() {
            if let Some(node) = node
                && !seen.insert(node)
            {
                continue;
            }
            if self.is_full() {
                return;
            }
            let (name, exits) = match node {
                None => (START, &plan.start),
                Some(node) => (plan.name(node), &plan.exits[node.0]),
            };
            let through = plan.written_next(node);
            queue.extend(
                self.exits(0, name, exits, Some(through))
                    .into_iter()
                    .map(Some),
            );
        }
    }

    /// Prints all ways out of one node; the answer is where they lead to. `through` is where a
    /// run goes that finds no way.
    fn exits(
        &mut self,
        indent: usize,
        name: &str,
        exits: &Exits,
        through: Option<Next>,
    ) -> Vec<NodeId> {
        let mut found = Vec::new();
        for way in &exits.ways {
            match &way.leads {
                Leads::To(next) => {
                    let when = way
                        .condition
                        .as_ref()
                        .map(|it| format!(" if {}", it.source()));
                    self.step(indent, name, *next, &when.unwrap_or_default(), &mut found);
                }
                Leads::Targets(targets) => {
                    for (result, next) in targets {
                        let when = format!(" if {} is \"{result}\"", source(way));
                        self.step(indent, name, *next, &when, &mut found);
                    }
                }
            }
        }
        if let Some(through) = through.filter(|_| exits.falls_through()) {
            let when = match exits.ways.is_empty() {
                true => "",
                false => " otherwise",
            };
            self.step(indent, name, through, when, &mut found);
        }
        if let Some(fallback) = exits.fallback {
            self.step(indent, name, fallback, " on failure", &mut found);
        }
        found
    }

    fn step(&mut self, indent: usize, from: &str, next: Next, when: &str, found: &mut Vec<NodeId>) {
        match next {
            Next::End => self.line(indent, &format!("{from} -> {END}{when}")),
            Next::Node(node) => {
                self.line(indent, &format!("{from} -> {}{when}", self.plan.name(node)));
                found.push(node);
            }
            Next::FanOut(id) => {
                let fan_out = self.plan.fan_out(id);
                let names: Vec<_> = fan_out
                    .branches
                    .iter()
                    .map(|id| self.plan.name(*id))
                    .collect();
                let fan_in = self.plan.name(fan_out.fan_in);
                let names = names.join(", ");
                self.line(indent, &format!("{from} -> [{names}] -> {fan_in}{when}"));
                self.branches(indent + 1, id);
                found.push(fan_out.fan_in);
            }
        }
    }

    fn branches(&mut self, indent: usize, id: FanOutId) {
        // A fan-out that is inside of itself would never be printed to its end.
        if indent > 16 {
            return self.line(indent, "...");
        }
        let fan_out = self.plan.fan_out(id);
        for first in &fan_out.branches {
            if self.is_full() {
                return;
            }
            match self.chain(*first, fan_out.fan_in) {
                Some(chain) => self.line(indent, &chain),
                None => self.branch(indent, *first, fan_out.fan_in),
            }
        }
    }

    /// A branch in one line, if no way in it depends on anything.
    fn chain(&self, first: NodeId, fan_in: NodeId) -> Option<String> {
        let mut names = vec![self.plan.name(first)];
        let mut seen = HashSet::from([first]);
        let mut node = first;
        loop {
            let exits = &self.plan.exits[node.0];
            if exits.fallback.is_some() || exits.fan_in.is_some() {
                return None;
            }
            let next = match exits.ways.as_slice() {
                [] => Next::Node(fan_in),
                [way] if way.condition.is_none() => match way.leads {
                    Leads::To(next) => next,
                    Leads::Targets(_) => return None,
                },
                _ => return None,
            };
            match next {
                Next::End => {
                    names.push(END);
                    return Some(names.join(" -> "));
                }
                Next::FanOut(_) => return None,
                Next::Node(next) => {
                    names.push(self.plan.name(next));
                    if next == fan_in {
                        return Some(names.join(" -> "));
                    }
                    if !seen.insert(next) {
                        return None;
                    }
                    node = next;
                }
            }
        }
    }

    fn branch(&mut self, indent: usize, first: NodeId, fan_in: NodeId) {
        let plan = self.plan;
        let mut seen = HashSet::from([fan_in]);
        let mut queue = VecDeque::from([first]);
        while let Some(node) = queue.pop_front() {
            if !seen.insert(node) {
                continue;
            }
            if self.is_full() {
                return;
            }
            let exits = &plan.exits[node.0];
            let through = Next::Node(exits.fan_in.unwrap_or(fan_in));
            queue.extend(self.exits(indent, plan.name(node), exits, Some(through)));
        }
    }

    fn is_full(&self) -> bool {
        self.text.len() >= self.most
    }

    fn line(&mut self, indent: usize, text: &str) {
        if self.is_full() {
            return;
        }
        for _ in 0..indent {
            self.text.push_str("    ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
}

fn source(way: &Way) -> &str {
    way.condition.as_ref().map_or("", |it| it.source())
}
