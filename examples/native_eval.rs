//! What `moonfork eval` is compared with: the smallest program that runs a Lua chunk with
//! mlua alone, without any sandbox, and prints its result.
//!
//! ```text
//! cargo run --release --example native_eval 'return 1'
//! ```

fn main() -> mlua::Result<()> {
    let chunk = std::env::args().nth(1).unwrap_or_default();
    let lua = mlua::Lua::new();
    let value: mlua::Value = lua.load(chunk).eval()?;
    println!("{}", value.to_string()?);
    Ok(())
}
