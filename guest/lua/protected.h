/*
** Included in ldo.c and lvm.c: protected calls that stay in the interpreter's loop.
**
** Where a Lua function calls `pcall`, Lua enters its interpreter once more, with a place to jump
** to below it. Here one such place does for all that a run of the interpreter calls: a guard
** (`luaD_guard`), under which the interpreter goes on from the first `pcall` that it comes to.
** From then on a `pcall` is two frames in Lua's own stack, its own and that of the function, and
** a mark in the guard; an error that gets to the guard is given to the innermost mark, and the
** interpreter goes on behind that `pcall`.
**
** That is right only if there are no C frames between a mark and its guard, which `L->nCcalls`
** says as it does for errors that return: see 11-unwind-by-return.patch. A marked `pcall` counts there as any
** other does, so that as many of them can be nested as Lua has it. Those in a coroutine that may
** yield are protected by its resume, and not marked.
**
** A marked `pcall` differs from another in what its frame has on the stack: no `true` between
** `pcall` and the function, which takes the place of `pcall` when the call has succeeded. All
** the results then are where they belong.
*/

/* What Lua leaves to ldo.c; here it has no `jmp_buf`. */
struct lua_longjmp {
  struct lua_longjmp *previous;
  l_uint32 nCcalls;  /* of 'L', if all that was called since can return */
  CallInfo *marked;  /* a guard's innermost mark, or its `NOMARK`; NULL if this is no guard */
  volatile int status;  /* error code */
};

/* Where a guard has no mark: the address of something else. */
#define NOMARK(lj)	cast(CallInfo *, lj)

/* Whether a function has ended that a marked `pcall` called. */
#define endsmarked(L)  \
  ((L)->errorJmp != NULL && (L)->errorJmp->marked == (L)->ci)

/*
** In the frame of the function that a marked `pcall` calls, together with CIST_FRESH: when it
** ends, the `pcall` does too, and then the interpreter goes on.
*/
#define CIST_MARKED	(1 << 14)

int luaB_pcall (lua_State *L);

#define ispcall(o)	(ttislcf(o) && fvalue(o) == luaB_pcall)

/* Whether `lj` is the guard of whatever runs, and not of what called that. */
#define canmark(L,lj)	((lj)->marked != NULL && (lj)->nCcalls == (L)->nCcalls)

/* What a marked `pcall` gives as many results as are wanted of it, has one less from what it calls. */
#define lessone(wanted)	((wanted) > 0 ? (wanted) - 1 : (wanted))

/*
** Marks the `pcall` in the frame `ci`. What has to be restored is kept where it doesn't get in
** the way of a Lua function that uses the frame later: `old_errfunc` would be its `trap`.
*/
#define mark(L,lj,ci)  \
  ((ci)->u.c.k = cast(lua_KFunction, (lj)->marked),  \
   (ci)->u.c.ctx = cast(lua_KContext, (L)->nCcalls),  \
   (ci)->u2.funcidx = cast_int((L)->errfunc),  \
   (L)->errfunc = 0,  \
   (lj)->marked = (ci),  \
   (lj)->nCcalls = ++(L)->nCcalls)

#define unmark(L,lj,ci)  \
  ((lj)->marked = cast(CallInfo *, (ci)->u.c.k),  \
   (lj)->nCcalls = (L)->nCcalls = cast(l_uint32, (ci)->u.c.ctx),  \
   (L)->errfunc = (ci)->u2.funcidx)

/* Ends the marked `pcall` in the frame `ci`, whose function has ended, where there are no hooks. */
#define endmarked(L,lj,ci) {  \
  unmark(L, lj, ci);  \
  setbtvalue(s2v((ci)->func.p));  \
  if ((ci)->nresults == 0)  \
    (L)->top.p = (ci)->func.p;  \
  (L)->ci = (ci)->previous; }

void luaV_enter (lua_State *L, CallInfo *ci);
void luaD_guard (lua_State *L);
CallInfo *luaD_callmarked (lua_State *L, StkId func, int nresults);
CallInfo *luaD_endmarked (lua_State *L);
CallInfo *luaD_recover (lua_State *L);
