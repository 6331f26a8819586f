/*
** Included in lvm_ahead.h, in the loop of `ahead`, once for each instruction of a turn: does the
** one that `pc` is at, or leaves by `back`.
*/

{
  __label__ getint, getstr, setint, setstr, ret;  /* of this copy */
  Instruction i = *(pc++);
  /* what several instructions share that have to do with tables */
  const TString *key;
  lua_Unsigned n;
  const TValue *value;
  switch (GET_OPCODE(i)) {
    case OP_MOVE: {
      StkId ra = RA(i);
      setobjs2s(L, ra, RB(i));
      break;
    }
    case OP_LOADI: {
      StkId ra = RA(i);
      setivalue(s2v(ra), GETARG_sBx(i));
      break;
    }
    case OP_LOADF: {
      StkId ra = RA(i);
      setfltvalue(s2v(ra), cast_num(GETARG_sBx(i)));
      break;
    }
    case OP_LOADK: {
      StkId ra = RA(i);
      setobj2s(L, ra, k + GETARG_Bx(i));
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
      if (GETARG_B(i) != 0)  /* more than one? */
        goto back;
      setnilvalue(s2v(ra));
      break;
    }
    case OP_GETUPVAL: {
      StkId ra = RA(i);
      setobj2s(L, ra, cl->upvals[GETARG_B(i)]->v.p);
      break;
    }
    case OP_SETUPVAL: {
      UpVal *uv = cl->upvals[GETARG_B(i)];
      value = s2v(RA(i));
      if (barred(uv, value))
        goto back;
      setobj(L, uv->v.p, value);
      break;
    }
    case OP_GETTABUP: {
      const TValue *upval = cl->upvals[GETARG_B(i)]->v.p;
      key = tsvalue(KC(i));
      if (!ttistable(upval))
        goto back;
      h = hvalue(upval);
      goto getstr;
    }
    case OP_GETFIELD: {
      const TValue *rb = vRB(i);
      key = tsvalue(KC(i));
      if (!ttistable(rb))
        goto back;
      h = hvalue(rb);
      goto getstr;
    }
    case OP_SELF: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      const TValue *rc = RKC(i);
      if (!ttisshrstring(rc))
        goto back;
      key = tsvalue(rc);
      if (ttistable(rb))
        h = hvalue(rb);
      else if (ttisstring(rb)) {  /* the methods of strings are where their metatable says */
        Table *mt = G(L)->mt[LUA_TSTRING];
        const TString *index = G(L)->tmname[TM_INDEX];
        const TValue *slot;
        if (mt == NULL)
          goto back;
        find(mt, index, slot);
        if (slot == NULL || !ttistable(slot))
          goto back;
        h = hvalue(slot);
      }
      else goto back;
      setobj2s(L, ra + 1, rb);
      goto getstr;
    }
    case OP_GETTABLE: {
      const TValue *rb = vRB(i);
      const TValue *rc = vRC(i);
      if (!ttistable(rb))
        goto back;
      h = hvalue(rb);
      if (ttisinteger(rc)) {
        n = l_castS2U(ivalue(rc));
        goto getint;
      }
      if (!ttisshrstring(rc))
        goto back;
      key = tsvalue(rc);
      goto getstr;
    }
    case OP_GETI: {
      const TValue *rb = vRB(i);
      if (!ttistable(rb))
        goto back;
      h = hvalue(rb);
      n = cast_uint(GETARG_C(i));
      goto getint;
    }
    getint: {  /* R[A] := h[n] */
      StkId ra = RA(i);
      if (beyond(h, n))
        goto back;
      value = &h->array[n - 1u];
      if (l_likely(!isempty(value))) {
        setobj2s(L, ra, value);
      }
      else if (h->metatable == NULL) {
        setnilvalue(s2v(ra));
      }
      else goto back;
      break;
    }
    getstr: {  /* R[A] := h[key] */
      StkId ra = RA(i);
      Table *mt;
      find(h, key, value);
      if (value == NULL || isempty(value)) {
        mt = h->metatable;
        if (mt == NULL) {
          setnilvalue(s2v(ra));
          break;
        }
        else if (mt->flags & (1u << TM_INDEX)) {  /* no `__index`? */
          if (isoriginal(mt))
            goto back;
          setnilvalue(s2v(ra));
          break;
        }
        else {
          const TString *index = G(L)->tmname[TM_INDEX];
          find(mt, index, value);
        }
        if (value == NULL || !ttistable(value))
          goto back;
        h = hvalue(value);
        find(h, key, value);
        if (value == NULL || isempty(value)) {
          name = key;
          goto further;
        }
      }
      setobj2s(L, ra, value);
      break;
    }
    case OP_SETTABUP: {
      const TValue *upval = cl->upvals[GETARG_A(i)]->v.p;
      key = tsvalue(KB(i));
      value = RKC(i);
      if (!ttistable(upval))
        goto back;
      h = hvalue(upval);
      goto setstr;
    }
    case OP_SETFIELD: {
      const TValue *ra = s2v(RA(i));
      key = tsvalue(KB(i));
      value = RKC(i);
      if (!ttistable(ra))
        goto back;
      h = hvalue(ra);
      goto setstr;
    }
    case OP_SETTABLE: {
      const TValue *ra = s2v(RA(i));
      const TValue *rb = vRB(i);
      value = RKC(i);
      if (!ttistable(ra))
        goto back;
      h = hvalue(ra);
      if (ttisinteger(rb)) {
        n = l_castS2U(ivalue(rb));
        goto setint;
      }
      if (!ttisshrstring(rb))
        goto back;
      key = tsvalue(rb);
      goto setstr;
    }
    case OP_SETI: {
      const TValue *ra = s2v(RA(i));
      value = RKC(i);
      if (!ttistable(ra))
        goto back;
      h = hvalue(ra);
      n = cast_uint(GETARG_B(i));
      goto setint;
    }
    setint: {  /* h[n] := value */
      TValue *slot;
      if (beyond(h, n))
        goto back;
      slot = &h->array[n - 1u];
      if ((isempty(slot) && !takesnew(h)) || barred(h, value))
        goto back;
      setobj2t(L, slot, value);
      break;
    }
    setstr: {  /* h[key] := value */
      const TValue *slot;
      if (barred(h, value))
        goto back;
      find(h, key, slot);
      if (slot == NULL || isempty(slot)) {
        if (!takesnew(h))
          goto back;
        if (slot == NULL) {  /* a new key: only where it belongs */
          Node *node = gnode(h, lmod(key->hash, sizenode(h)));
          if (!isempty(gval(node)) || isdummy(h) || (isblack(h) && iswhite(key)))
            goto back;
          keytt(node) = ctb(LUA_VSHRSTR);
          keyval(node).gc = obj2gco(key);
          slot = gval(node);
        }
        invalidateTMcache(h);
      }
      setobj2t(L, cast(TValue *, slot), value);
      break;
    }
    case OP_ADDI: {
      StkId ra = RA(i);
      const TValue *v1 = vRB(i);
      int imm = GETARG_sC(i);
      if (ttisinteger(v1)) {
        lua_Integer i1 = ivalue(v1);
        setivalue(s2v(ra), l_addi(L, i1, imm));
      }
      else if (l_likely(ttisfloat(v1))) {
        lua_Number n1 = fltvalue(v1);
        setfltvalue(s2v(ra), luai_numadd(L, n1, cast_num(imm)));
      }
      else break;
      pc++;
      break;
    }
    case OP_ADDK: {
      arith(KC(i), l_addi, luai_numadd);
      break;
    }
    case OP_SUBK: {
      arith(KC(i), l_subi, luai_numsub);
      break;
    }
    case OP_MULK: {
      arith(KC(i), l_muli, luai_nummul);
      break;
    }
    case OP_MODK: {
      floored(KC(i), rest < 0 ? rest + n : rest);
      break;
    }
    case OP_POWK: {  /* squares, which Lua multiplies too */
      StkId ra = RA(i);
      const TValue *v1 = vRB(i);
      const TValue *v2 = KC(i);
      lua_Number n1;
      if (!(ttisinteger(v2) ? ivalue(v2) == 2 : ttisfloat(v2) && fltvalue(v2) == 2))
        goto back;
      needfloat(v1, n1);
      setfltvalue(s2v(ra), n1 * n1);
      pc++;
      break;
    }
    case OP_DIVK: {
      divide(KC(i));
      break;
    }
    case OP_IDIVK: {
      floored(KC(i), m / n - (rest < 0));
      break;
    }
    case OP_BANDK: {
      bits(KC(i), l_band);
      break;
    }
    case OP_BORK: {
      bits(KC(i), l_bor);
      break;
    }
    case OP_BXORK: {
      bits(KC(i), l_bxor);
      break;
    }
    case OP_SHRI: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      int ic = GETARG_sC(i);
      lua_Integer ib;
      if (!ttisinteger(rb))
        goto back;
      ib = ivalue(rb);
      setivalue(s2v(ra), shift_right(ib, ic));
      pc++;
      break;
    }
    case OP_SHLI: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      int ic = GETARG_sC(i);
      lua_Integer ib;
      if (!ttisinteger(rb))
        goto back;
      ib = ivalue(rb);
      setivalue(s2v(ra), shift_left(ic, ib));
      pc++;
      break;
    }
    case OP_ADD: {
      arith(vRC(i), l_addi, luai_numadd);
      break;
    }
    case OP_SUB: {
      arith(vRC(i), l_subi, luai_numsub);
      break;
    }
    case OP_MUL: {
      arith(vRC(i), l_muli, luai_nummul);
      break;
    }
    case OP_MOD: {
      floored(vRC(i), rest < 0 ? rest + n : rest);
      break;
    }
    case OP_DIV: {
      divide(vRC(i));
      break;
    }
    case OP_IDIV: {
      floored(vRC(i), m / n - (rest < 0));
      break;
    }
    case OP_BAND: {
      bits(vRC(i), l_band);
      break;
    }
    case OP_BOR: {
      bits(vRC(i), l_bor);
      break;
    }
    case OP_BXOR: {
      bits(vRC(i), l_bxor);
      break;
    }
    case OP_SHL: {
      bits(vRC(i), shift_left);
      break;
    }
    case OP_SHR: {
      bits(vRC(i), shift_right);
      break;
    }
    case OP_UNM: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      if (ttisinteger(rb)) {
        lua_Integer ib = ivalue(rb);
        setivalue(s2v(ra), intop(-, 0, ib));
      }
      else if (l_likely(ttisfloat(rb))) {
        lua_Number nb = fltvalue(rb);
        setfltvalue(s2v(ra), luai_numunm(L, nb));
      }
      else goto back;
      break;
    }
    case OP_BNOT: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      lua_Integer ib;
      if (!ttisinteger(rb))
        goto back;
      ib = ivalue(rb);
      setivalue(s2v(ra), intop(^, ~l_castS2U(0), ib));
      break;
    }
    case OP_NOT: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      if (l_isfalse(rb))
        setbtvalue(s2v(ra));
      else
        setbfvalue(s2v(ra));
      break;
    }
    case OP_LEN: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      if (ttisstring(rb)) {
        setivalue(s2v(ra), tsslen(tsvalue(rb)));
      }
      else if (ttistable(rb)) {  /* whose list ends where `alimit` says? */
        const Table *t = hvalue(rb);
        unsigned int limit = t->alimit;
        if (t->metatable != NULL || limit == 0 || isempty(&t->array[limit - 1]))
          goto back;
        if (isrealasize(t) || ispow2(limit)) {  /* is the array full? */
          if (!isdummy(t))
            goto back;
        }
        else if (!isempty(&t->array[limit]))
          goto back;
        setivalue(s2v(ra), limit);
      }
      else goto back;
      break;
    }
    case OP_JMP: {
      dojump(ci, i, 0);
      break;
    }
    case OP_EQ: {
      const TValue *ra = s2v(RA(i));
      const TValue *rb = vRB(i);
      int cond;
      if (rawtt(ra) != rawtt(rb)) {
        if (ttype(ra) == ttype(rb))  /* an integer and a float, two kinds of strings? */
          goto back;
        cond = 0;
      }
      else if (ttisinteger(rb))
        cond = (ivalue(ra) == ivalue(rb));
      else if (ttisshrstring(rb))
        cond = (tsvalue(ra) == tsvalue(rb));
      else if (ttisfloat(rb))
        cond = luai_numeq(fltvalue(ra), fltvalue(rb));
      else if (ttisnil(rb) || ttisboolean(rb))
        cond = 1;
      else if (ttistable(rb)) {
        cond = (hvalue(ra) == hvalue(rb));
        if (!cond && (hvalue(ra)->metatable != NULL || hvalue(rb)->metatable != NULL))
          goto back;
      }
      else goto back;
      docondjump();
      break;
    }
    case OP_LT: {
      order(l_lti, luai_numlt);
      break;
    }
    case OP_LE: {
      order(l_lei, luai_numle);
      break;
    }
    case OP_EQK: {
      const TValue *ra = s2v(RA(i));
      const TValue *rb = KB(i);
      int cond;
      if (ttisshrstring(rb))
        cond = (rawtt(ra) == rawtt(rb) && tsvalue(ra) == tsvalue(rb));
      else if (ttisnil(rb))
        cond = ttisnil(ra);
      else goto back;
      docondjump();
      break;
    }
    case OP_EQI: {
      const TValue *ra = s2v(RA(i));
      int im = GETARG_sB(i);
      int cond;
      if (ttisinteger(ra))
        cond = (ivalue(ra) == im);
      else if (ttisfloat(ra))
        cond = luai_numeq(fltvalue(ra), cast_num(im));
      else
        cond = 0;
      docondjump();
      break;
    }
    case OP_LTI: {
      orderI(l_lti, luai_numlt);
      break;
    }
    case OP_LEI: {
      orderI(l_lei, luai_numle);
      break;
    }
    case OP_GTI: {
      orderI(l_gti, luai_numgt);
      break;
    }
    case OP_GEI: {
      orderI(l_gei, luai_numge);
      break;
    }
    case OP_TEST: {
      int cond = !l_isfalse(s2v(RA(i)));
      docondjump();
      break;
    }
    case OP_TESTSET: {
      StkId ra = RA(i);
      const TValue *rb = vRB(i);
      if (l_isfalse(rb) == GETARG_k(i))
        pc++;
      else {
        setobj2s(L, ra, rb);
        donextjump(ci);
      }
      break;
    }
    case OP_CALL: {  /* of a Lua function that isn't translated, with all of its arguments */
      StkId ra = RA(i);
      CallInfo *next = ci->next;
      int b = GETARG_B(i);
      StkId top = (b != 0) ? ra + b : L->top.p;
      LClosure *callee;
      const Proto *p;
      if (!ttisLclosure(s2v(ra))) {
        if (ttislcf(s2v(ra)) && b > 1 && GETARG_C(i) == 2 && l_likely(!L->hookmask))
          goto known;
        goto back;
      }
      if (next == NULL || l_unlikely(L->hookmask))
        goto back;
      callee = clLvalue(s2v(ra));
      p = callee->p;
      if (top - ra <= p->numparams || L->stack_last.p - top <= p->maxstacksize ||
          l_unlikely(p->compiled != 0))
        goto back;
      L->top.p = top;
      ci->u.l.savedpc = pc;
      next->func.p = ra;
      next->nresults = GETARG_C(i) - 1;
      next->callstatus = 0;
      next->top.p = ra + 1 + p->maxstacksize;
      next->u.l.savedpc = pc = p->code;
      L->ci = ci = next;
      cl = callee;
      k = p->k;
      base = ra + 1;
      break;
    }
    case OP_RETURN: {  /* of two values, for at most as many */
      int wanted = ci->nresults;
      StkId ra = RA(i);
      if (GETARG_B(i) != 3 || GETARG_C(i) != 0 || TESTARG_k(i) || wanted > 2 ||
          l_unlikely(L->hookmask))
        goto back;
      setobjs2s(L, base - 1, ra);
      setobjs2s(L, base, ra + 1);
      L->top.p = base - 1 + (wanted < 0 ? 2 : wanted);
      goto ret;
    }
    case OP_RETURN0: {  /* for at most one result */
      int wanted = ci->nresults;
      if (wanted > 1 || l_unlikely(L->hookmask))
        goto back;
      L->top.p = base - 1;
      if (wanted == 1) {
        setnilvalue(s2v(base - 1));
        L->top.p = base;
      }
      goto ret;
    }
    case OP_RETURN1: {
      int wanted = ci->nresults;
      if (wanted > 1 || l_unlikely(L->hookmask))
        goto back;
      L->top.p = base - 1;
      if (wanted != 0) {
        setobjs2s(L, base - 1, RA(i));
        L->top.p = base;
      }
     ret:
      L->ci = ci->previous;
      if (ci->callstatus & CIST_FRESH)
        return NULL;
      ci = ci->previous;
      cl = ci_func(ci);
      k = cl->p->k;
      base = ci->func.p + 1;
      pc = ci->u.l.savedpc;
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
    case OP_FORPREP: {  /* of a loop over integers, by one */
      StkId ra = RA(i);
      const TValue *step = s2v(ra + 2);
      if (tags(s2v(ra), s2v(ra + 1)) != both(LUA_VNUMINT) ||
          !ttisinteger(step) || ivalue(step) != 1)
        goto back;
      else {
        lua_Integer init = ivalue(s2v(ra));
        lua_Integer limit = ivalue(s2v(ra + 1));
        if (init > limit)
          pc += GETARG_Bx(i) + 1;  /* skip the loop */
        else {
          chgivalue(s2v(ra + 1), l_castU2S(l_castS2U(limit) - l_castS2U(init)));
          setivalue(s2v(ra + 3), init);
        }
      }
      break;
    }
    case OP_TFORCALL: {  /* of `pairs` and `ipairs`, with the next value near by */
      StkId ra = RA(i);
      const TValue *control = s2v(ra + 2);
      if (!ttislcf(s2v(ra)) || GETARG_C(i) > 2 || !ttistable(s2v(ra + 1)) ||
          l_unlikely(L->hookmask))
        goto back;
      h = hvalue(s2v(ra + 1));
      if (fvalue(s2v(ra)) == ipairsaux) {
        if (!ttisinteger(control))
          goto back;
        n = l_castS2U(ivalue(control));
        if (n >= h->alimit || isempty(&h->array[n]))
          goto back;
        setivalue(s2v(ra + 4), l_castU2S(n + 1u));
        setobj2s(L, ra + 5, &h->array[n]);
        break;
      }
      else if (fvalue(s2v(ra)) == luaB_next) {
        unsigned int j;
        if (!isrealasize(h))
          goto back;
        if (ttisshrstring(control)) {
          key = tsvalue(control);
          find(h, key, value);
          if (value == NULL)
            goto back;
          j = cast_uint(place(h, value)) + 1;
        }
        else {
          if (ttisnil(control))
            n = 0;
          else if (ttisinteger(control) && l_castS2U(ivalue(control)) - 1u < h->alimit)
            n = l_castS2U(ivalue(control));
          else goto back;
          if (n < h->alimit) {
            if (isempty(&h->array[n]))
              goto back;
            setivalue(s2v(ra + 4), l_castU2S(n + 1u));
            setobj2s(L, ra + 5, &h->array[n]);
            break;
          }
          j = 0;
        }
        nextnode(h, j);
        nextnode(h, j);
        nextnode(h, j);
      }
      goto back;
    }
    case OP_TFORLOOP: {
      StkId ra = RA(i);
      if (!ttisnil(s2v(ra + 4))) {
        setobjs2s(L, ra + 2, ra + 4);
        pc -= GETARG_Bx(i);
      }
      updatetrap(ci);
      break;
    }
    default:
      goto back;
  }
}
