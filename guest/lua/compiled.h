/*
** Included in lvm.c, before `luaV_execute`: functions of Lua's that were translated to WebAssembly.
**
** The host translates bytecode to a module of its own (the crate moonfork-translate), which shares this
** one's memory and its table of functions. A prototype says in `compiled` which place of the table its
** function has; zero is none. Such a function is called where the interpreter would begin with it, and
** does the same to the same frame:
**
** - All that it does is in Lua's stack and in its frame at once, and `savedpc` is right wherever something may
**   look at it, so that the interpreter can go on with the frame at any instruction. It does so after an
**   error, after a yield, and where a script is to be stopped.
** - What isn't simple it has the functions here do: an instruction each.
** - It calls other functions of Lua's in WebAssembly's own stack, and has none of C's below it that would
**   count in `nCcalls`. So errors and yields pass through it by returning, as through `luaV_execute`.
**
** Places that no translated function has are `moonfork_interpret`'s. A memory that was copied may have
** prototypes which say places of functions that its instance lacks: those stay interpreted.
*/

#define EXPORTED(name) __attribute__((export_name("moonfork_" name)))

/* What a function says is to be done next, if it isn't the address of a frame to be run: */
#define ENDED  0  /* nothing: its frame has ended */
#define UNWINDS  2  /* to unwind */
#define INTERPRET  1  /* added to a frame's address: to go on in it in the interpreter */

typedef unsigned int Next;
typedef Next (*Compiled) (lua_State *L, CallInfo *ci, unsigned int depth);

/*
** Bytes of the native stack that translated functions have under way, as they count. C functions that run
** Lua begin with what was so far; whoever leaves by a jump sets it back (luaD_rawrunprotected, luaD_guard).
*/
unsigned int luaV_depth;

/* Whether a translated function can take a frame: it begins, or is where it began. */
#define isstart(ci)  \
  (l_unlikely(ci_func(ci)->p->compiled != 0) &&  \
   (ci)->u.l.savedpc == ci_func(ci)->p->code)

#define callcompiled(L,ci,depth)  \
  (*cast(Compiled, cast_sizet(ci_func(ci)->p->compiled)))(L, ci, depth)

/* What is at places that no translated function has. */
EXPORTED("interpret")
Next moonfork_interpret (lua_State *L, CallInfo *ci, unsigned int depth) {
  UNUSED(L); UNUSED(depth);
  ci_func(ci)->p->compiled = 0;
  return cast_uint(cast_sizet(ci)) | INTERPRET;
}


/*
** Runs frames as long as translated functions can take them. Gives the frame that is for the
** interpreter, or NULL at the end of what `luaV_execute` was called for.
*/
static CallInfo *runcompiled (lua_State *L, CallInfo *ci) {
  unsigned int depth = luaV_depth;
  do {
    int status = ci->callstatus;
    Next next = callcompiled(L, ci, depth);
    luaV_depth = depth;
    if (next == ENDED) {
      if (!(status & CIST_FRESH))
        return ci->previous;
      return (status & CIST_MARKED) ? luaD_endmarked(L) : NULL;
    }
    if (next == UNWINDS)
      return luaD_recover(L);
    ci = cast(CallInfo *, cast_sizet(next & ~cast_uint(INTERPRET)));
    if (next & INTERPRET)
      return ci;
  } while (!L->hookmask && isstart(ci));
  return ci;
}


/* What follows does the instruction before `pc` for a translated function. */

/* Arithmetic, first on numbers, and else by the metamethod that the next instruction says. */
static void calculate (lua_State *L, CallInfo *ci, const Instruction *pc) {
  const TValue *k = ci_func(ci)->p->k;
  StkId base = ci->func.p + 1;
  Instruction i = pc[-1];
  OpCode o = GET_OPCODE(i);
  StkId ra = RA(i);
  const TValue *v1 = vRB(i);
  const TValue *v2;
  TValue imm, result;
  int op;
  setivalue(&imm, GETARG_sC(i));
  v2 = &imm;
  if (o == OP_ADDI)
    op = LUA_OPADD;
  else if (o == OP_SHRI)
    op = LUA_OPSHR;
  else if (o == OP_SHLI) {
    op = LUA_OPSHL;
    v2 = v1; v1 = &imm;
  }
  else if (o <= OP_BXORK) {
    op = cast_int(o) - OP_ADDK + LUA_OPADD;
    v2 = k + GETARG_C(i);
  }
  else {
    op = cast_int(o) - OP_ADD + LUA_OPADD;
    v2 = vRC(i);
  }
  if (luaO_rawarith(L, op, v1, v2, &result)) {
    setobj2s(L, ra, &result);
    return;
  }
  i = *pc;
  ci->u.l.savedpc = pc + 1;
  switch (GET_OPCODE(i)) {
    case OP_MMBIN:
      luaT_trybinTM(L, s2v(RA(i)), vRB(i), ra, cast(TMS, GETARG_C(i)));
      break;
    case OP_MMBINI:
      luaT_trybiniTM(L, s2v(RA(i)), GETARG_sB(i), GETARG_k(i), ra,
                     cast(TMS, GETARG_C(i)));
      break;
    default:
      luaT_trybinassocTM(L, s2v(RA(i)), k + GETARG_B(i), GETARG_k(i), ra,
                         cast(TMS, GETARG_C(i)));
      break;
  }
}


/* A comparison with a number in the instruction. */
static int compare (lua_State *L, const TValue *v, Instruction i) {
  int im = GETARG_sB(i);
  lua_Number n;
  OpCode o = GET_OPCODE(i);
  int inverse = (o == OP_GTI || o == OP_GEI);
  if (!ttisnumber(v))
    return luaT_callorderiTM(L, v, im, inverse, GETARG_C(i),
                             (o == OP_LTI || o == OP_GTI) ? TM_LT : TM_LE);
  n = ttisinteger(v) ? 0 : fltvalue(v);
  switch (o) {
    case OP_LTI: return ttisinteger(v) ? ivalue(v) < im : n < im;
    case OP_LEI: return ttisinteger(v) ? ivalue(v) <= im : n <= im;
    case OP_GTI: return ttisinteger(v) ? ivalue(v) > im : n > im;
    default: return ttisinteger(v) ? ivalue(v) >= im : n >= im;
  }
}


/* t[key] := value, where `slot` is what a lookup gave. */
static void setvalue (lua_State *L, const TValue *t, TValue *key, TValue *value,
                      const TValue *slot) {
  if (slot != NULL && !isempty(slot)) {
    luaV_finishfastset(L, t, slot, value);
  }
  else
    luaV_finishset(L, t, key, value, slot);
}


/* The next value of `pairs` and `ipairs`, if that is near by: fields of `OP_TFORCALL`, A and C. */
EXPORTED("next")
int moonfork_next (lua_State *L, CallInfo *ci, int fields) {
  StkId ra = ci->func.p + 1 + (fields >> 8);
  const TValue *control = s2v(ra + 2);
  Table *h;
  if (!ttislcf(s2v(ra)) || (fields & 0xff) > 2 || !ttistable(s2v(ra + 1)) ||
      L->hookmask)
    return 0;
  h = hvalue(s2v(ra + 1));
  if (fvalue(s2v(ra)) == ipairsaux) {
    lua_Unsigned n;
    if (!ttisinteger(control))
      return 0;
    n = l_castS2U(ivalue(control));
    if (n >= h->alimit || isempty(&h->array[n]))
      return 0;
    setivalue(s2v(ra + 4), l_castU2S(n + 1u));
    setobj2s(L, ra + 5, &h->array[n]);
    return 1;
  }
  if (fvalue(s2v(ra)) != luaB_next || islazy(h))
    return 0;
  if (!ttisnil(control) && isabstkey(luaH_get(h, control)))
    return 0;  /* an error, maybe: that is for `next` to raise */
  setobjs2s(L, ra + 4, ra + 2);
  if (!luaH_next(L, h, ra + 4))
    setnilvalue(s2v(ra + 4));
  return 1;
}


EXPORTED("op")
int moonfork_op (lua_State *L, CallInfo *ci, const Instruction *pc, unsigned int depth) {
  LClosure *cl = ci_func(ci);
  TValue *k = cl->p->k;
  StkId base = ci->func.p + 1;
  Instruction i = pc[-1];
  StkId ra = RA(i);
  const TValue *slot;
  luaV_depth = depth;
  ci->u.l.savedpc = pc;
  switch (GET_OPCODE(i)) {
    /* These need what an earlier one has left at the top, or set it themselves. */
    case OP_NEWTABLE: {
      int b = GETARG_B(i);
      int c = GETARG_C(i);
      Table *t;
      if (b > 0)
        b = 1 << (b - 1);
      if (TESTARG_k(i))
        c += GETARG_Ax(*pc) * (MAXARG_C + 1);
      ci->u.l.savedpc = pc + 1;
      L->top.p = ra + 1;
      t = luaH_new(L);
      sethvalue2s(L, ra, t);
      if (b != 0 || c != 0)
        luaH_resize(L, t, c, b);
      luaC_condGC(L, L->top.p = ra + 1, (void)0);
      return 0;
    }
    case OP_CONCAT: {
      int n = GETARG_B(i);
      L->top.p = ra + n;
      luaV_concat(L, n);
      luaC_condGC(L, (void)0, (void)0);
      return 0;
    }
    case OP_SETLIST: {
      int n = GETARG_B(i);
      unsigned int last = GETARG_C(i);
      Table *h = hvalue(s2v(ra));
      if (n == 0)
        n = cast_int(L->top.p - ra) - 1;
      else
        L->top.p = ci->top.p;
      last += n;
      if (TESTARG_k(i)) {
        last += GETARG_Ax(*pc) * (MAXARG_C + 1);
        ci->u.l.savedpc = pc + 1;
      }
      if (last > luaH_realasize(h))
        luaH_resizearray(L, h, last);
      for (; n > 0; n--) {
        TValue *val = s2v(ra + n);
        setobj2t(L, &h->array[last - 1], val);
        last--;
        luaC_barrierback(L, obj2gco(h), val);
      }
      return 0;
    }
    case OP_TFORCALL: {
      memcpy(ra + 4, ra, 3 * sizeof(*ra));
      L->top.p = ra + 4 + 3;
      luaD_call(L, ra + 4, GETARG_C(i));
      return 0;
    }
    case OP_VARARGPREP: {
      luaT_adjustvarargs(L, GETARG_A(i), ci, cl->p);
      return 0;
    }
    default: break;
  }
  L->top.p = ci->top.p;
  switch (GET_OPCODE(i)) {
    case OP_LOADKX: {
      setobj2s(L, ra, k + GETARG_Ax(*pc));
      break;
    }
    case OP_SETUPVAL: {
      UpVal *uv = cl->upvals[GETARG_B(i)];
      setobj(L, uv->v.p, s2v(ra));
      luaC_barrier(L, uv, s2v(ra));
      break;
    }
    case OP_GETTABUP: {
      const TValue *t = cl->upvals[GETARG_B(i)]->v.p;
      TValue *rc = KC(i);
      if (luaV_fastget(L, t, tsvalue(rc), slot, luaH_getshortstr)) {
        setobj2s(L, ra, slot);
      }
      else
        luaV_finishget(L, t, rc, ra, slot);
      break;
    }
    case OP_GETTABLE: {
      const TValue *rb = vRB(i);
      TValue *rc = vRC(i);
      lua_Unsigned n;
      if (ttisinteger(rc)
          ? (cast_void(n = l_castS2U(ivalue(rc))), luaV_fastgeti(L, rb, n, slot))
          : luaV_fastget(L, rb, rc, slot, luaH_get)) {
        setobj2s(L, ra, slot);
      }
      else
        luaV_finishget(L, rb, rc, ra, slot);
      break;
    }
    case OP_GETI: {
      const TValue *rb = vRB(i);
      int c = GETARG_C(i);
      if (luaV_fastgeti(L, rb, c, slot)) {
        setobj2s(L, ra, slot);
      }
      else {
        TValue key;
        setivalue(&key, c);
        luaV_finishget(L, rb, &key, ra, slot);
      }
      break;
    }
    case OP_GETFIELD: {
      const TValue *rb = vRB(i);
      TValue *rc = KC(i);
      if (luaV_fastget(L, rb, tsvalue(rc), slot, luaH_getshortstr)) {
        setobj2s(L, ra, slot);
      }
      else
        luaV_finishget(L, rb, rc, ra, slot);
      break;
    }
    case OP_SELF: {
      const TValue *rb = vRB(i);
      TValue *rc = RKC(i);
      setobj2s(L, ra + 1, rb);
      if (luaV_fastget(L, rb, tsvalue(rc), slot, luaH_getstr)) {
        setobj2s(L, ra, slot);
      }
      else
        luaV_finishget(L, rb, rc, ra, slot);
      break;
    }
    case OP_SETTABUP: {
      const TValue *t = cl->upvals[GETARG_A(i)]->v.p;
      TValue *rb = KB(i);
      (void)luaV_fastget(L, t, tsvalue(rb), slot, luaH_getshortstr);
      setvalue(L, t, rb, RKC(i), slot);
      break;
    }
    case OP_SETTABLE: {
      TValue *rb = vRB(i);
      lua_Unsigned n;
      if (ttisinteger(rb)) {
        n = l_castS2U(ivalue(rb));
        (void)luaV_fastgeti(L, s2v(ra), n, slot);
      }
      else
        (void)luaV_fastget(L, s2v(ra), rb, slot, luaH_get);
      setvalue(L, s2v(ra), rb, RKC(i), slot);
      break;
    }
    case OP_SETI: {
      int c = GETARG_B(i);
      TValue key;
      setivalue(&key, c);
      (void)luaV_fastgeti(L, s2v(ra), c, slot);
      setvalue(L, s2v(ra), &key, RKC(i), slot);
      break;
    }
    case OP_SETFIELD: {
      TValue *rb = KB(i);
      (void)luaV_fastget(L, s2v(ra), tsvalue(rb), slot, luaH_getshortstr);
      setvalue(L, s2v(ra), rb, RKC(i), slot);
      break;
    }
    case OP_UNM: {
      const TValue *rb = vRB(i);
      lua_Number nb;
      if (ttisinteger(rb)) {
        lua_Integer ib = ivalue(rb);
        setivalue(s2v(ra), intop(-, 0, ib));
      }
      else if (tonumberns(rb, nb)) {
        setfltvalue(s2v(ra), luai_numunm(L, nb));
      }
      else
        luaT_trybinTM(L, rb, rb, ra, TM_UNM);
      break;
    }
    case OP_BNOT: {
      const TValue *rb = vRB(i);
      lua_Integer ib;
      if (tointegerns(rb, &ib)) {
        setivalue(s2v(ra), intop(^, ~l_castS2U(0), ib));
      }
      else
        luaT_trybinTM(L, rb, rb, ra, TM_BNOT);
      break;
    }
    case OP_LEN: {
      luaV_objlen(L, ra, vRB(i));
      break;
    }
    case OP_CLOSE: {
      luaF_close(L, ra, LUA_OK, 1);
      break;
    }
    case OP_TBC: {
      luaF_newtbcupval(L, ra);
      break;
    }
    case OP_EQ:
      return luaV_equalobj(L, s2v(ra), vRB(i));
    case OP_LT:
      return luaV_lessthan(L, s2v(ra), vRB(i));
    case OP_LE:
      return luaV_lessequal(L, s2v(ra), vRB(i));
    case OP_EQK:
      return luaV_rawequalobj(s2v(ra), KB(i));
    case OP_LTI: case OP_LEI: case OP_GTI: case OP_GEI:
      return compare(L, s2v(ra), i);
    case OP_FORPREP:
      return forprep(L, ra);
    case OP_FORLOOP:  /* of floats: those of integers are done in place */
      return floatforloop(ra);
    case OP_TFORPREP: {
      luaF_newtbcupval(L, ra + 3);
      break;
    }
    case OP_CLOSURE: {
      pushclosure(L, cl->p->p[GETARG_Bx(i)], cl->upvals, base, ra);
      luaC_condGC(L, L->top.p = ra + 1, (void)0);
      break;
    }
    case OP_VARARG: {
      luaT_getvarargs(L, ci, ra, GETARG_C(i) - 1);
      break;
    }
    default:
      calculate(L, ci, pc);
      break;
  }
  return 0;
}


EXPORTED("op_call")
Next moonfork_op_call (lua_State *L, CallInfo *ci, const Instruction *pc,
                       unsigned int depth) {
  Instruction i = pc[-1];
  StkId ra = ci->func.p + 1 + GETARG_A(i);
  int b = GETARG_B(i);
  int nresults = GETARG_C(i) - 1;
  CallInfo *newci;
  luaV_depth = depth;
  if (b != 0)
    L->top.p = ra + b;
  ci->u.l.savedpc = pc;
  if (ispcall(s2v(ra)) && !yieldable(L) && L->errorJmp != NULL && !L->hookmask &&
      L->top.p - ra >= 2 && getCcalls(L) < LUAI_MAXCCALLS - 1) {  /* as in `luaV_execute` */
    if (!canmark(L, L->errorJmp)) {  /* a guard is for the interpreter to make */
      ci->u.l.savedpc = pc - 1;
      return cast_uint(cast_sizet(ci)) | INTERPRET;
    }
    newci = luaD_callmarked(L, ra, nresults);
    if (newci != NULL && isstart(newci)) {
      Next next = callcompiled(L, newci, depth);
      if (next == ENDED)
        luaD_endmarked(L);
      else if (next != UNWINDS)
        next |= INTERPRET;  /* the caller's frame isn't the one that it returns to */
      return next;
    }
  }
  else
    newci = luaD_precall(L, ra, nresults);
  if (newci != NULL)
    return cast_uint(cast_sizet(newci));
  return l_likely(L->status == LUA_OK) ? ENDED : UNWINDS;
}


/* Gives the frame itself where it is another function's from there on. */
EXPORTED("op_tailcall")
Next moonfork_op_tailcall (lua_State *L, CallInfo *ci, const Instruction *pc,
                           unsigned int depth) {
  Instruction i = pc[-1];
  StkId base = ci->func.p + 1;
  StkId ra = RA(i);
  int b = GETARG_B(i);
  int nparams1 = GETARG_C(i);
  int delta = (nparams1) ? ci->u.l.nextraargs + nparams1 : 0;
  int n;
  luaV_depth = depth;
  if (ispcall(s2v(ra))) {
    ci->u.l.savedpc = pc - 1;
    return cast_uint(cast_sizet(ci)) | INTERPRET;
  }
  if (b != 0)
    L->top.p = ra + b;
  else
    b = cast_int(L->top.p - ra);
  ci->u.l.savedpc = pc;
  if (TESTARG_k(i))
    luaF_closeupval(L, base);
  if ((n = luaD_pretailcall(L, ci, ra, b, delta)) == -1)
    return cast_uint(cast_sizet(ci));
  if (l_unlikely(n < 0))
    return UNWINDS;
  ci->func.p -= delta;
  luaD_poscall(L, ci, n);
  return ENDED;
}


EXPORTED("op_return")
Next moonfork_op_return (lua_State *L, CallInfo *ci, const Instruction *pc,
                         unsigned int depth) {
  Instruction i = pc[-1];
  StkId base = ci->func.p + 1;
  StkId ra = RA(i);
  int n, nparams1;
  luaV_depth = depth;
  ci->u.l.savedpc = pc;
  if (GET_OPCODE(i) != OP_RETURN) {
    n = (GET_OPCODE(i) == OP_RETURN1);
    L->top.p = ra + n;
    luaD_poscall(L, ci, n);
    return ENDED;
  }
  n = GETARG_B(i) - 1;
  nparams1 = GETARG_C(i);
  if (n < 0)
    n = cast_int(L->top.p - ra);
  if (TESTARG_k(i)) {
    ci->u2.nres = n;
    if (L->top.p < ci->top.p)
      L->top.p = ci->top.p;
    luaF_close(L, base, CLOSEKTOP, 1);
    base = ci->func.p + 1;
    ra = RA(i);
  }
  if (nparams1)
    ci->func.p -= ci->u.l.nextraargs + nparams1;
  L->top.p = ra + n;
  luaD_poscall(L, ci, n);
  return ENDED;
}


/* As `luaH_getshortstr`, in place; NULL if there is no such key. */
l_sinline const TValue *findfield (const Table *t, const TString *key) {
  const Node *n = gnode(t, lmod(key->hash, sizenode(t)));
  for (;;) {
    if (keyisshrstr(n) && keystrval(n) == key)
      return gval(n);
    if (gnext(n) == 0)
      return NULL;
    n += gnext(n);
  }
}


/* The value of a field, there or where metatables lead to, without calls; else NULL. */
EXPORTED("field")
const TValue *moonfork_field (lua_State *L, Table *h, TString *key) {
  int loop;
  for (loop = 0; loop < 8; loop++) {
    const TValue *slot = findfield(h, key);
    Table *mt = h->metatable;
    if (slot != NULL && !isempty(slot))
      return slot;
    if (mt == NULL || (mt->flags & (1u << TM_INDEX)))  /* no `__index`? */
      return (mt != NULL && isoriginal(mt)) ? NULL : &G(L)->nilvalue;
    slot = findfield(mt, G(L)->tmname[TM_INDEX]);
    if (slot == NULL || !ttistable(slot))
      return NULL;
    h = hvalue(slot);
  }
  return NULL;
}


/* Sets a field. Gives where its value is, if it was there. */
EXPORTED("set_field")
const TValue *moonfork_set_field (lua_State *L, CallInfo *ci, const Instruction *pc,
                                  unsigned int depth, Table *h, TString *key) {
  TValue *k = ci_func(ci)->p->k;
  StkId base = ci->func.p + 1;
  Instruction i = pc[-1];
  TValue *value = RKC(i);
  const TValue *slot = findfield(h, key);
  TValue t, name;
  if (l_likely(slot != NULL && !isempty(slot))) {
    setobj2t(L, cast(TValue *, slot), value);
    luaC_barrierback(L, obj2gco(h), value);
    return slot;
  }
  if (slot == NULL && takesnew(h)) {  /* a new key, where it belongs? As in `ahead` */
    Node *node = gnode(h, lmod(key->hash, sizenode(h)));
    if (isempty(gval(node)) && !isdummy(h) && !isblack(h)) {
      keytt(node) = ctb(LUA_VSHRSTR);
      keyval(node).gc = obj2gco(key);
      setobj2t(L, gval(node), value);
      invalidateTMcache(h);
      return gval(node);
    }
  }
  if (slot == NULL)
    slot = luaH_getshortstr(h, key);  /* what says that it is absent */
  sethvalue(L, &t, h);
  setsvalue(L, &name, key);
  luaV_depth = depth;
  ci->u.l.savedpc = pc;
  L->top.p = ci->top.p;
  luaV_finishset(L, &t, &name, value, slot);
  return NULL;
}


/* Calls the C function at `ra` in place, if it can: see known.h. */
EXPORTED("known")
int moonfork_known (lua_State *L, StkId ra, int count) {
  return l_likely(!L->hookmask) && callknown(L, ra, count);
}


/* The table that the methods of strings are in, or NULL. */
EXPORTED("string_methods")
Table *moonfork_string_methods (lua_State *L) {
  Table *mt = G(L)->mt[LUA_TSTRING];
  const TValue *index = (mt == NULL) ? NULL : fasttm(L, mt, TM_INDEX);
  return (index != NULL && ttistable(index)) ? hvalue(index) : NULL;
}


EXPORTED("pow")
lua_Number moonfork_pow (lua_Number a, lua_Number b) {
  return luai_numpow(NULL, a, b);
}


EXPORTED("fmod")
lua_Number moonfork_fmod (lua_Number a, lua_Number b) {
  return luaV_modf(NULL, a, b);
}


/* What translated functions know of Lua's structures: translate/src/layout.rs. */
#define at(type,field,place)  _Static_assert(offsetof(type, field) == (place), "layout.rs")

_Static_assert(sizeof(TValue) == 16 && sizeof(StackValue) == 16, "layout.rs");
at(TValue, tt_, 8);
at(lua_State, top, 12);
at(lua_State, ci, 20);
at(lua_State, stack_last, 24);
at(lua_State, hookmask, 112);
at(CallInfo, func, 0);
at(CallInfo, top, 4);
at(CallInfo, previous, 8);
at(CallInfo, next, 12);
at(CallInfo, u.l.savedpc, 16);
at(CallInfo, u.l.trap, 20);
at(CallInfo, nresults, 32);
at(CallInfo, callstatus, 34);
at(LClosure, p, 12);
at(LClosure, upvals, 16);
at(UpVal, v.p, 8);
at(Proto, numparams, 6);
at(Proto, maxstacksize, 8);
at(Proto, compiled, 10);
at(Proto, sizeupvalues, 12);
at(Proto, k, 48);
at(Proto, code, 52);
at(Table, marked, 5);
at(Table, flags, 6);
at(Table, lsizenode, 7);
at(Table, alimit, 8);
at(Table, array, 12);
at(Table, node, 16);
at(Table, metatable, 24);
_Static_assert(sizeof(Node) == 24, "layout.rs");
at(Node, u.tt_, 8);
at(Node, u.key_tt, 9);
at(Node, u.key_val, 16);
_Static_assert(BITRAS == 0x80 && bitmask(BLACKBIT) == 0x20, "layout.rs");
_Static_assert(LUA_VNIL == 0x00 && LUA_VFALSE == 0x01 && LUA_VTRUE == 0x11, "layout.rs");
_Static_assert(LUA_VNUMINT == 0x03 && LUA_VNUMFLT == 0x13, "layout.rs");
_Static_assert(ctb(LUA_VSHRSTR) == 0x44 && ctb(LUA_VLNGSTR) == 0x54, "layout.rs");
_Static_assert(ctb(LUA_VTABLE) == 0x45 && ctb(LUA_VLCL) == 0x46, "layout.rs");
_Static_assert(LUA_VLCF == 0x16, "layout.rs");
_Static_assert(BIT_ISCOLLECTABLE == 0x40 && LUAI_MAXSHORTLEN == 40, "layout.rs");
_Static_assert(sizeof(Instruction) == 4 && NUM_OPCODES == 83, "layout.rs");

#undef at
#undef EXPORTED
#undef takesnew
