//! Random programs: many small functions in one chunk, on values of all types. Each is run several times, on its own, in
//! coroutines and from C functions, and writes what came of it to a log.
//!
//! Compiling is what takes time, so functions are small and share all else: the chunk, the pool, the instance.

mod expressions;
mod statements;

use std::fmt::Write;

/// What programs work with: to be run before a chunk of them.
pub(super) const PRELUDE: &str = concat!(include_str!("prelude.lua"), include_str!("run.lua"));

/// Writes programs. All is decided by the seed.
pub(super) struct Generator {
    seed: u64,
    /// Variables that may be read, the innermost last.
    variables: Vec<String>,
    /// How many of them, from the first on, may not be assigned to.
    names: usize,
    /// How deeply blocks are nested.
    depth: usize,
    /// How many programs there are before the one that is written, to be called.
    before: usize,
    /// Whether there is a loop around, in the same function.
    in_loop: bool,
    /// Whether the function has a variable number of arguments.
    varargs: bool,
    /// Labels that a `goto` may lead to: those at the end of loops around.
    labels: Vec<String>,
    /// Statements that may still be written.
    room: usize,
    text: String,
}

impl Generator {
    /// A chunk of so many programs, each run so many times. It gives the log.
    pub(super) fn chunk(seed: u64, programs: usize, times: usize) -> String {
        let text = Generator::programs(seed, programs);
        format!(
            "{text}for n = 1, {programs} do run(n, f[n], {times}) end\nnote(shared, text)\nreturn table.concat(log, '\\n')\n"
        )
    }

    /// The programs alone, as elements of a table `f`.
    pub(super) fn programs(seed: u64, programs: usize) -> String {
        let mut generator = Generator {
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6d6f_6f6e,
            variables: Vec::new(),
            names: 0,
            depth: 0,
            before: 0,
            in_loop: false,
            varargs: false,
            labels: Vec::new(),
            room: 0,
            text: "local f = {}\n".to_owned(),
        };
        for before in 0..programs {
            generator.before = before;
            generator.program();
        }
        generator.text
    }

    fn program(&mut self) {
        self.names = 0;
        self.variables = ["a", "b", "c"].map(str::to_owned).into();
        self.varargs = self.one_in(4);
        // Most are small: what takes time is to compile them.
        self.room = match self.one_in(6) {
            true => 3 + self.random(5),
            false => 1 + self.random(3),
        };
        let rest = if self.varargs { ", ..." } else { "" };
        let number = self.before + 1;
        let _ = writeln!(self.text, "f[{number}] = function(a, b, c{rest})");
        for _ in 0..=self.random(self.room) {
            self.statement();
        }
        let last = self.last();
        self.line(&last);
        self.line("end");
    }

    /// How a program ends.
    fn last(&mut self) -> String {
        match self.random(8) {
            0 if self.before > 0 => {
                let (number, a, b) = (self.earlier(), self.expression(1), self.atom());
                format!("return f[{number}]({a}, {b})")
            }
            1 if self.varargs => format!("return {}, ...", self.expression(1)),
            2 => String::new(),
            3 => format!("return pass({}, {})", self.variable(), self.expression(1)),
            kind => {
                let values: Vec<_> = (0..=kind % 3).map(|_| self.expression(1)).collect();
                format!("return {}", values.join(", "))
            }
        }
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

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn variable(&mut self) -> String {
        // Those that were made last are what is interesting.
        let count = self.variables.len();
        let number = match self.one_in(2) {
            true => count - 1 - self.random(count.min(3)),
            false => self.random(count),
        };
        self.variables[number].clone()
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// The number of a program before this one.
    fn earlier(&mut self) -> usize {
        self.before - self.random(self.before.min(40))
    }
}
