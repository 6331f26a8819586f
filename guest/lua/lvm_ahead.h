/*
** Included in lvm.c, before `luaV_execute`: the instructions that a function can do which calls
** no others.
**
** `luaV_execute` has calls in most of its instructions, so that a compiler of WebAssembly keeps
** what the loop needs (the program counter, the frame, the constants) in memory. Here it stays in
** registers. Nothing in this file calls, allocates, raises errors, moves the stack or looks for
** metamethods that are functions; and but for the loop from instruction to instruction, and a short one where
** a field is inherited from far up, there are none, since each would ask whether the script is to be stopped. What such an instruction can't
** do in these bounds it doesn't begin: `luaV_execute` does it from the start, as Lua has it.
*/

#include "known.h"

#undef updatetrap
#define updatetrap(ci)	{ if (l_unlikely(ci->u.l.trap)) goto leave; }

/* A number as a float; an arithmetic instruction of anything else is left to the next one. */
#define needfloat(v,n)  \
  if (ttisfloat(v)) n = fltvalue(v);  \
  else if (ttisinteger(v)) n = cast_num(ivalue(v));  \
  else break;

#define arith(v2_,iop,fop) {  \
  StkId ra = RA(i);  \
  const TValue *v1 = vRB(i);  \
  const TValue *v2 = v2_;  \
  unsigned int tt = tags(v1, v2);  \
  if (tt == both(LUA_VNUMINT)) {  \
    lua_Integer i1 = ivalue(v1); lua_Integer i2 = ivalue(v2);  \
    setivalue(s2v(ra), iop(L, i1, i2));  \
  }  \
  else {  \
    lua_Number n1; lua_Number n2;  \
    if (l_likely(tt == both(LUA_VNUMFLT))) {  \
      n1 = fltvalue(v1); n2 = fltvalue(v2);  \
    }  \
    else { needfloat(v1, n1); needfloat(v2, n2); }  \
    setfltvalue(s2v(ra), fop(L, n1, n2));  \
  }  \
  pc++; }

#define divide(v2_) {  \
  StkId ra = RA(i);  \
  const TValue *v1 = vRB(i);  \
  const TValue *v2 = v2_;  \
  lua_Number n1; lua_Number n2;  \
  needfloat(v1, n1); needfloat(v2, n2);  \
  setfltvalue(s2v(ra), luai_numdiv(L, n1, n2));  \
  pc++; }

/* Integers divided by what is greater than zero; Lua rounds down, C towards zero. */
#define floored(v2_,result) {  \
  StkId ra = RA(i);  \
  const TValue *v1 = vRB(i);  \
  const TValue *v2 = v2_;  \
  lua_Integer m; lua_Integer n; lua_Integer rest;  \
  if (tags(v1, v2) != both(LUA_VNUMINT) || ivalue(v2) <= 0)  \
    goto back;  \
  m = ivalue(v1); n = ivalue(v2);  \
  rest = m % n;  \
  setivalue(s2v(ra), result);  \
  pc++; }

#define bits(v2_,op) {  \
  StkId ra = RA(i);  \
  const TValue *v1 = vRB(i);  \
  const TValue *v2 = v2_;  \
  lua_Integer i1; lua_Integer i2;  \
  if (tags(v1, v2) != both(LUA_VNUMINT))  \
    goto back;  \
  i1 = ivalue(v1); i2 = ivalue(v2);  \
  setivalue(s2v(ra), op(i1, i2));  \
  pc++; }

#define shift_left(x,y)  ((y) <= -NBITS || (y) >= NBITS ? 0  \
                          : (y) < 0 ? intop(>>, x, -(y)) : intop(<<, x, y))
#define shift_right(x,y)  ((y) <= -NBITS || (y) >= NBITS ? 0  \
                           : (y) < 0 ? intop(<<, x, -(y)) : intop(>>, x, y))

#define order(opi,opf) {  \
  StkId ra = RA(i);  \
  const TValue *rb = vRB(i);  \
  unsigned int tt = tags(s2v(ra), rb);  \
  int cond;  \
  if (tt == both(LUA_VNUMINT))  \
    cond = opi(ivalue(s2v(ra)), ivalue(rb));  \
  else if (l_likely(tt == both(LUA_VNUMFLT)))  \
    cond = opf(fltvalue(s2v(ra)), fltvalue(rb));  \
  else goto back;  \
  docondjump(); }

#define orderI(opi,opf) {  \
  StkId ra = RA(i);  \
  int im = GETARG_sB(i);  \
  int cond;  \
  if (ttisinteger(s2v(ra)))  \
    cond = opi(ivalue(s2v(ra)), im);  \
  else if (l_likely(ttisfloat(s2v(ra))))  \
    cond = opf(fltvalue(s2v(ra)), cast_num(im));  \
  else goto back;  \
  docondjump(); }

/* Whether a key that a table doesn't have is for the table itself to take. */
#define takesnew(t)	((t)->metatable == NULL || ((t)->metatable->flags & (1u << TM_NEWINDEX)))

/*
** Whether `n` isn't in the array part, as far as can be seen at once: `alimit` may be a hint to
** where the list ends, in which case there is room behind it; it follows a list that grows.
*/
#define beyond(t,n)  \
  ((n) - 1u >= (t)->alimit &&  \
   ((n) - 1u != (t)->alimit || isrealasize(t) || ispow2((t)->alimit) ||  \
    ((t)->alimit = cast_uint(n), 0)))

/* Whether to write `v` into `o` is something that the collector has to be told. */
#define barred(o,v)	(iscollectable(v) && isblack(o) && iswhite(gcvalue(v)))

/*
** Looks for a short string among the first three nodes of its chain: `slot` is where its value
** is, or NULL if there is no such key. Longer chains are rare.
*/
#define isnode(n,key)	(keyisshrstr(n) && keystrval(n) == (key))
#define find(t,key,slot) {  \
  const Node *node_ = gnode(t, lmod((key)->hash, sizenode(t)));  \
  slot = gval(node_);  \
  if (l_unlikely(!isnode(node_, key))) {  \
    if (gnext(node_) == 0)  \
      slot = NULL;  \
    else {  \
      node_ += gnext(node_);  \
      slot = gval(node_);  \
      if (!isnode(node_, key)) {  \
        if (gnext(node_) == 0)  \
          slot = NULL;  \
        else {  \
          node_ += gnext(node_);  \
          slot = gval(node_);  \
          if (!isnode(node_, key))  \
            goto back;  \
        }  \
      }  \
    }  \
  }}

/* The iterators of `pairs` and `ipairs`. */
int luaB_next (lua_State *L);
int ipairsaux (lua_State *L);

/* The place of a value's node, after it was found. */
#define place(t,value)	(cast(const Node *, value) - gnode(t, 0))

/* If the hash part has something at the place `j`, `next` gives it; otherwise goes on. */
#define nextnode(t,j)  {  \
  const Node *node_;  \
  if ((j) >= cast_uint(sizenode(t))) {  \
    setnilvalue(s2v(ra + 4));  \
    break;  \
  }  \
  node_ = gnode(t, j);  \
  if (!isempty(gval(node_))) {  \
    getnodekey(L, s2v(ra + 4), node_);  \
    setobj2s(L, ra + 5, gval(node_));  \
    break;  \
  }  \
  (j)++; }

/*
** Runs `ci`, and what it calls and returns to, until an instruction comes that can't be done
** here. Gives the frame that this instruction is in, with its place noted; or NULL, if it came to
** the end of the frame that `luaV_execute` was called for, or of one that a marked `pcall` called.
*/
static __attribute__((noinline)) CallInfo *ahead (lua_State *L, CallInfo *ci) {
  const Instruction *pc = ci->u.l.savedpc;
  LClosure *cl = ci_func(ci);
  TValue *k = cl->p->k;
  StkId base = ci->func.p + 1;
  Table *h;  /* where an instruction looks */
  const TString *name;  /* what for, further up */
  for (;;) {
    /* Each turn asks whether the script is to be stopped, and where it is counted, whether it has
    ** fuel left. Two instructions a turn halve that; with more the code grows beyond its use. */
#include "lvm_ahead_step.h"
#include "lvm_ahead_step.h"
    continue;
   known: {  /* the call before `pc`, of a C function, has one argument or more, and one result */
      Instruction i = *(pc - 1);
      if (!callknown(L, RA(i), GETARG_B(i) - 1))
        goto back;
      continue;
    }
   further: {  /* the field `name` isn't in `h`, to which an `__index` led: it may be further up */
      StkId ra = RA(*(pc - 1));
      const TValue *value;
      int levels;
      for (levels = 0; levels < 8; levels++) {
        Table *mt = h->metatable;
        if (mt == NULL)
          break;
        if (mt->flags & (1u << TM_INDEX)) {  /* no `__index`? */
          if (isoriginal(mt))
            goto back;
          break;
        }
        find(mt, G(L)->tmname[TM_INDEX], value);
        if (value == NULL || !ttistable(value))
          goto back;
        h = hvalue(value);
        find(h, name, value);
        if (value != NULL && !isempty(value)) {
          setobj2s(L, ra, value);
          goto found;
        }
      }
      if (levels == 8)
        goto back;
      setnilvalue(s2v(ra));
     found:
      continue;
    }
  }
 back:  /* the instruction is for `luaV_execute` */
  pc--;
 leave:
  ci->u.l.savedpc = pc;
  return ci;
}

#undef updatetrap
#define updatetrap(ci)	(trap = ci->u.l.trap)

#undef tags
#undef both
#undef needfloat
#undef arith
#undef divide
#undef floored
#undef bits
#undef shift_left
#undef shift_right
#undef order
#undef orderI
#undef beyond
#undef barred
#undef isnode
#undef find
#undef place
#undef nextnode
