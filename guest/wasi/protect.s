# Lua's protected calls and errors, as guest/lua/lua_config.h has them: an error is a WebAssembly exception.
#
# Lua notes what went wrong before it throws, and the call that is to catch an error always is
# the innermost one. So the exception carries nothing, and catching it asks for nothing, not even
# for its kind: less than what clang makes of `setjmp` and `longjmp`, and the optimiser may move
# calls across files. Who throws is the host (host/exception.rs): where a module has `throw`, or
# `catch` with a tag, wasmtime makes a heap for exceptions with each instance.

	.globaltype	__stack_pointer, i32

# void moonfork_protect(void (*function)(void *, void *), void *state, void *data)
# Calls `function(state, data)`, and returns when that returns or throws.
	.section	.text.moonfork_protect,"",@
	.globl	moonfork_protect
	.type	moonfork_protect,@function
moonfork_protect:
	.functype	moonfork_protect (i32, i32, i32) -> ()
	.local	i32
	global.get	__stack_pointer
	local.set	3
	block
	try_table	(catch_all 0)
	local.get	1
	local.get	2
	local.get	0
	call_indirect	__indirect_function_table, (i32, i32) -> ()
	end_try_table
	return
	end_block
	# What was called has not put it back.
	local.get	3
	global.set	__stack_pointer
	end_function

# _Noreturn void moonfork_throw(void)
	.functype	moonfork_host_throw () -> ()
	.import_module	moonfork_host_throw, moonfork
	.import_name	moonfork_host_throw, throw
	.section	.text.moonfork_throw,"",@
	.globl	moonfork_throw
	.type	moonfork_throw,@function
moonfork_throw:
	.functype	moonfork_throw () -> ()
	call	moonfork_host_throw
	unreachable
	end_function
