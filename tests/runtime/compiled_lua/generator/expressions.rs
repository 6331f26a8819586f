//! What gives a value.

use super::Generator;

/// Numbers at the edges of what there is, and texts that are numbers or nearly.
const CONSTANTS: [&str; 36] = [
    "nil",
    "true",
    "false",
    "'4'",
    "'x'",
    "'0x10'",
    "' 2.5 '",
    "''",
    "shared",
    "text",
    "math.maxinteger",
    "math.mininteger",
    "0x7fff",
    "0x7fffffff",
    "0xffffffff",
    "1 << 53",
    "2^53",
    "1e308",
    "-0.0",
    "1e15",
    "-1",
    "-128",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "131071",
    "3.0",
    "0.1",
    "math.huge",
    "-math.huge",
    "math.pi",
    "1e100",
    "'a long text of more than forty characters, so long'",
];

/// With a number in the instruction, or a constant.
const BY_A_NUMBER: [&str; 24] = [
    "+ 1", "+ 300", "- 1", "- 128", "- 129", "* 2", "* 2.5", "/ 3", "/ 0", "// 3", "// 0.5",
    "// -7", "% 4", "% -3", "% 2.5", "^ 2", "^ 0.5", "& 7", "| 8", "~ 3", "<< 3", "<< 64", ">> 2",
    ">> -1",
];

/// What a value is compared with.
const COMPARED: [&str; 24] = [
    "< 5",
    "<= 5",
    "> 5",
    ">= -3",
    "== 5",
    "~= 5",
    "== 5.0",
    "== 'x'",
    "~= nil",
    "== true",
    "< 2.5",
    ">= 0.5",
    "> 127",
    "< -128",
    "< 128",
    "<= 1e15",
    "== 300",
    "~= 0",
    "> 'a'",
    "<= 'x'",
    "== false",
    "== 2^53",
    "< math.huge",
    "<= math.maxinteger",
];

impl Generator {
    /// What is a table, most often.
    pub(super) fn table(&mut self) -> String {
        match self.random(9) {
            0 => "object()".to_owned(),
            1 => "child()".to_owned(),
            2 => "{ 1, 2, 3, x = 4 }".to_owned(),
            3 => format!("shape({})", self.variable()),
            4 => self
                .one_of(&["base", "middle", "grandchild()", "pausing()"])
                .to_owned(),
            _ => self.variable(),
        }
    }

    pub(super) fn condition(&mut self) -> String {
        match self.random(9) {
            0 => format!("not {}", self.atom()),
            1 => self.atom(),
            2..=4 => format!("{} {}", self.atom(), self.one_of(&COMPARED)),
            5 => {
                let operator = self.one_of(&["and", "or"]);
                let (a, b) = (self.atom(), self.atom());
                format!("{a} {} {operator} {b}", self.one_of(&COMPARED))
            }
            6 => format!("{} < {}", self.number(), self.variable()),
            _ => {
                let operator = self.one_of(&["<", "<=", ">", ">=", "==", "~="]);
                format!("{} {operator} {}", self.atom(), self.atom())
            }
        }
    }

    pub(super) fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.atom();
        }
        match self.random(24) {
            0 | 1 => self.atom(),
            2..=5 => {
                let operator = self.one_of(&[
                    "+", "-", "*", "/", "//", "%", "+", "-", "*", "&", "|", "~", "<<", ">>", "^",
                ]);
                let (a, b) = (self.expression(depth - 1), self.expression(depth - 1));
                format!("({a} {operator} {b})")
            }
            6 | 7 => {
                let operator = self.one_of(&BY_A_NUMBER);
                format!("({} {operator})", self.expression(depth - 1))
            }
            8 => {
                let operator = self.one_of(&["-", "not", "#", "~"]);
                format!("({operator} {})", self.expression(depth - 1))
            }
            9 => {
                let condition = self.condition();
                let (a, b) = (self.expression(depth - 1), self.expression(depth - 1));
                format!("({condition} and {a} or {b})")
            }
            10 => format!("({})", self.condition()),
            11 => {
                let table = self.table();
                format!("({table}).{}", self.one_of(&["x", "y", "z", "w"]))
            }
            12 => {
                let (table, key) = (self.table(), self.expression(depth - 1));
                format!("({table})[{key}]")
            }
            13 => format!("({})[{}]", self.table(), self.random(4)),
            14 if self.before > 0 => {
                let number = self.earlier();
                let (a, b) = (self.expression(depth - 1), self.atom());
                format!("(f[{number}]({a}, {b}))")
            }
            15 => {
                let number = self.random(4);
                let object =
                    self.one_of(&["child()", "base", "grandchild()", "middle", "shape(a)"]);
                format!("{object}:get({number})")
            }
            // Texts stay short, also in a loop.
            16 => format!("cut({} .. {})", self.atom(), self.expression(depth - 1)),
            17 => format!(
                "cut({} .. {} .. '|' .. {})",
                self.atom(),
                self.atom(),
                self.atom()
            ),
            18 | 19 => self.text_of(depth - 1),
            20 => self.known_function(depth - 1),
            21 if self.varargs => {
                let number = self.random(5);
                match self.random(4) {
                    0 => format!("(select({number} - 1, ...))"),
                    1 => "select('#', ...)".to_owned(),
                    2 => "(...)".to_owned(),
                    _ => "#{ ... }".to_owned(),
                }
            }
            22 => {
                let (value, more) = (self.expression(depth - 1), self.atom());
                format!("(function(p, q) return p, q, {more} end)({value})")
            }
            _ => {
                let count = self.random(3);
                let values: Vec<_> = (0..count).map(|_| self.atom()).collect();
                let key = self.one_of(&["x", "y", "z"]);
                format!("{{ {key} = {}, {} }}", self.atom(), values.join(", "))
            }
        }
    }

    /// By the string library.
    fn text_of(&mut self, depth: usize) -> String {
        let text = match self.random(3) {
            0 => format!("tostring({})", self.number()),
            1 => "('some words')".to_owned(),
            _ => format!("('{}')", self.random(300)),
        };
        let number = self.random(7);
        match self.random(9) {
            0 => format!("{text}:sub({number}, -2)"),
            1 => format!("{text}:byte({number})"),
            2 => format!("#{text}"),
            3 => format!("({text}:find('%d', {number}))"),
            4 => format!("{text}:upper()"),
            5 => format!("cut({text}:rep({number}))"),
            6 => format!(
                "('%s %d'):format(show({}), {number})",
                self.expression(depth)
            ),
            7 => format!("({text}:gsub('.', {{ s = 'S', ['1'] = {} }}))", self.atom()),
            _ => format!("{text} .. {}", self.number()),
        }
    }

    /// By a function that does no more than to compute.
    fn known_function(&mut self, depth: usize) -> String {
        let value = self.expression(depth);
        match self.random(9) {
            0 => format!("math.type({value})"),
            1 => format!("tonumber({value})"),
            2 => format!("math.floor({value})"),
            3 => format!("math.max({value}, {})", self.number()),
            4 => format!("math.abs({value})"),
            5 => format!("type({value})"),
            6 => format!("rawequal({value}, {})", self.atom()),
            7 => format!(
                "rawget(shape({}), '{}')",
                self.atom(),
                self.one_of(&["x", "y"])
            ),
            _ => format!("select('#', pass(counted, {value}, nil))"),
        }
    }

    /// An expression for the inside of a function that has no variable arguments.
    pub(super) fn inner(&mut self, depth: usize) -> String {
        let varargs = std::mem::take(&mut self.varargs);
        let text = self.expression(depth);
        self.varargs = varargs;
        text
    }

    pub(super) fn number(&mut self) -> String {
        match self.one_in(2) {
            true => self.random(20).to_string(),
            #[expect(clippy::cast_precision_loss, reason = "small")]
            false => format!("{:?}", self.random(40) as f64 / 4.0),
        }
    }

    pub(super) fn atom(&mut self) -> String {
        match self.random(9) {
            0..=5 => self.variable(),
            6 | 7 => self.number(),
            _ => match self.one_of(&CONSTANTS) {
                // `x < -1 << 3` and the like are what they are anyway.
                text if text.contains(' ') && !text.contains('\'') => format!("({text})"),
                text => text.to_owned(),
            },
        }
    }
}
