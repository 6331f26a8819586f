//! What a script may take: each limit, kept and broken.

mod calls;
mod fuel;
mod memory;
mod shadow_stack;
mod stack;
mod wall;
