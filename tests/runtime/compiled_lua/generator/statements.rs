//! What does something.

use super::Generator;

/// Where a loop over numbers begins and ends: at the edges of what there is, too.
const RANGES: [&str; 22] = [
    "1, 3",
    "3, 1, -1",
    "0, 4, 2",
    "1, 2, 0.5",
    "1.0, 3",
    "5, 1",
    "math.maxinteger - 2, math.maxinteger",
    "math.mininteger + 1, math.mininteger, -1",
    "math.mininteger, math.mininteger + 2",
    "1, math.huge",
    "-1, -math.huge, -2",
    "1, 3, 0",
    "1, 2.9",
    "1.5, 4, 1",
    "3, 1.1, -1",
    "1, 'x'",
    "a, b",
    "1, c, a",
    "b, 3",
    "c, a, 2",
    "0.1, 0.3, 0.1",
    "math.maxinteger - 1, math.huge, math.maxinteger",
];

impl Generator {
    /// Statements in a block of their own.
    fn block(&mut self, in_loop: bool) {
        let (known, outer) = (self.variables.len(), self.in_loop);
        self.depth += 1;
        self.in_loop = in_loop;
        for _ in 0..=self.random(2) {
            self.statement();
        }
        self.variables.truncate(known);
        self.depth -= 1;
        self.in_loop = outer;
    }

    /// The block of a loop, with where `goto` leads to that goes on with the next turn.
    fn loop_block(&mut self) {
        let label = match self.one_in(4) {
            true => {
                self.names += 1;
                Some(format!("next{}", self.names))
            }
            false => None,
        };
        self.labels.extend(label.clone());
        // A label at the end of a block is beyond the scope of its variables.
        self.block(true);
        if let Some(label) = label {
            self.labels.pop();
            self.line(&format!("::{label}::"));
        }
    }

    /// The block of a function, which is another one's.
    fn function_block(&mut self, parameters: &[&str]) {
        let (known, varargs) = (self.variables.len(), self.varargs);
        let labels = std::mem::take(&mut self.labels);
        self.varargs = false;
        self.variables
            .extend(parameters.iter().map(ToString::to_string));
        self.block(false);
        self.variables.truncate(known);
        (self.varargs, self.labels) = (varargs, labels);
    }

    pub(super) fn statement(&mut self) {
        if self.room == 0 {
            return;
        }
        self.room -= 1;
        match (self.depth, self.random(40)) {
            (_, kind @ 0..16) | (3.., kind) => self.simple(kind % 16),
            (_, kind) => self.compound(kind),
        }
    }

    /// One without blocks.
    fn simple(&mut self, kind: usize) {
        match kind {
            0..=2 => {
                let (value, name) = (self.expression(2), self.new_name());
                self.line(&format!("local {name} = {value}"));
                self.variables.push(name);
            }
            3 | 4 => {
                let (name, value) = (self.variable(), self.expression(2));
                self.line(&format!("{name} = {value}"));
            }
            5 => {
                let (name, value) = (
                    self.one_of(&["shared", "text"]).to_owned(),
                    self.expression(2),
                );
                self.line(&format!("{name} = cut({value})"));
            }
            6 | 7 => {
                let (table, value) = (self.table(), self.expression(1));
                let key = self.one_of(&["x", "y", "z"]);
                self.line(&format!(";({table}).{key} = {value}"));
            }
            8 => {
                let (table, key, value) = (self.table(), self.expression(1), self.expression(2));
                self.line(&format!(";({table})[{key}] = {value}"));
            }
            9 => self.leave(),
            10 => {
                let (a, b) = (self.variable(), self.variable());
                let (value, other) = (self.expression(1), self.atom());
                let text = match self.random(4) {
                    0 => format!("{a}, {b} = {b}, {a}"),
                    1 => format!("{a}, {b} = {value}"),
                    2 => format!("{a}, {b} = counted({value}, {other})"),
                    _ => format!("{a}, {b} = {value}, {other}, turn()"),
                };
                self.line(&text);
            }
            11 => {
                let (table, value) = (self.table(), self.atom());
                let name = self.new_name();
                self.line(&format!(
                    "local {name} = {table}\n{name}.x = {value}\n{name}.z = {name}.x"
                ));
                self.variables.push(name);
            }
            12 => {
                let (value, name) = (self.expression(1), self.variable());
                self.line(&format!(
                    "if coroutine.isyieldable() then {name} = coroutine.yield({value}, 'out') end"
                ));
            }
            13 => {
                let (condition, value) = (self.condition(), self.expression(1));
                let level = self.one_of(&["", ", 0", ", 2"]);
                self.line(&format!("if {condition} then error({value}{level}) end"));
            }
            14 => {
                let kind = self.one_of(&["closer", "odd_closer"]).to_owned();
                let (name, number) = (self.new_name(), self.random(9));
                let value = match self.random(6) {
                    0 => self.atom(),
                    1 => "nil".to_owned(),
                    _ => format!("{kind}({number})"),
                };
                self.line(&format!("local {name} <close> = {value}"));
            }
            _ => {
                let (value, name) = (self.expression(2), self.variable());
                self.line(&format!("note({name}, {value})"));
            }
        }
    }

    /// Leaves a loop, a function, or goes on with the loop's next turn.
    fn leave(&mut self) {
        let condition = self.condition();
        let value = self.expression(1);
        let way = match (self.random(4), self.labels.last()) {
            (0, Some(label)) => format!("goto {label}"),
            (1 | 2, _) if self.in_loop => "break".to_owned(),
            (3, _) => "return".to_owned(),
            _ => format!("return {value}"),
        };
        self.line(&format!("if {condition} then {way} end"));
    }

    fn compound(&mut self, kind: usize) {
        match kind {
            16..=18 => {
                let condition = self.condition();
                self.line(&format!("if {condition} then"));
                self.block(self.in_loop);
                if self.one_in(2) {
                    self.line("else");
                    self.block(self.in_loop);
                }
                self.line("end");
            }
            19..=22 => {
                let (name, range) = (self.new_name(), self.one_of(&RANGES).to_owned());
                self.line(&format!("for {name} = {range} do turn()"));
                self.variables.push(name);
                self.loop_block();
                self.variables.pop();
                self.line("end");
            }
            23 | 24 => self.loop_of_an_iterator(),
            25 => {
                let condition = self.condition();
                self.line(&format!("while {condition} do turn()"));
                self.loop_block();
                self.line("end");
            }
            26 => {
                let condition = self.condition();
                self.line("repeat turn()");
                self.block(true);
                self.line(&format!("until {condition}"));
            }
            27 => self.closures_of_a_loop(),
            28 | 29 => self.protected(),
            30 | 31 => self.recursion(),
            32 | 33 => self.coroutine(),
            34 => self.upvalues(),
            35 => {
                self.line("do");
                self.simple(14);
                self.block(self.in_loop);
                self.line("end");
            }
            36 => {
                let name = self.new_name();
                self.line(&format!(
                    "do local {name} = 0\n::{name}::\n{name} = {name} + 1 turn()"
                ));
                self.block(false);
                self.line(&format!("if {name} < 3 then goto {name} end end"));
            }
            37 => self.shapes_of_a_loop(),
            38 => {
                let (a, b, c) = (self.number(), self.number(), self.atom());
                self.line(&format!(
                    "note(show(sort({{ {a}, {b}, {c}, 1 }}, function(p, q) turn()"
                ));
                self.function_block(&["p", "q"]);
                self.line("return p < q end)[1]))");
            }
            _ => {
                let (name, number) = (self.variable(), self.random(9));
                self.line(&format!(
                    "garbage({number})\n{name} = {{ {name}, garbage('held{number}') }}"
                ));
            }
        }
    }

    fn loop_of_an_iterator(&mut self) {
        let (key, value) = (self.new_name(), self.new_name());
        let (table, number) = (self.table(), self.random(4));
        let iterator = match self.random(6) {
            0 => format!("ipairs({table})"),
            // In which order `pairs` has them is up to addresses, but of these.
            1 => "pairs({ 3, 4, 'five' })".to_owned(),
            2 => format!("upto({number})"),
            3 => format!("resting({number})"),
            4 => format!("next, {{ {}, 2 }}", self.atom()),
            _ => format!("upto({number}), nil, 0, closer('loop')"),
        };
        self.line(&format!("for {key}, {value} in {iterator} do turn()"));
        self.variables.extend([key, value]);
        self.loop_block();
        self.variables.truncate(self.variables.len() - 2);
        self.line("end");
    }

    /// Each turn's variables are its own, however long functions have them.
    fn closures_of_a_loop(&mut self) {
        let (list, name, kept) = (self.new_name(), self.new_name(), self.new_name());
        let value = self.expression(1);
        let way = self.one_of(&["for", "while"]);
        match way {
            "for" => self.line(&format!("local {list} = {{}}\nfor {name} = 1, 3 do turn() local {kept} = {value}")),
            _ => self.line(&format!("local {list}, {name} = {{}}, 0\nwhile {name} < 3 do turn() {name} = {name} + 1 local {kept} = {name}")),
        }
        self.line(&format!("{list}[#{list} + 1] = function(d)"));
        self.variables.extend([name, kept.clone()]);
        self.function_block(&["d"]);
        self.variables.truncate(self.variables.len() - 2);
        let changed = self.one_of(&["d", "1", "2.5"]);
        self.line(&format!("{kept} = {changed} return {kept}, d end"));
        if self.one_in(2) {
            let condition = self.condition();
            self.line(&format!("if {condition} then break end"));
        }
        self.line("end");
        self.line(&format!(
            "for i = 1, #{list} do note(pcall({list}[i], i)) note(pcall({list}[i], a)) end"
        ));
        self.variables.push(list);
    }

    /// Errors, caught in the function itself.
    fn protected(&mut self) {
        let (ok, message) = (self.new_name(), self.new_name());
        let way = self
            .one_of(&["pcall(", "xpcall(", "pcall(pass, ", "pcall(pcall, "])
            .to_owned();
        self.line(&format!("local {ok}, {message} = {way}function(p)"));
        self.function_block(&["p"]);
        let (value, argument) = (self.inner(1), self.atom());
        let handler = if way == "xpcall(" { ", show" } else { "" };
        self.line(&format!("return {value} end{handler}, {argument})"));
        self.variables.extend([ok, message]);
    }

    fn recursion(&mut self) {
        let (name, number) = (self.new_name(), self.random(30));
        self.line(&format!("local function {name}(n, p, ...)"));
        self.line("if turn() < 1 or n <= 0 then return p, ... end");
        self.function_block(&["n", "p"]);
        let (value, value_of_one) = (self.atom(), self.variable());
        let call = match self.random(6) {
            0 | 1 => format!("return {name}(n - 1, {value}, ...)"),
            2 => format!("return 1 + {name}(n - 1, p)"),
            3 => format!("local q = {name}(n - 1, p, n) return q, ..."),
            4 => format!("return select(2, pcall({name}, n - 1, p, ...))"),
            _ => format!("return {name}(n - 1, {name}(n - 3, p))"),
        };
        self.line(&format!("{call}\nend"));
        self.line(&format!("note({name}({number}, {value_of_one}, 1))"));
        self.variables.push(name);
    }

    fn coroutine(&mut self) {
        let (name, value) = (self.new_name(), self.inner(1));
        let first = self.variable();
        match self.random(3) {
            0 => {
                self.line(&format!("for {name} in coroutine.wrap(function(p)"));
                self.function_block(&["p"]);
                self.line(&format!(
                    "coroutine.yield({value}) coroutine.yield({first}) end) do turn()"
                ));
                self.variables.push(name);
                self.loop_block();
                self.variables.pop();
                self.line("end");
            }
            kind => {
                self.line(&format!("local {name} = coroutine.create(function(p, q)"));
                self.line(&format!("q = coroutine.yield({value})"));
                self.function_block(&["p", "q"]);
                self.line("return q, p end)");
                self.line(&format!("note(coroutine.resume({name}, {first}))"));
                if kind == 1 {
                    let more = self.atom();
                    self.line(&format!(
                        "note(coroutine.resume({name}, {more}))\nnote(coroutine.status({name}))"
                    ));
                }
                self.line(&format!("note(coroutine.close({name}))"));
            }
        }
    }

    /// Variables that several functions have, two deep, also after their block.
    fn upvalues(&mut self) {
        let (get, set, name) = (self.new_name(), self.new_name(), self.new_name());
        let value = self.expression(1);
        self.line(&format!("local {get}, {set}\ndo local {name} = {value}"));
        self.line(&format!("{get} = function() return {name} end"));
        self.line(&format!("{set} = function(p) return function(q)"));
        self.variables.push(name.clone());
        self.function_block(&["p", "q"]);
        let changed = self.inner(1);
        self.line(&format!("{name} = {changed} return {name} end end"));
        self.block(self.in_loop);
        self.variables.pop();
        self.line("end");
        let argument = self.atom();
        self.line(&format!(
            "note({get}(), pcall({set}({argument}), 1))\nnote({get}())"
        ));
        self.variables.extend([get, set]);
    }

    /// Things of several shapes at the same places.
    fn shapes_of_a_loop(&mut self) {
        let (name, number) = (self.new_name(), self.new_name());
        let value = self.atom();
        let first = self.random(8);
        self.line(&format!(
            "for {number} = {first}, {} do turn() local {name} = shape({number})",
            first + 3
        ));
        let use_of = match self.random(5) {
            0 => format!("{name}.x = {value} note({name}.x, {name}.y)"),
            1 => format!("{name}.z = {name}.x note({name}.z) {name}.x = nil note({name}.x)"),
            2 => format!("note(pcall({name}.get, {name}, {number}))"),
            3 => format!(
                "note({name}.x, rawget({name}, 'x'), #{name}) {name}[{number}] = {value} note({name}[1], #{name})"
            ),
            _ => format!("note(pcall(function() return {name}:put({value}):get(1) end))"),
        };
        self.line(&use_of);
        self.variables.extend([name, number]);
        self.loop_block();
        self.variables.truncate(self.variables.len() - 2);
        self.line("end");
    }
}
