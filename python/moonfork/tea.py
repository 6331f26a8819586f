"""The Lua runtime of The Edge Agent, on sandboxes that hold.

A drop-in for its ``the_edge_agent.lua_runtime``: the same class, methods, errors and rules for
values. Code reaches nothing of the process (its own gives Lua the whole of Python), and a timeout
holds inside of C functions, coroutines and ``pcall`` as well.

>>> from moonfork.tea import LuaRuntime
>>> LuaRuntime().execute("return state.value + 1", {"value": 41})
42

What is different: ``python`` isn't there, results are copies rather than live tables, and after a
timeout the globals are gone with the instance that had them.
"""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from typing import Any

from . import _errors
from ._native import Branch
from ._pool import Pool

__all__ = [
    "LUPA_AVAILABLE",
    "LuaRuntime",
    "LuaRuntimeError",
    "LuaTimeoutError",
    "detect_lua_code",
    "use",
]

#: The Edge Agent asks this before it uses Lua at all.
LUPA_AVAILABLE = True


def _ensure_lupa_installed() -> None:
    """Nothing more has to be installed; its own says what, where that is missing."""


class LuaRuntimeError(Exception):
    """The code doesn't parse, or raised an error."""


class LuaTimeoutError(Exception):
    """The code ran longer than it may."""


# The state is a global in `execute` and conditions, as there, and lasts until the next call.
_PRELUDE = """
local load, error, pack = load, error, table.pack

local function run(code, chunk, ...)
  local f, message = load(code, '=' .. chunk)
  if not f then error(message, 0) end
  local results = pack(f(...))
  local count = results.n
  results.n = nil
  return {count = count, values = results}
end

function __moonfork_tea(code, value)
  _ENV.state = value
  return run(code, 'lua')
end

function __moonfork_tea_node(code, value)
  return run('local state = ... ' .. code, 'node', value)
end
"""

# The first call of an instance brings the prelude along: one way into the sandbox rather than two.
_FIRST = {
    name: f"{_PRELUDE}\nreturn {name}(state.code, state.value)"
    for name in ("__moonfork_tea", "__moonfork_tea_node")
}


class LuaRuntime:
    """One Lua runtime: globals last from call to call. Any thread may use it, one at a time.

    Args:
        timeout: how long a call may take, in seconds.
        memory: how much memory it may occupy, in bytes or as a text such as ``"64MiB"``.
    """

    def __init__(self, timeout: float = 30.0, *, memory: int | str = "64MiB") -> None:
        self.timeout = timeout
        self._memory = memory
        self._lock = threading.RLock()
        self._branch: Branch | None = None
        #: Whether the instance has the prelude.
        self._prepared = False
        self._instance()

    def execute(self, code: str, state: Any = None) -> Any:
        """Runs ``code``, which sees ``state`` as a global, and returns what it returns.

        Several results are a tuple.
        """
        return self._run("__moonfork_tea", code, state)

    def eval_condition(self, expression: str, state: Any) -> str | None:
        """What a condition says: a text, ``"true"`` or ``"false"``, None for nil."""
        code = expression.strip()
        if not code.startswith("return"):
            code = f"return {code}"
        result = self.execute(code, state)
        if result is None or isinstance(result, str):
            return result
        if isinstance(result, bool):
            return "true" if result else "false"
        raise LuaRuntimeError(
            f"Condition must return string, boolean, or nil, got: {type(result).__name__}"
        )

    def execute_node_code(self, code: str, state: Any) -> dict[str, Any]:
        """Runs the code of a node, which sees ``state`` as a local, and returns its update."""
        result = self._run("__moonfork_tea_node", code, state)
        if result is None:
            return {}
        if isinstance(result, dict):
            return result
        return {"result": result}

    def _run(self, function: str, code: str, state: Any) -> Any:
        with self._lock:
            try:
                try:
                    answer = self._ask(function, code, state)
                except TypeError:
                    # What Lua has no counterpart for is text there.
                    answer = self._ask(function, code, _as_text(state))
            except _errors.TimeLimit as error:
                raise LuaTimeoutError("execution timeout") from error
            except _errors.Error as error:
                raise LuaRuntimeError(str(error)) from error
            except (TypeError, ValueError, OverflowError) as error:
                raise LuaRuntimeError(str(error)) from error
        count, values = answer["count"], answer["values"]
        # An empty table of results is no list.
        values = list(values) if values else []
        values += [None] * (count - len(values))
        if count == 0:
            return None
        return values[0] if count == 1 else tuple(values)

    def _ask(self, function: str, code: str, state: Any) -> Any:
        branch = self._instance()
        if self._prepared:
            return branch._call_plain(function, code, state)
        try:
            answer = branch._run_plain(_FIRST[function], {"code": code, "value": state})
        except Exception:
            # The code may have failed, or its value never got in. Asked now, since what the prelude
            # takes from the globals may be something else later.
            self._prepared = branch.is_live and branch.run("return __moonfork_tea_node ~= nil")
            raise
        self._prepared = True
        return answer

    def _instance(self) -> Branch:
        if self._branch is None or not self._branch.is_live:
            self._branch = _pool().branch(wall=self.timeout, memory=self._memory)
            self._prepared = False
        return self._branch

    def __repr__(self) -> str:
        return f"LuaRuntime(timeout={self.timeout})"


_SHARED: Pool | None = None
_SHARED_LOCK = threading.Lock()


def _pool() -> Pool:
    """The pool that all runtimes of this process come from."""
    global _SHARED
    with _SHARED_LOCK:
        if _SHARED is None:
            _SHARED = Pool(wall=math.inf, max_branches=1000)
        return _SHARED


def _forget_pool() -> None:
    global _SHARED, _SHARED_LOCK
    _SHARED, _SHARED_LOCK = None, threading.Lock()


# The child of a fork makes a pool of its own; runtimes from before say that they are the parent's.
os.register_at_fork(after_in_child=_forget_pool)


def _as_text(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _as_text(item) for key, item in value.items()}
    return str(value)


# What Lua has and Python hasn't.
_LUA_ONLY = re.compile(r"\b(?:local|then|end|elseif)\b|\.\.")


def detect_lua_code(code: str) -> bool:
    """Whether a text is Lua rather than Python: it says so at its beginning, or looks like it."""
    stripped = code.strip()
    return stripped.startswith(("-- lua", "--lua")) or _LUA_ONLY.search(code) is not None


def use() -> None:
    """Has The Edge Agent use this runtime, whether it was imported already or will be."""
    name = "the_edge_agent.lua_runtime"
    mine = sys.modules[__name__]
    theirs = sys.modules.get(name)
    sys.modules[name] = mine
    if theirs is None or theirs is mine:
        return
    package = sys.modules.get("the_edge_agent")
    if package is not None:
        package.lua_runtime = mine  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("the_edge_agent"):
            continue
        for public in __all__:
            before = getattr(theirs, public, None)
            if before is not None and getattr(module, public, None) is before:
                setattr(module, public, getattr(mine, public))
