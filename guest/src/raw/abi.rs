//! The module's exports and imports.
//!
//! | export | meaning |
//! | --- | --- |
//! | `moonfork_preinit()` | makes the virtual machine; runs once, before the snapshot |
//! | `moonfork_alloc(len) -> ptr` | room for a request of `len` bytes, or 0 when there is none |
//! | `moonfork_call(op, len) -> ptr \| len << 32` | answers the request that lies there |
//!
//! | import from `moonfork` | meaning |
//! | --- | --- |
//! | `print(ptr, len)` | takes text that a script printed |
//! | `host_call(function, ptr, len) -> len \| failed << 32` | calls a host function |
//! | `host_take(ptr)` | copies what that call gave, `len` bytes, to `ptr` |
//! | `panicked(ptr, len)` | takes the message of a panic; doesn't return |
//!
//! An answer stays where it is until the next call of either function.

use std::cell::RefCell;

use crate::Host;
use crate::vm::Vm;

/// Buffers larger than this are given back after the call that needed them.
const KEPT: usize = 64 << 10;

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
    static REQUEST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

mod import {
    #[link(wasm_import_module = "moonfork")]
    unsafe extern "C" {
        pub(super) safe fn print(ptr: *const u8, len: usize);
        pub(super) safe fn host_call(function: u32, ptr: *const u8, len: usize) -> u64;
        pub(super) unsafe fn host_take(ptr: *mut u8);
        pub(super) safe fn panicked(ptr: *const u8, len: usize);
    }
}

/// The host on the other side of the imports.
struct Outside;

impl Host for Outside {
    fn print(&self, text: &[u8]) {
        import::print(text.as_ptr(), text.len());
    }

    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, String> {
        let packed = import::host_call(function, args.as_ptr(), args.len());
        let (len, failed) = (low(packed), packed >> 32 != 0);
        let mut answer = Vec::new();
        answer
            .try_reserve_exact(len)
            .map_err(|_| "not enough memory for the host function's result".to_owned())?;
        answer.resize(len, 0);
        // SAFETY: the host writes `len` bytes, the length of its answer to the call above,
        // and `answer` has that many.
        unsafe { import::host_take(answer.as_mut_ptr()) };
        if failed {
            Err(String::from_utf8_lossy(&answer).into_owned())
        } else {
            Ok(answer)
        }
    }
}

fn low(packed: u64) -> usize {
    (packed & u64::from(u32::MAX)) as usize
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_preinit() {
    // The standard library's own hook looks at the environment first, which isn't there.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        import::panicked(message.as_ptr(), message.len());
    }));
    VM.set(Some(Vm::new(Outside)));
    REQUEST.set(Vec::with_capacity(4 << 10));
    ANSWER.set(Vec::with_capacity(4 << 10));
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_alloc(len: usize) -> *mut u8 {
    REQUEST.with_borrow_mut(|request| {
        request.clear();
        if request.try_reserve_exact(len).is_err() {
            return std::ptr::null_mut();
        }
        request.resize(len, 0);
        request.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_call(op: u32, len: usize) -> u64 {
    let packed = VM.with_borrow_mut(|vm| {
        REQUEST.with_borrow(|request| {
            ANSWER.with_borrow_mut(|answer| {
                answer.shrink_to(KEPT);
                let vm = vm.as_mut().expect("the module was pre-initialised");
                vm.handle(op, &request[..len.min(request.len())], answer);
                (answer.len() as u64) << 32 | answer.as_ptr() as u64
            })
        })
    });
    REQUEST.with_borrow_mut(|request| {
        if request.capacity() > KEPT {
            *request = Vec::new();
        }
    });
    packed
}
