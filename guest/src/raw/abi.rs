//! The module's exports and imports.
//!
//! | export | meaning |
//! | --- | --- |
//! | `moonfork_preinit()` | makes the virtual machine; runs once, before the snapshot |
//! | `moonfork_alloc(len) -> ptr` | room for requests of up to `len` bytes, or 0 when there is none; for [`wire::ROOM`] it stays until more is asked for |
//! | `moonfork_call(op, len, bytes, max_depth) -> len \| ptr << 32` | answers the request that lies there, within this [`Allowance`]; with [`wire::FRESH`], takes the [`Seed`](wire::Seed) at its end before |
//! | `moonfork_interrupt() -> asked` | makes the running script stop at its next instruction, if it is in Lua |
//! | `moonfork_watch(line)` | has `stopped` called each time a script comes to that line |
//! | `moonfork_site() -> len \| ptr << 32` | where the script was that was stopped: position, then traceback |
//!
//! | import from `moonfork` | meaning |
//! | --- | --- |
//! | `print(ptr, len)` | takes text that a script printed |
//! | `host_call(function, ptr, len) -> len \| status << 32` | calls a host function |
//! | `host_ask(service, ptr, len, ptr, len) -> len \| status << 32` | asks for a service |
//! | `host_take(ptr)` | copies what that call gave, `len` bytes, to `ptr` |
//! | `throw()` | throws the exception by which Lua raises an error |
//! | `stopped(ptr, len)` | takes the site of a script that was asked to stop; doesn't return, unless that was in an earlier call, or it is only watched |
//! | `panicked(ptr, len)` | takes the message of a panic; doesn't return |
//!
//! An answer stays where it is until the next call.
//!
//! Four parameters pass in registers. Of an `i32` beyond those, Cranelift reads back twice as many
//! bytes as it wrote, for which the processor has to wait: five nanoseconds each.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use super::interrupt;
use super::settle;
use crate::vm::Vm;
use crate::wire::{self, Allowance, Op, Service};
use crate::{Host, Refused};

/// Buffers larger than this are given back after the call that needed them.
const KEPT: usize = 64 << 10;

thread_local! {
    static GUEST: RefCell<Guest> = const {
        RefCell::new(Guest {
            vm: None,
            request: Vec::new(),
            answer: Vec::new(),
        })
    };
}

/// All that there is.
struct Guest {
    vm: Option<Vm>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

mod import {
    #[link(wasm_import_module = "moonfork")]
    unsafe extern "C" {
        pub(super) safe fn print(ptr: *const u8, len: usize);
        pub(super) safe fn host_call(function: u32, ptr: *const u8, len: usize) -> u64;
        pub(super) safe fn host_ask(
            service: u32,
            subject: *const u8,
            subject_len: usize,
            content: *const u8,
            content_len: usize,
        ) -> u64;
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

    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, Refused> {
        let taken = take(import::host_call(function, args.as_ptr(), args.len()))?;
        Ok(taken.unwrap_or_default())
    }

    fn ask(
        &self,
        service: Service,
        subject: &[u8],
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, Refused> {
        take(import::host_ask(
            service as u32,
            subject.as_ptr(),
            subject.len(),
            content.as_ptr(),
            content.len(),
        ))
    }
}

/// Takes what a call of the host gave.
fn take(packed: u64) -> Result<Option<Vec<u8>>, Refused> {
    let len = low(packed);
    let mut answer = Vec::new();
    answer
        .try_reserve_exact(len)
        .map_err(|_| Refused::from("not enough memory for the host's answer".to_owned()))?;
    answer.resize(len, 0);
    // SAFETY: the host writes `len` bytes, the length of its answer to the call above, and
    // `answer` has that many.
    unsafe { import::host_take(answer.as_mut_ptr()) };
    let status = (packed >> 32) as u32;
    let denied = match status & ((1 << wire::STATUS_BITS) - 1) {
        wire::DONE => return Ok(Some(answer)),
        wire::NOTHING => return Ok(None),
        wire::DENIED => Some(status >> wire::STATUS_BITS),
        _ => None,
    };
    Err(Refused {
        message: String::from_utf8_lossy(&answer).into_owned(),
        denied,
    })
}

/// Where bytes lie.
///
/// The other way around it would be the two fields of a vector as they lie in memory. They would be
/// read as one number of twice their size, with the same effect as above.
pub(super) fn pack(bytes: &[u8]) -> u64 {
    (bytes.as_ptr() as u64) << 32 | bytes.len() as u64
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
    let vm = Vm::new(Outside);
    GUEST.with_borrow_mut(|guest| {
        guest.vm = Some(vm);
        guest.request = vec![0; wire::ROOM as usize];
        guest.answer = Vec::with_capacity(512);
    });
    settle::set_nest_aside();
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_alloc(len: usize) -> *mut u8 {
    GUEST.with_borrow_mut(|Guest { request, .. }| {
        // Never moved or shrunk for what is small: the host goes on using it without asking.
        if len > request.len() {
            if request.try_reserve_exact(len - request.len()).is_err() {
                return std::ptr::null_mut();
            }
            request.resize(len, 0);
        }
        request.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_watch(line: u32) {
    GUEST.with_borrow(|guest| {
        let vm = guest.vm.as_ref().expect("the module was pre-initialised");
        vm.lua().exec_raw_lua(|raw| {
            // SAFETY: it lives as long as the virtual machine, and nothing runs: no call is under way.
            unsafe { interrupt::watch(raw.state(), line as i32) };
        });
    });
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_call(op: u32, len: usize, bytes: u64, max_depth: u32) -> u64 {
    let allowance = Allowance {
        lua_memory: bytes as u32,
        max_value: (bytes >> 32) as u32,
        max_depth,
    };
    GUEST.with_borrow_mut(|guest| {
        let Guest {
            vm,
            request,
            answer,
        } = guest;
        answer.shrink_to(KEPT);
        let vm = vm.as_mut().expect("the module was pre-initialised");
        let mut taken = &request[..len.min(request.len())];
        let mut seed = None;
        if op & wire::FRESH != 0
            && let Some((rest, high)) = taken.split_last_chunk()
            && let Some((rest, low)) = rest.split_last_chunk()
        {
            seed = Some((i64::from_le_bytes(*low), i64::from_le_bytes(*high)));
            taken = rest;
        }
        let op = op & !wire::FRESH;
        vm.handle(op, seed, taken, &allowance, answer);
        if op == Op::Settle as u32 {
            request.fill(0);
            answer.spare_capacity_mut().fill(MaybeUninit::new(0));
        }
        if request.capacity() > KEPT {
            *request = Vec::new();
        }
        pack(answer)
    })
}
