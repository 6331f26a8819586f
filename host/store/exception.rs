//! Lua's errors, where they have to be exceptions of WebAssembly's.
//!
//! The guest could throw them itself. But then wasmtime would make a heap for exceptions with every
//! instance, and most instances throw none. So the guest asks the host, and the heap is made with
//! the first one.

use wasmtime::{AsContextMut, Caller, ExnRef, ExnRefPre, ExnType, FuncType, Rooted, Tag, TagType};

use crate::store::context::Context;

/// Import `throw`: leaves for the innermost protected call.
pub(crate) fn throw(mut caller: Caller<'_, Context>) -> wasmtime::Result<()> {
    let exception = match caller.data().exception.clone() {
        Some(exception) => exception.to_rooted(&mut caller),
        None => make(&mut caller)?,
    };
    caller.as_context_mut().throw(exception)
}

/// The exception of this instance. It carries nothing, so that one does for all that it throws.
fn make(caller: &mut Caller<'_, Context>) -> wasmtime::Result<Rooted<ExnRef>> {
    let ty = TagType::new(FuncType::new(caller.engine(), [], []));
    let tag = Tag::new(&mut *caller, &ty)?;
    let pre = ExnRefPre::new(&mut *caller, ExnType::from_tag_type(&ty)?);
    let exception = ExnRef::new(&mut *caller, &pre, &tag, &[])?;
    let kept = exception.to_owned_rooted(&mut *caller)?;
    caller.data_mut().exception = Some(kept);
    Ok(exception)
}
