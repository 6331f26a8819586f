//! Where a script is: its innermost line, and its frames as Lua's tracebacks show them.
//!
//! Nothing here allocates: a script may be stopped for want of memory, or inside the allocator.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_void};
use std::fmt::Write;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::raised;
use crate::sandbox::PRELUDE;
use crate::wire::Position;

thread_local! {
    /// Where the script is, or was stopped.
    static STOPPED: RefCell<Text> = const { RefCell::new(Text::new()) };
    /// Where Lua had no memory last, if that was in this request.
    static MEMORY: RefCell<Text> = const { RefCell::new(Text::new()) };
    /// Whether there is such a text. Each request asks, and the text itself is large, so that it lies on
    /// a page that nothing else touches: see xtask/src/layout.rs.
    static HAS_MEMORY: Cell<bool> = const { Cell::new(false) };
    /// The frames of the coroutines that an error has ended: that which the book of errors has.
    static FRAMES: RefCell<Text> = const { RefCell::new(Text::new()) };
}

/// Frames that are described.
const MAX_FRAMES: i32 = 20;

/// Describes where `state` is, and says where the description lies.
///
/// # Safety
///
/// `state` must be alive.
pub(super) unsafe fn describe_stopped(state: *mut lua_State) -> (*const u8, usize) {
    STOPPED.with_borrow_mut(|text| {
        // SAFETY: the caller's promise.
        unsafe { describe(state, text) };
        (text.bytes.as_ptr(), text.len)
    })
}

/// Where Lua had no memory last in this request, as far as that is known, and the frames there.
pub(super) fn of_memory() -> Option<(Position, String)> {
    let text = MEMORY.with_borrow(Text::shown);
    let (numbers, rest) = text.split_once('\n')?;
    let (line, len) = numbers.split_once(' ')?;
    let (chunk, frames) = rest.split_at_checked(len.parse().ok()?)?;
    let position = Position {
        chunk: chunk.to_owned(),
        line: line.parse().ok()?,
    };
    Some((position, frames.trim().to_owned()))
}

/// Forgets where Lua had no memory.
pub(super) fn forget_memory() {
    if HAS_MEMORY.replace(false) {
        MEMORY.with_borrow_mut(Text::clear);
    }
}

/// Lua has no memory for what `state` wants.
#[unsafe(no_mangle)]
unsafe extern "C" fn moonfork_out_of_memory(state: *mut lua_State) {
    HAS_MEMORY.set(true);
    // SAFETY: Lua calls this with the state that runs.
    MEMORY.with_borrow_mut(|text| unsafe { describe(state, text) });
}

/// The frames that are noted.
pub(super) fn frames() -> String {
    FRAMES.with_borrow(Text::shown)
}

/// An error has ended a coroutine: the last value of the stack of `state`, which resumed it. Its frames
/// are noted, behind those of one inside of it that the error comes from.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn moonfork_died(state: *mut lua_State, coroutine: *mut lua_State) {
    // SAFETY: Lua calls this before the coroutine's frames are given up.
    unsafe {
        let error: *const c_void = ffi::lua_topointer(state, -1);
        let is_same = raised::has_frames(state, error);
        FRAMES.with_borrow_mut(|text| {
            if !is_same {
                text.clear();
            }
            show_frames(coroutine, text);
        });
        raised::note_frames(state);
    }
}

/// Describes where `state` is: the number of its innermost line and the length of the chunk's name on a
/// line, the name on the next, and then the frames. Nothing where there is no such line.
///
/// # Safety
///
/// `state` must be alive.
unsafe fn describe(state: *mut lua_State, text: &mut Text) {
    text.clear();
    for level in 0..MAX_FRAMES {
        // SAFETY: the caller's promise.
        let Some(frame) = (unsafe { Frame::at(state, level) }) else {
            return;
        };
        if frame.is_prelude() || frame.line <= 0 {
            continue;
        }
        // A full buffer is the end of the text, not a failure.
        let _ = write!(
            text,
            "{} {}\n{}\n",
            frame.line,
            frame.source.len(),
            frame.source
        );
        // SAFETY: as above.
        return unsafe { show_frames(state, text) };
    }
}

/// Appends the frames of `state` that belong to the script, one a line. Below the last of them there is
/// only how it was called.
///
/// # Safety
///
/// `state` must be alive.
unsafe fn show_frames(state: *mut lua_State, text: &mut Text) {
    let mut end = text.len;
    for level in 0..MAX_FRAMES {
        // SAFETY: the caller's promise.
        let Some(frame) = (unsafe { Frame::at(state, level) }) else {
            break;
        };
        if frame.is_prelude() {
            continue;
        }
        frame.show(text);
        if frame.what != "C" {
            end = text.len;
        }
    }
    text.len = end;
}

/// What Lua knows of a function under way.
struct Frame<'a> {
    source: Source,
    /// The line that it is at; none if that isn't positive.
    line: i32,
    /// The line that it begins on.
    begins: i32,
    what: &'a str,
    name: &'a str,
    /// What kind of variable has that name; none if that is empty.
    kind: &'a str,
}

/// A chunk's name, as Lua shows it.
struct Source([c_char; 60]);

impl std::ops::Deref for Source {
    type Target = str;

    fn deref(&self) -> &str {
        // SAFETY: Lua ends it with a zero.
        unsafe { text(self.0.as_ptr()) }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self)
    }
}

impl Frame<'_> {
    /// The function at this level, if there is one; 0 is the innermost.
    ///
    /// # Safety
    ///
    /// `state` must be alive, and stay as it is as long as the frame is used.
    unsafe fn at<'a>(state: *mut lua_State, level: i32) -> Option<Frame<'a>> {
        // SAFETY: the caller's promise. It is a C structure of numbers and pointers, all of which may be
        // zero, and is filled before it is read.
        unsafe {
            let mut frame: lua_Debug = std::mem::zeroed();
            let known = ffi::lua_getstack(state, level, &raw mut frame) != 0
                && ffi::lua_getinfo(state, c"nSl".as_ptr(), &raw mut frame) != 0;
            known.then(|| Frame {
                source: Source(frame.short_src),
                line: frame.currentline,
                begins: frame.linedefined,
                what: text(frame.what),
                name: text(frame.name),
                kind: text(frame.namewhat),
            })
        }
    }

    /// Whether it is a function of ours.
    fn is_prelude(&self) -> bool {
        &*self.source == PRELUDE
    }

    /// Appends it as a line.
    fn show(&self, text: &mut Text) {
        let Frame {
            source,
            line,
            begins,
            what,
            name,
            kind,
        } = self;
        // As above.
        let _ = match line {
            1.. => write!(text, "{source}:{line}: in "),
            _ => write!(text, "{source}: in "),
        };
        let _ = match (*kind, *what) {
            (kind, _) if !kind.is_empty() => writeln!(text, "{kind} '{name}'"),
            (_, "main") => writeln!(text, "main chunk"),
            (_, "C") => writeln!(text, "?"),
            _ => writeln!(text, "function <{source}:{begins}>"),
        };
    }
}

/// The text at `start`; nothing where that is null or isn't UTF-8.
///
/// # Safety
///
/// `start` must be null or lead to a text that ends with a zero and lives as long as is asked
/// for.
unsafe fn text<'a>(start: *const c_char) -> &'a str {
    if start.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }
        .to_str()
        .unwrap_or_default()
}

/// A text of bounded length.
struct Text {
    bytes: [u8; Text::MAX],
    len: usize,
}

impl Text {
    /// Bytes that it has room for.
    const MAX: usize = 4 << 10;

    const fn new() -> Text {
        Text {
            bytes: [0; Text::MAX],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.len]).into_owned()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.len() - self.len;
        let text = &text[..text.floor_char_boundary(room)];
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
