//! Expressions and templates written anew, with calls of [`strict`](super::strict) in place of what
//! the engine would take too lightly.
//!
//! The parser is minijinja's own, so that the language stays the same; its syntax tree is an
//! unstable part of the crate's interface, which the lock file pins. What comes out is longer than
//! what went in by a constant factor: nothing is written twice.

use std::fmt::Write as _;

use minijinja::Error;
use minijinja::machinery::ast::{CallArg, Expr, Macro, Stmt, UnaryOpKind};
use minijinja::machinery::{parse, parse_expr};
use minijinja::value::{Value, ValueKind};

use super::engine::syntax;
use super::known::{comparison, know_filter, know_function, know_test, operator, unsupported};
use super::strict::{ADMIT, COMPARE, KEEP, KEPT, REPEATED};

/// An expression, written anew.
///
/// # Errors
/// If it doesn't parse, or names a filter, a test or a function that there isn't.
pub(crate) fn expression(source: &str) -> Result<String, Error> {
    let mut writer = Writer::new(source, Names::Known);
    writer.expr(&parse_expr(source)?)?;
    Ok(writer.out)
}

/// A template, written anew.
///
/// # Errors
/// If it doesn't parse, or names a filter or a test that there isn't.
pub(crate) fn template(source: &str) -> Result<String, Error> {
    // A template may give names of its own to what can be called.
    let mut writer = Writer::new(source, Names::Open);
    writer.stmt(&parse(source, "template", syntax())?)?;
    Ok(writer.out)
}

/// Whether all functions are known before anything is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Known,
    Open,
}

/// Writes an expression with parentheses wherever there is a choice.
struct Writer {
    out: String,
    names: Names,
    /// Values that are kept to be used once more.
    kept: usize,
}

impl Writer {
    fn new(source: &str, names: Names) -> Writer {
        Writer {
            out: String::with_capacity(source.len() * 2),
            names,
            kept: 0,
        }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn stmts(&mut self, stmts: &[Stmt<'_>]) -> Result<(), Error> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt<'_>) -> Result<(), Error> {
        match stmt {
            Stmt::Template(template) => self.stmts(&template.children)?,
            Stmt::EmitExpr(emit) => {
                self.push("{{ ");
                self.expr(&emit.expr)?;
                self.push(" }}");
            }
            Stmt::EmitRaw(raw) => {
                self.push("{{ ");
                self.text(raw.raw);
                self.push(" }}");
            }
            Stmt::ForLoop(each) => {
                self.push("{% for ");
                self.target(&each.target)?;
                self.push(" in ");
                self.admitted(&each.iter)?;
                if let Some(filter) = &each.filter_expr {
                    self.push(" if ");
                    self.expr(filter)?;
                }
                self.push(if each.recursive {
                    " recursive %}"
                } else {
                    " %}"
                });
                self.stmts(&each.body)?;
                if !each.else_body.is_empty() {
                    self.push("{% else %}");
                    self.stmts(&each.else_body)?;
                }
                self.push("{% endfor %}");
            }
            Stmt::IfCond(choice) => {
                self.push("{% if ");
                self.expr(&choice.expr)?;
                self.push(" %}");
                self.stmts(&choice.true_body)?;
                if !choice.false_body.is_empty() {
                    self.push("{% else %}");
                    self.stmts(&choice.false_body)?;
                }
                self.push("{% endif %}");
            }
            Stmt::WithBlock(with) => {
                self.push("{% with ");
                for (index, (target, value)) in with.assignments.iter().enumerate() {
                    if index > 0 {
                        self.push(", ");
                    }
                    self.target(target)?;
                    self.push(" = ");
                    self.admitted(value)?;
                }
                self.block(" %}", &with.body, "{% endwith %}")?;
            }
            Stmt::Set(set) => {
                self.push("{% set ");
                self.target(&set.target)?;
                self.push(" = ");
                self.admitted(&set.expr)?;
                self.push(" %}");
            }
            Stmt::SetBlock(set) => {
                self.push("{% set ");
                self.target(&set.target)?;
                if let Some(filter) = &set.filter {
                    self.push(" | ");
                    self.filters(filter)?;
                }
                self.block(" %}", &set.body, "{% endset %}")?;
            }
            Stmt::AutoEscape(escape) => {
                self.push("{% autoescape ");
                self.expr(&escape.enabled)?;
                self.block(" %}", &escape.body, "{% endautoescape %}")?;
            }
            Stmt::FilterBlock(block) => {
                self.push("{% filter ");
                self.filters(&block.filter)?;
                self.block(" %}", &block.body, "{% endfilter %}")?;
            }
            Stmt::Macro(declared) => {
                let _ = write!(self.out, "{{% macro {}", declared.name);
                self.parameters(declared)?;
                self.macro_body(declared)?;
                self.push("{% endmacro %}");
            }
            Stmt::CallBlock(block) => {
                self.push("{% call");
                self.parameters(&block.macro_decl)?;
                self.push(" ");
                self.expr(&block.call.expr)?;
                self.arguments(&block.call.args)?;
                self.push(" %}");
                self.macro_body(&block.macro_decl)?;
                self.push("{% endcall %}");
            }
            Stmt::Do(call) => {
                self.push("{% do ");
                self.expr(&call.call.expr)?;
                self.arguments(&call.call.args)?;
                self.push(" %}");
            }
            #[allow(
                unreachable_patterns,
                reason = "there are more where features are switched on"
            )]
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    fn block(&mut self, open: &str, body: &[Stmt<'_>], close: &str) -> Result<(), Error> {
        self.push(open);
        self.stmts(body)?;
        self.push(close);
        Ok(())
    }

    /// The parameters of a macro, and the values of those that needn't be given: the last ones.
    fn parameters(&mut self, declared: &Macro<'_>) -> Result<(), Error> {
        self.push("(");
        let needed = declared.args.len() - declared.defaults.len().min(declared.args.len());
        for (index, arg) in declared.args.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.target(arg)?;
            if let Some(default) = index.checked_sub(needed) {
                self.push("=");
                self.expr(&declared.defaults[default])?;
            }
        }
        self.push(")");
        Ok(())
    }

    fn macro_body(&mut self, declared: &Macro<'_>) -> Result<(), Error> {
        if self.out.ends_with(')') {
            self.push(" %}");
        }
        for arg in &declared.args {
            if let Expr::Var(arg) = arg {
                let _ = write!(self.out, "{{% set {0} = {ADMIT}({0}) %}}", arg.id);
            }
        }
        self.stmts(&declared.body)
    }

    /// What a value is given a name by.
    fn target(&mut self, target: &Expr<'_>) -> Result<(), Error> {
        let items = match target {
            Expr::List(list) => &list.items,
            Expr::Tuple(tuple) => &tuple.items,
            _ => return self.expr(target),
        };
        self.push("(");
        for item in items {
            self.target(item)?;
            self.push(", ");
        }
        self.push(")");
        Ok(())
    }

    /// A value that is given a name: with one it can be used many times over.
    fn admitted(&mut self, value: &Expr<'_>) -> Result<(), Error> {
        let _ = write!(self.out, "{ADMIT}(");
        self.expr(value)?;
        self.push(")");
        Ok(())
    }

    /// Filters without what they are applied to.
    fn filters(&mut self, chain: &Expr<'_>) -> Result<(), Error> {
        let Expr::Filter(filter) = chain else {
            return Err(unsupported());
        };
        know_filter(filter.name)?;
        if let Some(before) = &filter.expr {
            self.filters(before)?;
            self.push(" | ");
        }
        self.push(filter.name);
        self.arguments(&filter.args)
    }

    fn expr(&mut self, expr: &Expr<'_>) -> Result<(), Error> {
        match expr {
            Expr::Var(var) => self.push(var.id),
            Expr::Const(constant) => self.literal(&constant.value)?,
            Expr::UnaryOp(unary) => {
                self.push(match unary.op {
                    UnaryOpKind::Not => "(not ",
                    UnaryOpKind::Neg => "(-",
                });
                self.expr(&unary.expr)?;
                self.push(")");
            }
            Expr::BinOp(binary) => match operator(binary.op) {
                Ok(comparison) => {
                    let right = |writer: &mut Writer| writer.expr(&binary.right);
                    self.comparison(comparison, |writer| writer.expr(&binary.left), right)?;
                }
                Err("*") => self.repetition(&binary.left, &binary.right)?,
                Err(infix) => {
                    let right = |writer: &mut Writer| writer.expr(&binary.right);
                    self.infix(infix, |writer| writer.expr(&binary.left), right)?;
                }
            },
            Expr::Compare(chain) => {
                // `a < b < c` means `a < b and b < c`, and `b` is evaluated once.
                self.push("(");
                let mut before: Option<usize> = None;
                for (index, op) in chain.ops.iter().enumerate() {
                    if index > 0 {
                        self.push(" and ");
                    }
                    let keep = (index + 1 < chain.ops.len()).then(|| self.slot());
                    let left = |writer: &mut Writer| match before {
                        Some(slot) => writer.kept(slot),
                        None => writer.expr(&chain.expr),
                    };
                    let right = |writer: &mut Writer| match keep {
                        Some(slot) => writer.keep(slot, &op.expr),
                        None => writer.expr(&op.expr),
                    };
                    match comparison(op.op) {
                        Ok(comparison) => self.comparison(comparison, left, right)?,
                        Err(infix) => self.infix(infix, left, right)?,
                    }
                    before = keep;
                }
                self.push(")");
            }
            Expr::IfExpr(choice) => {
                self.push("(");
                self.expr(&choice.true_expr)?;
                self.push(" if ");
                self.expr(&choice.test_expr)?;
                if let Some(otherwise) = &choice.false_expr {
                    self.push(" else ");
                    self.expr(otherwise)?;
                }
                self.push(")");
            }
            Expr::Filter(filter) => {
                let Some(expr) = &filter.expr else {
                    return Err(unsupported());
                };
                know_filter(filter.name)?;
                self.push("(");
                self.expr(expr)?;
                let _ = write!(self.out, " | {}", filter.name);
                self.arguments(&filter.args)?;
                self.push(")");
            }
            Expr::Test(test) => {
                know_test(test.name)?;
                self.push("(");
                self.expr(&test.expr)?;
                let _ = write!(self.out, " is {}", test.name);
                if !test.args.is_empty() {
                    self.arguments(&test.args)?;
                }
                self.push(")");
            }
            Expr::GetAttr(attribute) => {
                self.expr(&attribute.expr)?;
                let _ = write!(self.out, ".{}", attribute.name);
            }
            Expr::GetItem(item) => {
                self.expr(&item.expr)?;
                self.push("[");
                self.expr(&item.subscript_expr)?;
                self.push("]");
            }
            Expr::Slice(slice) => {
                self.expr(&slice.expr)?;
                self.push("[");
                let bounds = [&slice.start, &slice.stop, &slice.step];
                for (index, bound) in bounds.into_iter().enumerate() {
                    if index > 0 {
                        self.push(":");
                    }
                    if let Some(bound) = bound {
                        self.expr(bound)?;
                    }
                }
                self.push("]");
            }
            Expr::Call(call) => {
                if let Expr::Var(function) = &call.expr
                    && self.names == Names::Known
                {
                    know_function(function.id)?;
                }
                self.expr(&call.expr)?;
                self.arguments(&call.args)?;
            }
            Expr::List(list) => self.sequence(&list.items)?,
            Expr::Tuple(tuple) => self.sequence(&tuple.items)?,
            Expr::Map(map) => {
                self.push("{");
                for (key, value) in map.keys.iter().zip(&map.values) {
                    self.expr(key)?;
                    self.push(": ");
                    self.expr(value)?;
                    self.push(", ");
                }
                self.push("}");
            }
        }
        Ok(())
    }

    /// A place for a value that is used once more.
    fn slot(&mut self) -> usize {
        self.kept += 1;
        self.kept
    }

    fn keep(&mut self, slot: usize, value: &Expr<'_>) -> Result<(), Error> {
        let _ = write!(self.out, "{KEEP}({slot}, ");
        self.expr(value)?;
        self.push(")");
        Ok(())
    }

    fn kept(&mut self, slot: usize) -> Result<(), Error> {
        let _ = write!(self.out, "{KEPT}({slot})");
        Ok(())
    }

    /// `a * b`, which may repeat a list or a text.
    fn repetition(&mut self, left: &Expr<'_>, right: &Expr<'_>) -> Result<(), Error> {
        let slot = self.slot();
        self.push("(");
        self.keep(slot, left)?;
        let _ = write!(self.out, " * {REPEATED}({slot}, ");
        self.expr(right)?;
        self.push("))");
        Ok(())
    }

    fn comparison(
        &mut self,
        operator: &str,
        left: impl FnOnce(&mut Writer) -> Result<(), Error>,
        right: impl FnOnce(&mut Writer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _ = write!(self.out, "{COMPARE}(\"{operator}\", ");
        left(self)?;
        self.push(", ");
        right(self)?;
        self.push(")");
        Ok(())
    }

    fn infix(
        &mut self,
        operator: &str,
        left: impl FnOnce(&mut Writer) -> Result<(), Error>,
        right: impl FnOnce(&mut Writer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.push("(");
        left(self)?;
        let _ = write!(self.out, " {operator} ");
        right(self)?;
        self.push(")");
        Ok(())
    }

    fn sequence(&mut self, items: &[Expr<'_>]) -> Result<(), Error> {
        self.push("[");
        for item in items {
            self.expr(item)?;
            self.push(", ");
        }
        self.push("]");
        Ok(())
    }

    fn arguments(&mut self, args: &[CallArg<'_>]) -> Result<(), Error> {
        self.push("(");
        for arg in args {
            let expr = match arg {
                CallArg::Pos(expr) => expr,
                CallArg::Kwarg(name, expr) => {
                    let _ = write!(self.out, "{name}=");
                    expr
                }
                CallArg::PosSplat(expr) => {
                    self.push("*");
                    expr
                }
                CallArg::KwargSplat(expr) => {
                    self.push("**");
                    expr
                }
            };
            self.expr(expr)?;
            self.push(", ");
        }
        self.push(")");
        Ok(())
    }

    fn literal(&mut self, value: &Value) -> Result<(), Error> {
        match (value.kind(), value.as_str()) {
            (_, Some(text)) => self.text(text),
            (ValueKind::Number | ValueKind::Bool | ValueKind::None, None) => {
                let _ = write!(self.out, "{value}");
            }
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    /// Text in quotes: Jinja reads the escapes of JSON.
    fn text(&mut self, text: &str) {
        let _ = write!(self.out, "{}", serde_json::Value::from(text));
    }
}
