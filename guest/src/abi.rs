//! Draft of the calling convention; being rewritten.
#![allow(unsafe_code)]
use std::cell::RefCell;
use mlua::Lua;
thread_local! { static VM: RefCell<Option<Lua>> = const { RefCell::new(None) }; static BUF: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) }; }
#[link(wasm_import_module = "moonfork")]
unsafe extern "C" { fn print(ptr: u32, len: u32); }
#[unsafe(no_mangle)]
extern "C" fn moonfork_preinit() { VM.with(|v| *v.borrow_mut() = Some(Lua::new_with(mlua::StdLib::STRING | mlua::StdLib::TABLE | mlua::StdLib::MATH, mlua::LuaOptions::new()).unwrap())); }
#[unsafe(no_mangle)]
extern "C" fn moonfork_start(_seed: u64, _memory_limit: u64) {}
#[unsafe(no_mangle)]
extern "C" fn moonfork_alloc(len: u32) -> u32 { BUF.with(|b| { let mut b = b.borrow_mut(); b.resize(len as usize, 0); b.as_mut_ptr() as u32 }) }
#[unsafe(no_mangle)]
extern "C" fn moonfork_call(_op: u32, _len: u32) -> u64 {
    let out = VM.with(|v| BUF.with(|b| { let v = v.borrow(); v.as_ref().unwrap().load(&b.borrow()[..]).eval::<String>() })).unwrap_or_else(|e| e.to_string());
    unsafe { print(out.as_ptr() as u32, out.len() as u32) };
    0
}
