/*
** Included in ldo.c: what a call is made of that passes numbers, booleans and nil alone. It is
** guest/src/raw/quick.rs that fills this in and reads it, which has the same as a type of Rust's,
** and asserts the same numbers.
*/

#include <stddef.h>

struct PlainCall {
  int name;  /* where the registry has the function's name */
  int handler;  /* where it has the handler of its errors */
  int count;  /* of arguments */
  TValue values[8];  /* the arguments; afterwards the first is the result */
};

_Static_assert(sizeof(int) == 4, "quick.rs");
_Static_assert(sizeof(TValue) == 16, "quick.rs");
_Static_assert(offsetof(TValue, value_) == 0, "quick.rs");
_Static_assert(offsetof(TValue, tt_) == 8 && sizeof(((TValue *)0)->tt_) == 1, "quick.rs");
_Static_assert(sizeof(lua_Integer) == 8 && sizeof(lua_Number) == 8, "quick.rs");
_Static_assert(LUA_VNIL == 0x00 && LUA_VFALSE == 0x01 && LUA_VTRUE == 0x11, "quick.rs");
_Static_assert(LUA_VNUMINT == 0x03 && LUA_VNUMFLT == 0x13, "quick.rs");
_Static_assert(sizeof(struct PlainCall) == 144, "quick.rs");
_Static_assert(offsetof(struct PlainCall, name) == 0, "quick.rs");
_Static_assert(offsetof(struct PlainCall, handler) == 4, "quick.rs");
_Static_assert(offsetof(struct PlainCall, count) == 8, "quick.rs");
_Static_assert(offsetof(struct PlainCall, values) == 16, "quick.rs");

/* What `moonfork_call_plain` gives, if that isn't a number of results. */
#define NOT_CALLED  (-1)
#define FAILED  (-2)
#define PLAIN  (-3)
