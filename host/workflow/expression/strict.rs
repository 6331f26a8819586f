//! Comparisons that take no value for another.
//!
//! minijinja orders values of any two types: it finds what is missing smaller than any number,
//! and a number different from the text of it. Here every comparison with what is missing is
//! false, and one of a number with a string fails. As the engine has no setting for that, the
//! expression is parsed, and written anew with calls of a function in place of comparison
//! operators. The parser is minijinja's own, so that the language stays the same; its syntax
//! tree is an unstable part of the crate's interface, which the lock file pins.

use std::cmp::Ordering;
use std::fmt::Write as _;

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};
use minijinja::machinery::parse_expr;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::environment;

/// The function that comparisons are turned into.
const COMPARE: &str = "__compare__";

/// Tests that compare, by the names they have.
const TESTS: [(&str, &str); 18] = [
    ("eq", "=="),
    ("equalto", "=="),
    ("==", "=="),
    ("ne", "!="),
    ("!=", "!="),
    ("lt", "<"),
    ("lessthan", "<"),
    ("<", "<"),
    ("le", "<="),
    ("<=", "<="),
    ("gt", ">"),
    ("greaterthan", ">"),
    (">", ">"),
    ("ge", ">="),
    (">=", ">="),
    ("sameas", "=="),
    ("equal", "=="),
    ("not_equal", "!="),
];

/// Adds what rewritten expressions call.
pub(crate) fn install(environment: &mut Environment<'_>) {
    environment.add_function(COMPARE, |operator: &str, left: Value, right: Value| {
        compare(operator, &left, &right)
    });
    for (name, operator) in TESTS {
        environment.add_test(name, move |left: Value, right: Value| {
            compare(operator, &left, &right)
        });
    }
}

fn compare(operator: &str, left: &Value, right: &Value) -> Result<bool, Error> {
    if left.is_undefined() || right.is_undefined() {
        return Ok(false);
    }
    let refuse = || {
        let message = format!(
            "can't compare a {} with a {} by `{operator}`",
            left.kind(),
            right.kind()
        );
        Err(Error::new(ErrorKind::InvalidOperation, message))
    };
    if let (ValueKind::Number, ValueKind::String) | (ValueKind::String, ValueKind::Number) =
        (left.kind(), right.kind())
    {
        let message = format!("can't compare a number with a string by `{operator}`");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let ordering = match operator {
        "==" => return Ok(left == right),
        "!=" => return Ok(left != right),
        _ => match order(left, right) {
            Some(ordering) => ordering,
            None => return refuse(),
        },
    };
    Ok(match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

/// Which comes first, for values that have an order: two numbers or booleans, two strings, two
/// lists of such.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    use ValueKind::{Bool, Number, Seq, String};
    match (left.kind(), right.kind()) {
        (Number | Bool, Number | Bool) | (String, String) => left.partial_cmp(right),
        (Seq, Seq) => {
            let (mut lefts, mut rights) = (left.try_iter().ok()?, right.try_iter().ok()?);
            loop {
                match (lefts.next(), rights.next()) {
                    (None, None) => return Some(Ordering::Equal),
                    (None, Some(_)) => return Some(Ordering::Less),
                    (Some(_), None) => return Some(Ordering::Greater),
                    (Some(left), Some(right)) => match order(&left, &right)? {
                        Ordering::Equal => {}
                        decided => return Some(decided),
                    },
                }
            }
        }
        _ => None,
    }
}

/// The expression with calls in place of comparisons.
///
/// # Errors
/// If it doesn't parse.
pub(crate) fn rewrite(source: &str) -> Result<String, Error> {
    let mut text = String::with_capacity(source.len() * 2);
    write(&parse_expr(source)?, &mut text)?;
    Ok(text)
}

/// Writes an expression with parentheses wherever there is a choice.
fn write(expr: &Expr<'_>, out: &mut String) -> Result<(), Error> {
    match expr {
        Expr::Var(var) => out.push_str(var.id),
        Expr::Const(constant) => literal(&constant.value, out)?,
        Expr::UnaryOp(unary) => {
            out.push_str(match unary.op {
                UnaryOpKind::Not => "(not ",
                UnaryOpKind::Neg => "(-",
            });
            write(&unary.expr, out)?;
            out.push(')');
        }
        Expr::BinOp(binary) => match operator(binary.op) {
            Ok(comparison) => comparison_call(comparison, &binary.left, &binary.right, out)?,
            Err(infix) => infix_call(infix, &binary.left, &binary.right, out)?,
        },
        Expr::Compare(chain) => {
            // `a < b < c` means `a < b and b < c`; no expression has effects, so `b` may stand
            // there twice.
            let mut left = &chain.expr;
            out.push('(');
            for (index, op) in chain.ops.iter().enumerate() {
                if index > 0 {
                    out.push_str(" and ");
                }
                match comparison(op.op) {
                    Ok(comparison) => comparison_call(comparison, left, &op.expr, out)?,
                    Err(infix) => infix_call(infix, left, &op.expr, out)?,
                }
                left = &op.expr;
            }
            out.push(')');
        }
        Expr::IfExpr(choice) => {
            out.push('(');
            write(&choice.true_expr, out)?;
            out.push_str(" if ");
            write(&choice.test_expr, out)?;
            if let Some(otherwise) = &choice.false_expr {
                out.push_str(" else ");
                write(otherwise, out)?;
            }
            out.push(')');
        }
        Expr::Filter(filter) => {
            let Some(expr) = &filter.expr else {
                return Err(unsupported());
            };
            know_filter(filter.name)?;
            out.push('(');
            write(expr, out)?;
            let _ = write!(out, " | {}", filter.name);
            arguments(&filter.args, out)?;
            out.push(')');
        }
        Expr::Test(test) => {
            know_test(test.name)?;
            out.push('(');
            write(&test.expr, out)?;
            let _ = write!(out, " is {}", test.name);
            if !test.args.is_empty() {
                arguments(&test.args, out)?;
            }
            out.push(')');
        }
        Expr::GetAttr(attribute) => {
            write(&attribute.expr, out)?;
            let _ = write!(out, ".{}", attribute.name);
        }
        Expr::GetItem(item) => {
            write(&item.expr, out)?;
            out.push('[');
            write(&item.subscript_expr, out)?;
            out.push(']');
        }
        Expr::Slice(slice) => {
            write(&slice.expr, out)?;
            out.push('[');
            let bounds = [&slice.start, &slice.stop, &slice.step];
            for (index, bound) in bounds.into_iter().enumerate() {
                if index > 0 {
                    out.push(':');
                }
                if let Some(bound) = bound {
                    write(bound, out)?;
                }
            }
            out.push(']');
        }
        Expr::Call(call) => {
            if let Expr::Var(function) = &call.expr {
                know_function(function.id)?;
            }
            write(&call.expr, out)?;
            arguments(&call.args, out)?;
        }
        Expr::List(list) => sequence('[', &list.items, ']', out)?,
        Expr::Tuple(tuple) => sequence('[', &tuple.items, ']', out)?,
        Expr::Map(map) => {
            out.push('{');
            for (key, value) in map.keys.iter().zip(&map.values) {
                write(key, out)?;
                out.push_str(": ");
                write(value, out)?;
                out.push_str(", ");
            }
            out.push('}');
        }
    }
    Ok(())
}

/// The sign of a comparison, or of what isn't one.
fn operator(op: BinOpKind) -> Result<&'static str, &'static str> {
    match op {
        BinOpKind::Eq => Ok("=="),
        BinOpKind::Ne => Ok("!="),
        BinOpKind::Lt => Ok("<"),
        BinOpKind::Lte => Ok("<="),
        BinOpKind::Gt => Ok(">"),
        BinOpKind::Gte => Ok(">="),
        BinOpKind::ScAnd => Err("and"),
        BinOpKind::ScOr => Err("or"),
        BinOpKind::Add => Err("+"),
        BinOpKind::Sub => Err("-"),
        BinOpKind::Mul => Err("*"),
        BinOpKind::Div => Err("/"),
        BinOpKind::FloorDiv => Err("//"),
        BinOpKind::Rem => Err("%"),
        BinOpKind::Pow => Err("**"),
        BinOpKind::Concat => Err("~"),
        BinOpKind::In => Err("in"),
    }
}

/// As [`operator`], for a link of a chain.
fn comparison(op: CompareOpKind) -> Result<&'static str, &'static str> {
    match op {
        CompareOpKind::Eq => Ok("=="),
        CompareOpKind::Ne => Ok("!="),
        CompareOpKind::Lt => Ok("<"),
        CompareOpKind::Lte => Ok("<="),
        CompareOpKind::Gt => Ok(">"),
        CompareOpKind::Gte => Ok(">="),
        CompareOpKind::In => Err("in"),
        CompareOpKind::NotIn => Err("not in"),
    }
}

fn comparison_call(
    operator: &str,
    left: &Expr<'_>,
    right: &Expr<'_>,
    out: &mut String,
) -> Result<(), Error> {
    let _ = write!(out, "{COMPARE}(\"{operator}\", ");
    write(left, out)?;
    out.push_str(", ");
    write(right, out)?;
    out.push(')');
    Ok(())
}

fn infix_call(
    operator: &str,
    left: &Expr<'_>,
    right: &Expr<'_>,
    out: &mut String,
) -> Result<(), Error> {
    out.push('(');
    write(left, out)?;
    let _ = write!(out, " {operator} ");
    write(right, out)?;
    out.push(')');
    Ok(())
}

fn sequence(open: char, items: &[Expr<'_>], close: char, out: &mut String) -> Result<(), Error> {
    out.push(open);
    for item in items {
        write(item, out)?;
        out.push_str(", ");
    }
    out.push(close);
    Ok(())
}

fn arguments(args: &[CallArg<'_>], out: &mut String) -> Result<(), Error> {
    out.push('(');
    for arg in args {
        let expr = match arg {
            CallArg::Pos(expr) => expr,
            CallArg::Kwarg(name, expr) => {
                let _ = write!(out, "{name}=");
                expr
            }
            CallArg::PosSplat(expr) => {
                out.push('*');
                expr
            }
            CallArg::KwargSplat(expr) => {
                out.push_str("**");
                expr
            }
        };
        write(expr, out)?;
        out.push_str(", ");
    }
    out.push(')');
    Ok(())
}

fn literal(value: &Value, out: &mut String) -> Result<(), Error> {
    match (value.kind(), value.as_str()) {
        // Jinja reads the escapes of JSON.
        (_, Some(text)) => out.push_str(&serde_json::Value::from(text).to_string()),
        (ValueKind::Number | ValueKind::Bool | ValueKind::None, None) => {
            let _ = write!(out, "{value}");
        }
        _ => return Err(unsupported()),
    }
    Ok(())
}

/// Refuses a filter that doesn't exist, which the engine would only do when it comes to it.
fn know_filter(name: &str) -> Result<(), Error> {
    let called = environment().empty_state().apply_filter(name, &[]);
    know(called.map(|_| ()), ErrorKind::UnknownFilter, "filter", name)
}

fn know_test(name: &str) -> Result<(), Error> {
    let called = environment().empty_state().perform_test(name, &[]);
    know(called.map(|_| ()), ErrorKind::UnknownTest, "test", name)
}

fn know_function(name: &str) -> Result<(), Error> {
    // The state holds nothing that can be called.
    if environment().globals().any(|(known, _)| known == name) {
        return Ok(());
    }
    let message = format!("there is no function `{name}`");
    Err(Error::new(ErrorKind::UnknownFunction, message))
}

fn know(
    called: Result<(), Error>,
    unknown: ErrorKind,
    kind: &str,
    name: &str,
) -> Result<(), Error> {
    match called {
        Err(error) if error.kind() == unknown => {
            let message = format!("there is no {kind} `{name}`");
            Err(Error::new(unknown, message))
        }
        _ => Ok(()),
    }
}

fn unsupported() -> Error {
    Error::new(
        ErrorKind::SyntaxError,
        "there is something in this expression that has no use in a condition",
    )
}
