//! Random functions: arithmetic, comparisons, loops, tables, calls, closures, on values of all types.

use std::fmt::Write;

/// Writes programs. All is decided by the seed.
pub(super) struct Generator {
    seed: u64,
    /// Variables that may be read, the innermost last.
    variables: Vec<String>,
    /// How many names were given.
    names: usize,
    /// How deeply blocks are nested.
    depth: usize,
    /// How many functions there are before the one that is written, to be called.
    before: usize,
    /// Whether there is a loop around.
    in_loop: bool,
    text: String,
}

/// What comes before the functions. `note` writes a line of the log.
const PRELUDE: &str = r#"
local log, left = {}, 0
local function show(v)
  if math.type(v) == "float" then return v ~= v and "nan" or string.format("%.14g", v) .. "f" end
  if type(v) == "number" or type(v) == "string" or type(v) == "boolean" or v == nil then return tostring(v) end
  return type(v)
end
local function note(...)
  local line = table.pack(...)
  for i = 1, line.n do line[i] = show(line[i]) end
  log[#log + 1] = table.concat(line, " ")
end
-- No loop goes on for long, in all of what is called.
local function turn() left = left - 1 if left < 0 then error("enough", 0) end end
local function cut(s) return type(s) == "string" and s:sub(1, 40) or s end
local meta = {}
for _, name in ipairs { "add", "sub", "mul", "div", "mod", "pow", "idiv", "band", "bor", "bxor", "shl", "shr", "concat" } do
  meta["__" .. name] = function(a, b) return name .. show(a) .. show(b) end
end
meta.__unm = function() return 1.5 end
meta.__len = function() return 3 end
meta.__lt = function(a, b) return type(a) == "table" end
meta.__le = function(a, b) return type(b) == "table" end
meta.__eq = function() return true end
meta.__index = function(t, k) return k == "x" and 7 or nil end
meta.__call = function(_, a, b) return b, a end
local function object() return setmetatable({ 1, 2.5, "3" }, meta) end
local base = { x = 1, y = "y", get = function(self, n) return (self.z or 0) + n end }
base.__index = base
local function child() return setmetatable({ z = 2 }, base) end
local shared, text = 0, "s"
local f = {}
"#;

/// What the functions are called with.
const RUN: &str = r#"
local values = { 0, 1, -1, 3, 1.0, -0.5, 2.5, 1e15, math.maxinteger, math.mininteger, "4", "x", "2.5",
  true, false, {}, object, child }
local function value(n)
  local v = values[n % (#values + 1) + 1]
  if v == object or v == child then return v() end
  return type(v) == "table" and { 5, 6, 7, x = 8 } or v
end
for n = 1, #f do
  for k = 0, 11 do
    left = 200
    note(n, k, pcall(f[n], value(n + k), value(n * 3 + k * 5), value(n * 7 + k * 2)))
    left = 200
    local co = coroutine.wrap(function() return "through", f[n](value(n + k), value(k), value(n)) end)
    note(n, k, pcall(co))
  end
end
note(shared, text)
return table.concat(log, "\n")
"#;

impl Generator {
    /// A program of so many functions.
    pub(super) fn program(seed: u64, functions: usize) -> String {
        let mut generator = Generator {
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6d6f_6f6e,
            variables: Vec::new(),
            names: 0,
            depth: 0,
            before: 0,
            in_loop: false,
            text: PRELUDE.to_owned(),
        };
        for before in 0..functions {
            generator.before = before;
            generator.variables.clear();
            generator.names = 0;
            generator
                .variables
                .extend(["a", "b", "c"].map(str::to_owned));
            let rest = generator.one_in(4);
            generator.put(match rest {
                true => "f[#f + 1] = function(a, b, c, ...)\n",
                false => "f[#f + 1] = function(a, b, c)\n",
            });
            if rest {
                generator.put("local v, w = ...\nlocal count = select('#', ...)\n");
                generator
                    .variables
                    .extend(["v", "count"].map(str::to_owned));
            }
            for _ in 0..generator.random(7) + 2 {
                generator.statement();
            }
            generator.put("return ");
            for n in 0..=generator.random(3) {
                if n > 0 {
                    generator.put(", ");
                }
                generator.expression(2);
            }
            generator.put("\nend\n");
        }
        generator.put(RUN);
        generator.text
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % below
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random(count) == 0
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.random(texts.len())]
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn variable(&mut self) -> String {
        let number = self.random(self.variables.len());
        self.variables[number].clone()
    }

    fn new_variable(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// Statements in a block of their own.
    fn block(&mut self, in_loop: bool) {
        let (known, outer) = (self.variables.len(), self.in_loop);
        self.depth += 1;
        self.in_loop = in_loop;
        for _ in 0..=self.random(3) {
            self.statement();
        }
        self.variables.truncate(known);
        self.depth -= 1;
        self.in_loop = outer;
    }

    fn statement(&mut self) {
        let kinds = match self.depth {
            0..=2 => 17,
            // Nothing with blocks.
            _ => 9,
        };
        match self.random(kinds) {
            0..=2 => {
                // There may be 200 variables.
                if self.variables.len() > 40 {
                    return;
                }
                let name = self.new_variable();
                let _ = write!(self.text, "local {name} = ");
                self.expression(3);
                self.put("\n");
                self.variables.push(name);
            }
            3 | 4 => {
                let name = self.variable();
                let _ = write!(self.text, "{name} = ");
                self.expression(3);
                self.put("\n");
            }
            5 => {
                self.put("shared = ");
                self.expression(2);
                self.put("\n");
            }
            6 => {
                let table = self.table();
                let key = self.one_of(&["x", "y", "z"]);
                let _ = write!(self.text, ";({table}).{key} = ");
                self.expression(2);
                self.put("\n");
            }
            7 => {
                let table = self.table();
                let _ = write!(self.text, ";({table})[");
                self.expression(1);
                self.put("] = ");
                self.expression(2);
                self.put("\n");
            }
            8 => match self.in_loop && self.one_in(3) {
                true => {
                    self.put("if ");
                    self.condition();
                    self.put(" then break end\n");
                }
                false => {
                    let name = self.variable();
                    let _ = writeln!(self.text, "note({name}, text)");
                }
            },
            9 | 10 => {
                self.put("if ");
                self.condition();
                self.put(" then\n");
                self.block(self.in_loop);
                if self.one_in(2) {
                    self.put("else\n");
                    self.block(self.in_loop);
                }
                self.put("end\n");
            }
            11 | 12 => {
                let name = self.new_variable();
                let _ = write!(self.text, "for {name} = ");
                let simple = !self.one_in(4);
                for n in 0..2 {
                    if n > 0 {
                        self.put(", ");
                    }
                    match simple {
                        true => {
                            let number = self.random(9);
                            let _ = write!(self.text, "{number}");
                        }
                        false => self.expression(1),
                    }
                }
                match self.random(4) {
                    0 => self.put(", 2"),
                    1 => self.put(", -1"),
                    2 if self.one_in(3) => self.put(", 0.5"),
                    _ => {}
                }
                self.put(" do turn()\n");
                self.variables.push(name);
                self.block(true);
                self.variables.pop();
                self.put("end\n");
            }
            13 => {
                let (key, value) = (self.new_variable(), self.new_variable());
                let way = self.one_of(&["ipairs", "pairs"]);
                let table = self.table();
                let _ = writeln!(self.text, "for {key}, {value} in {way}({table}) do turn()");
                // In which order `pairs` has them is up to addresses, but of numbers.
                if way == "ipairs" {
                    self.variables.extend([key, value]);
                    self.block(true);
                    self.variables.truncate(self.variables.len() - 2);
                }
                self.put("end\n");
            }
            14 => {
                self.put("while ");
                self.condition();
                self.put(" do turn()\n");
                self.block(true);
                self.put("end\n");
            }
            15 => {
                self.put("do local g = function(p, q)\n");
                let known = self.variables.len();
                self.variables.extend(["p", "q"].map(str::to_owned));
                self.block(false);
                self.put("return ");
                self.expression(2);
                self.variables.truncate(known);
                self.put(" end\n");
                let name = self.variable();
                let call = self.one_of(&["g(", "select(2, pcall(g, "]);
                let _ = write!(self.text, "{name} = {call}");
                self.expression(1);
                self.put(", ");
                self.expression(1);
                self.put(if call == "g(" { ")" } else { "))" });
                self.put(" end\n");
            }
            _ => {
                let label = self.new_variable();
                let _ = writeln!(self.text, "do local n = 0\n::{label}::\nn = n + 1 turn()");
                self.block(false);
                let _ = writeln!(self.text, "if n < 3 then goto {label} end end");
            }
        }
    }

    /// What is a table, most often.
    fn table(&mut self) -> String {
        match self.random(5) {
            0 => "object()".to_owned(),
            1 => "child()".to_owned(),
            2 => "{ 1, 2, 3, x = 4 }".to_owned(),
            _ => self.variable(),
        }
    }

    fn condition(&mut self) {
        match self.random(4) {
            0 => {
                self.put("not ");
                self.atom();
            }
            1 => self.atom(),
            _ => {
                self.atom();
                let operator = self.one_of(&["<", "<=", ">", ">=", "==", "~="]);
                let _ = write!(self.text, " {operator} ");
                self.atom();
            }
        }
    }

    fn expression(&mut self, depth: usize) {
        if depth == 0 {
            return self.atom();
        }
        match self.random(12) {
            0 | 1 => self.atom(),
            2..=5 => {
                let operator = self.one_of(&[
                    "+", "-", "*", "/", "//", "%", "+", "-", "*", "&", "|", "~", "<<", ">>", "..",
                ]);
                // Texts stay short, also in a loop.
                self.put(if operator == ".." { "cut(" } else { "(" });
                self.expression(depth - 1);
                let _ = write!(self.text, " {operator} ");
                self.expression(depth - 1);
                self.put(")");
            }
            6 => {
                let operator = self.one_of(&["-", "not ", "#", "~"]);
                let _ = write!(self.text, "({operator}");
                self.expression(depth - 1);
                self.put(")");
            }
            7 => {
                self.put("(");
                self.condition();
                self.put(" and ");
                self.expression(depth - 1);
                self.put(" or ");
                self.expression(depth - 1);
                self.put(")");
            }
            8 => {
                let table = self.table();
                let key = self.one_of(&["x", "y", "z"]);
                let _ = write!(self.text, "({table}).{key}");
            }
            9 => {
                let table = self.table();
                let _ = write!(self.text, "({table})[");
                self.expression(depth - 1);
                self.put("]");
            }
            10 if self.before > 0 => {
                let number = self.random(self.before) + 1;
                let _ = write!(self.text, "(f[{number}](");
                self.expression(depth - 1);
                self.put(", ");
                self.expression(depth - 1);
                self.put("))");
            }
            11 => {
                let table = self.one_of(&["child()", "base", "('x')"]);
                let method = match table {
                    "('x')" => "rep",
                    _ => "get",
                };
                let number = self.random(4);
                let _ = write!(self.text, "{table}:{method}({number})");
            }
            _ => {
                self.put("(function(p) return p, ");
                self.atom();
                self.put(" end)(");
                self.expression(depth - 1);
                self.put(")");
            }
        }
    }

    fn atom(&mut self) {
        match self.random(8) {
            0..=4 => {
                let name = self.variable();
                self.put(&name);
            }
            5 => {
                let number = self.random(20);
                let _ = write!(self.text, "{number}");
            }
            6 => {
                let number = self.random(40);
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let number = number as f64 / 4.0;
                let _ = write!(self.text, "{number:?}");
            }
            _ => {
                let text = self.one_of(&[
                    "nil",
                    "true",
                    "false",
                    "'4'",
                    "'x'",
                    "shared",
                    "math.maxinteger",
                    "0x7fff",
                ]);
                self.put(text);
            }
        }
    }
}
