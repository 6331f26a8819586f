/*
** Included in lvm.c, before `luaV_execute`: the instructions that need no function calls.
*/

#undef updatetrap
#undef Protect

/* A hook is to be called: that is left to `luaV_execute`. */
#define updatetrap(ci)	{ if (l_unlikely(ci->u.l.trap)) goto leave; }
#define Protect(exp)	goto back

/* The tags of two values as one number. */
#define tags(v1,v2)	(cast_uint(rawtt(v1)) << 8 | rawtt(v2))
#define BOTH(t)		((t) << 8 | (t))

/* A value that is a number as a float; else goes on, to the fallback. */
#define tofloat(v,n)  \
  if (ttisfloat(v)) n = fltvalue(v);  \
  else if (ttisinteger(v)) n = cast_num(ivalue(v));  \
  else break;

#define ahead_arith(v1_,v2_,iop,fop) {  \
  StkId ra = RA(i);  \
  TValue *v1 = v1_;  \
  TValue *v2 = v2_;  \
  unsigned int tt = tags(v1, v2);  \
  if (tt == BOTH(LUA_VNUMINT)) {  \
    lua_Integer i1 = ivalue(v1); lua_Integer i2 = ivalue(v2);  \
    setivalue(s2v(ra), iop(L, i1, i2));  \
  }  \
  else {  \
    lua_Number n1; lua_Number n2;  \
    if (l_likely(tt == BOTH(LUA_VNUMFLT))) {  \
      n1 = fltvalue(v1); n2 = fltvalue(v2);  \
    }  \
    else { tofloat(v1, n1); tofloat(v2, n2); }  \
    setfltvalue(s2v(ra), fop(L, n1, n2));  \
  }  \
  pc++; }

#define ahead_div(v1_,v2_) {  \
  StkId ra = RA(i);  \
  TValue *v1 = v1_;  \
  TValue *v2 = v2_;  \
  lua_Number n1; lua_Number n2;  \
  tofloat(v1, n1); tofloat(v2, n2);  \
  setfltvalue(s2v(ra), luai_numdiv(L, n1, n2));  \
  pc++; }

#define ahead_order(opi,opf) {  \
  StkId ra = RA(i);  \
  TValue *rb = vRB(i);  \
  unsigned int tt = tags(s2v(ra), rb);  \
  int cond;  \
  if (tt == BOTH(LUA_VNUMINT))  \
    cond = opi(ivalue(s2v(ra)), ivalue(rb));  \
  else if (l_likely(tt == BOTH(LUA_VNUMFLT)))  \
    cond = opf(fltvalue(s2v(ra)), fltvalue(rb));  \
  else goto back;  \
  docondjump(); }

/*
** Looks for a short string in the three first nodes of its chain: gives the value there, NULL
** if there is no such key, and &unknown where there are more nodes.
*/
#define isnode(n,key)	(keyisshrstr(n) && keystrval(n) == (key))

#define find(t,key,slot)  {  \
  const Node *n_ = gnode(t, lmod((key)->hash, sizenode(t)));  \
  slot = gval(n_);  \
  if (l_unlikely(!isnode(n_, key))) {  \
    int nx_ = gnext(n_);  \
    if (nx_ == 0) slot = NULL;  \
    else {  \
      n_ += nx_;  \
      slot = gval(n_);  \
      if (!isnode(n_, key)) {  \
        nx_ = gnext(n_);  \
        if (nx_ == 0) slot = NULL;  \
        else {  \
          n_ += nx_;  \
          slot = gval(n_);  \
          if (!isnode(n_, key)) goto back;  \
        }  \
      }  \
    }  \
  }}

static __attribute__((noinline)) CallInfo *ahead (lua_State *L, CallInfo *ci) {
  const Instruction *pc = ci->u.l.savedpc;
  LClosure *cl = ci_func(ci);
  TValue *k = cl->p->k;
  StkId base = ci->func.p + 1;
  Instruction i;
  Table *h;
  const TString *key;
  const TValue *rc;
  for (;;) {
    i = *(pc++);
    switch (GET_OPCODE(i)) {
      case OP_MOVE: {
        StkId ra = RA(i);
        setobjs2s(L, ra, RB(i));
        break;
      }
      case OP_LOADI: {
        StkId ra = RA(i);
        lua_Integer b = GETARG_sBx(i);
        setivalue(s2v(ra), b);
        break;
      }
      case OP_LOADF: {
        StkId ra = RA(i);
        int b = GETARG_sBx(i);
        setfltvalue(s2v(ra), cast_num(b));
        break;
      }
      case OP_LOADK: {
        StkId ra = RA(i);
        TValue *rb = k + GETARG_Bx(i);
        setobj2s(L, ra, rb);
        break;
      }
      case OP_LOADFALSE: {
        StkId ra = RA(i);
        setbfvalue(s2v(ra));
        break;
      }
      case OP_LFALSESKIP: {
        StkId ra = RA(i);
        setbfvalue(s2v(ra));
        pc++;
        break;
      }
      case OP_LOADTRUE: {
        StkId ra = RA(i);
        setbtvalue(s2v(ra));
        break;
      }
      case OP_LOADNIL: {
        StkId ra = RA(i);
        if (GETARG_B(i) != 0)
          goto back;
        setnilvalue(s2v(ra));
        break;
      }
      case OP_GETUPVAL: {
        StkId ra = RA(i);
        int b = GETARG_B(i);
        setobj2s(L, ra, cl->upvals[b]->v.p);
        break;
      }
      case OP_SETUPVAL: {
        StkId ra = RA(i);
        UpVal *uv = cl->upvals[GETARG_B(i)];
        if (iscollectable(s2v(ra)) && isblack(uv) && iswhite(gcvalue(s2v(ra))))
          goto back;
        setobj(L, uv->v.p, s2v(ra));
        break;
      }
      case OP_GETTABUP: {
        TValue *upval = cl->upvals[GETARG_B(i)]->v.p;
        TValue *rk = KC(i);
        key = tsvalue(rk);
        if (!ttistable(upval))
          goto back;
        h = hvalue(upval);
        goto get;
      }
      case OP_GETTABLE: {
        TValue *rb = vRB(i);
        TValue *rk = vRC(i);
        if (!ttistable(rb))
          goto back;
        h = hvalue(rb);
        if (ttisinteger(rk)) {
          lua_Unsigned n = l_castS2U(ivalue(rk)) - 1u;
          if (n < h->alimit) {
            const TValue *slot = &h->array[n];
            StkId ra = RA(i);
            if (!isempty(slot)) {
              setobj2s(L, ra, slot);
              break;
            }
            else if (h->metatable == NULL) {
              setnilvalue(s2v(ra));
              break;
            }
          }
          goto back;
        }
        if (!ttisshrstring(rk))
          goto back;
        key = tsvalue(rk);
        goto get;
      }
      case OP_GETI: {
        TValue *rb = vRB(i);
        unsigned int n = cast_uint(GETARG_C(i)) - 1u;
        if (!ttistable(rb))
          goto back;
        h = hvalue(rb);
        if (n < h->alimit) {
          const TValue *slot = &h->array[n];
          StkId ra = RA(i);
          if (!isempty(slot)) {
            setobj2s(L, ra, slot);
            break;
          }
          else if (h->metatable == NULL) {
            setnilvalue(s2v(ra));
            break;
          }
        }
        goto back;
      }
      case OP_GETFIELD: {
        TValue *rb = vRB(i);
        TValue *rk = KC(i);
        key = tsvalue(rk);
        if (!ttistable(rb))
          goto back;
        h = hvalue(rb);
        goto get;
      }
      case OP_SELF: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        TValue *rk = RKC(i);
        key = tsvalue(rk);
        if (!ttistable(rb) || key->tt != LUA_VSHRSTR)
          goto back;
        h = hvalue(rb);
        setobj2s(L, ra + 1, rb);
        goto get;
      }
      get: {  /* R[A] := h[key] */
        StkId ra = RA(i);
        const TValue *slot;
        Table *mt;
        find(h, key, slot);
        if (slot != NULL && !isempty(slot)) {
          setobj2s(L, ra, slot);
          break;
        }
        mt = h->metatable;
        if (mt == NULL || (mt->flags & (1u << TM_INDEX))) {
          setnilvalue(s2v(ra));
          break;
        }
        {
          const TString *index = G(L)->tmname[TM_INDEX];
          find(mt, index, slot);
        }
        if (slot == NULL || !ttistable(slot))
          goto back;
        h = hvalue(slot);
        find(h, key, slot);
        if (slot == NULL || isempty(slot))
          goto back;
        setobj2s(L, ra, slot);
        break;
      }
      case OP_SETTABUP: {
        TValue *upval = cl->upvals[GETARG_A(i)]->v.p;
        TValue *rb = KB(i);
        rc = RKC(i);
        key = tsvalue(rb);
        if (!ttistable(upval))
          goto back;
        h = hvalue(upval);
        goto set;
      }
      case OP_SETTABLE: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        rc = RKC(i);
        if (!ttistable(s2v(ra)))
          goto back;
        h = hvalue(s2v(ra));
        if (ttisinteger(rb)) {
          lua_Unsigned n = l_castS2U(ivalue(rb)) - 1u;
          if (n < h->alimit) {
            TValue *slot = &h->array[n];
            if ((!isempty(slot) || h->metatable == NULL) &&
                !(iscollectable(rc) && isblack(h) && iswhite(gcvalue(rc)))) {
              setobj2t(L, slot, rc);
              break;
            }
          }
          goto back;
        }
        if (!ttisshrstring(rb))
          goto back;
        key = tsvalue(rb);
        goto set;
      }
      case OP_SETI: {
        StkId ra = RA(i);
        unsigned int n = cast_uint(GETARG_B(i)) - 1u;
        rc = RKC(i);
        if (!ttistable(s2v(ra)))
          goto back;
        h = hvalue(s2v(ra));
        if (n < h->alimit) {
          TValue *slot = &h->array[n];
          if ((!isempty(slot) || h->metatable == NULL) &&
              !(iscollectable(rc) && isblack(h) && iswhite(gcvalue(rc)))) {
            setobj2t(L, slot, rc);
            break;
          }
        }
        goto back;
      }
      case OP_SETFIELD: {
        StkId ra = RA(i);
        TValue *rb = KB(i);
        rc = RKC(i);
        key = tsvalue(rb);
        if (!ttistable(s2v(ra)))
          goto back;
        h = hvalue(s2v(ra));
        goto set;
      }
      set: {  /* h[key] := rc */
        const TValue *slot;
        find(h, key, slot);
        if (slot == NULL || isempty(slot) ||
            (iscollectable(rc) && isblack(h) && iswhite(gcvalue(rc))))
          goto back;
        setobj2t(L, cast(TValue *, slot), rc);
        break;
      }
      case OP_ADDI: {
        op_arithI(L, l_addi, luai_numadd);
        break;
      }
      case OP_ADDK: {
        ahead_arith(vRB(i), KC(i), l_addi, luai_numadd);
        break;
      }
      case OP_SUBK: {
        ahead_arith(vRB(i), KC(i), l_subi, luai_numsub);
        break;
      }
      case OP_MULK: {
        ahead_arith(vRB(i), KC(i), l_muli, luai_nummul);
        break;
      }
      case OP_DIVK: {
        ahead_div(vRB(i), KC(i));
        break;
      }
      case OP_MODK: {
        StkId ra = RA(i);
        TValue *v1 = vRB(i);
        TValue *v2 = KC(i);
        if (ttisinteger(v1) && ttisinteger(v2) && ivalue(v2) > 0) {
          lua_Integer n = ivalue(v2);
          lua_Integer r = ivalue(v1) % n;
          if (r < 0) r += n;
          pc++; setivalue(s2v(ra), r);
          break;
        }
        goto back;
      }
      case OP_IDIVK: {
        StkId ra = RA(i);
        TValue *v1 = vRB(i);
        TValue *v2 = KC(i);
        if (ttisinteger(v1) && ttisinteger(v2) && ivalue(v2) > 0) {
          lua_Integer m = ivalue(v1), n = ivalue(v2);
          lua_Integer q = m / n;
          if (m < 0 && m % n != 0) q -= 1;
          pc++; setivalue(s2v(ra), q);
          break;
        }
        goto back;
      }
      case OP_MOD: {
        StkId ra = RA(i);
        TValue *v1 = vRB(i);
        TValue *v2 = vRC(i);
        if (ttisinteger(v1) && ttisinteger(v2) && ivalue(v2) > 0) {
          lua_Integer n = ivalue(v2);
          lua_Integer r = ivalue(v1) % n;
          if (r < 0) r += n;
          pc++; setivalue(s2v(ra), r);
          break;
        }
        goto back;
      }
      case OP_IDIV: {
        StkId ra = RA(i);
        TValue *v1 = vRB(i);
        TValue *v2 = vRC(i);
        if (ttisinteger(v1) && ttisinteger(v2) && ivalue(v2) > 0) {
          lua_Integer m = ivalue(v1), n = ivalue(v2);
          lua_Integer q = m / n;
          if (m < 0 && m % n != 0) q -= 1;
          pc++; setivalue(s2v(ra), q);
          break;
        }
        goto back;
      }
      case OP_ADD: {
        ahead_arith(vRB(i), vRC(i), l_addi, luai_numadd);
        break;
      }
      case OP_SUB: {
        ahead_arith(vRB(i), vRC(i), l_subi, luai_numsub);
        break;
      }
      case OP_MUL: {
        ahead_arith(vRB(i), vRC(i), l_muli, luai_nummul);
        break;
      }
      case OP_DIV: {
        ahead_div(vRB(i), vRC(i));
        break;
      }
      case OP_UNM: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        if (ttisinteger(rb)) {
          lua_Integer ib = ivalue(rb);
          setivalue(s2v(ra), intop(-, 0, ib));
        }
        else if (ttisfloat(rb)) {
          setfltvalue(s2v(ra), luai_numunm(L, fltvalue(rb)));
        }
        else goto back;
        break;
      }
      case OP_NOT: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        if (l_isfalse(rb))
          setbtvalue(s2v(ra));
        else
          setbfvalue(s2v(ra));
        break;
      }
      case OP_LEN: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        if (ttisshrstring(rb)) {
          setivalue(s2v(ra), tsvalue(rb)->shrlen);
          break;
        }
        goto back;
      }
      case OP_JMP: {
        dojump(ci, i, 0);
        break;
      }
      case OP_EQ: {
        StkId ra = RA(i);
        int cond;
        TValue *rb = vRB(i);
        if (rawtt(s2v(ra)) != rawtt(rb)) {
          if (ttisnumber(rb) && ttisnumber(s2v(ra))) goto back;
          cond = 0;
        }
        else if (ttisinteger(rb))
          cond = (ivalue(s2v(ra)) == ivalue(rb));
        else if (ttisfloat(rb))
          cond = luai_numeq(fltvalue(s2v(ra)), fltvalue(rb));
        else if (ttisshrstring(rb))
          cond = (gcvalue(s2v(ra)) == gcvalue(rb));
        else if (ttisnil(rb) || ttisboolean(rb))
          cond = 1;
        else goto back;
        docondjump();
        break;
      }
      case OP_LT: {
        ahead_order(l_lti, luai_numlt);
        break;
      }
      case OP_LE: {
        ahead_order(l_lei, luai_numle);
        break;
      }
      case OP_EQK: {
        StkId ra = RA(i);
        int cond;
        TValue *rb = KB(i);
        if (rawtt(s2v(ra)) == ctb(LUA_VSHRSTR) && rawtt(rb) == ctb(LUA_VSHRSTR))
          cond = (gcvalue(s2v(ra)) == gcvalue(rb));
        else if (ttisnil(rb))
          cond = ttisnil(s2v(ra));
        else if (rawtt(rb) == ctb(LUA_VSHRSTR))
          cond = 0;
        else goto back;
        docondjump();
        break;
      }
      case OP_EQI: {
        StkId ra = RA(i);
        int cond;
        int im = GETARG_sB(i);
        if (ttisinteger(s2v(ra)))
          cond = (ivalue(s2v(ra)) == im);
        else if (ttisfloat(s2v(ra)))
          cond = luai_numeq(fltvalue(s2v(ra)), cast_num(im));
        else
          cond = 0;  /* other types cannot be equal to a number */
        docondjump();
        break;
      }
      case OP_LTI: {
        op_orderI(L, l_lti, luai_numlt, 0, TM_LT);
        break;
      }
      case OP_LEI: {
        op_orderI(L, l_lei, luai_numle, 0, TM_LE);
        break;
      }
      case OP_GTI: {
        op_orderI(L, l_gti, luai_numgt, 1, TM_LT);
        break;
      }
      case OP_GEI: {
        op_orderI(L, l_gei, luai_numge, 1, TM_LE);
        break;
      }
      case OP_TEST: {
        StkId ra = RA(i);
        int cond = !l_isfalse(s2v(ra));
        docondjump();
        break;
      }
      case OP_TESTSET: {
        StkId ra = RA(i);
        TValue *rb = vRB(i);
        if (l_isfalse(rb) == GETARG_k(i))
          pc++;
        else {
          setobj2s(L, ra, rb);
          donextjump(ci);
        }
        break;
      }
      case OP_CALL: {
        StkId ra = RA(i);
        CallInfo *newci = ci->next;
        int b = GETARG_B(i);
        Proto *p;
        int narg, fsize;
        if (!ttisLclosure(s2v(ra)) || newci == NULL || L->hookmask)
          goto back;
        p = clLvalue(s2v(ra))->p;
        fsize = p->maxstacksize;
        if (L->stack_last.p - (b != 0 ? ra + b : L->top.p) <= fsize)
          goto back;
        narg = (b != 0) ? b : cast_int(L->top.p - ra);
        if (narg < p->numparams + 1)
          goto back;
        L->top.p = ra + narg;
        ci->u.l.savedpc = pc;
        newci->func.p = ra;
        newci->nresults = GETARG_C(i) - 1;
        newci->callstatus = 0;
        newci->top.p = ra + 1 + fsize;
        pc = newci->u.l.savedpc = p->code;
        L->ci = ci = newci;
        cl = clLvalue(s2v(ra));
        k = p->k;
        base = ra + 1;
        break;
      }
      case OP_RETURN0: {
        int nres;
        if (L->hookmask || (ci->callstatus & CIST_FRESH))
          goto back;
        nres = ci->nresults;
        if (nres > 1)
          goto back;
        L->top.p = base - 1;
        if (nres == 1)
          setnilvalue(s2v(L->top.p++));
        goto ret;
      }
      case OP_RETURN1: {
        int nres;
        if (L->hookmask || (ci->callstatus & CIST_FRESH))
          goto back;
        nres = ci->nresults;
        if (nres > 1)
          goto back;
        if (nres == 0)
          L->top.p = base - 1;
        else {
          StkId ra = RA(i);
          setobjs2s(L, base - 1, ra);
          L->top.p = base;
        }
       ret:
        L->ci = ci = ci->previous;
        cl = ci_func(ci);
        k = cl->p->k;
        pc = ci->u.l.savedpc;
        base = ci->func.p + 1;
        break;
      }
      case OP_FORLOOP: {
        StkId ra = RA(i);
        if (ttisinteger(s2v(ra + 2))) {
          lua_Unsigned count = l_castS2U(ivalue(s2v(ra + 1)));
          if (count > 0) {
            lua_Integer step = ivalue(s2v(ra + 2));
            lua_Integer idx = ivalue(s2v(ra));
            chgivalue(s2v(ra + 1), count - 1);
            idx = intop(+, idx, step);
            chgivalue(s2v(ra), idx);
            setivalue(s2v(ra + 3), idx);
            pc -= GETARG_Bx(i);
          }
        }
        else if (floatforloop(ra))
          pc -= GETARG_Bx(i);
        updatetrap(ci);
        break;
      }
      case OP_FORPREP: {
        StkId ra = RA(i);
        if (ttisinteger(s2v(ra)) && ttisinteger(s2v(ra + 1)) &&
            ttisinteger(s2v(ra + 2)) && ivalue(s2v(ra + 2)) == 1) {
          lua_Integer init = ivalue(s2v(ra));
          lua_Integer limit = ivalue(s2v(ra + 1));
          if (init > limit)
            pc += GETARG_Bx(i) + 1;
          else {
            lua_Unsigned count = l_castS2U(limit) - l_castS2U(init);
            setivalue(s2v(ra + 3), init);
            setivalue(s2v(ra + 1), l_castU2S(count));
          }
          break;
        }
        goto back;
      }
      case OP_TFORLOOP: {
        StkId ra = RA(i);
        if (!ttisnil(s2v(ra + 4))) {
          setobjs2s(L, ra + 2, ra + 4);
          pc -= GETARG_Bx(i);
        }
        break;
      }
      default:
        goto back;
    }
  }
 back:  /* the instruction is to be done by `luaV_execute` */
  pc--;
 leave:
  ci->u.l.savedpc = pc;
  return ci;
}

#undef updatetrap
#undef Protect
#define updatetrap(ci)  (trap = ci->u.l.trap)
#define Protect(exp)  (savestate(L,ci), (exp), updatetrap(ci))
