"""Run Lua that you don't trust: each run in a WebAssembly sandbox of its own.

>>> import moonfork
>>> with moonfork.Pool(memory="16MiB", wall=0.3) as pool:
...     pool.run("return state.n * 2", state={"n": 21})
42
"""

import os as _os

from . import _native
from ._errors import (
    Busy,
    CallLimit,
    Cancelled,
    CheckpointError,
    Denied,
    Error,
    FuelLimit,
    HostFailure,
    InstanceLost,
    LimitError,
    LoadError,
    LuaSyntaxError,
    MemoryLimit,
    NotCallable,
    OptionsRefused,
    PluginError,
    RunError,
    SandboxFailure,
    ScriptError,
    TimeLimit,
    ValueRefused,
    WrongThread,
)
from ._native import (
    Branch,
    Cancel,
    HostCall,
    Main,
    PluginHost,
    Snapshot,
    Stream,
    Tenant,
    Worker,
    Workers,
    Workflow,
)
from ._pool import Pool
from ._result import Interrupt, Outcome, Problem, Report, Result
from ._workers import serve, with_call

__version__: str = _native.__version__

# The threads of a pool stay behind when a process forks: what was made before says so then.
_os.register_at_fork(
    before=_native.before_fork,
    after_in_parent=_native.after_fork,
    after_in_child=_native.after_fork_in_child,
)

__all__ = [
    "Branch",
    "Busy",
    "CallLimit",
    "Cancel",
    "Cancelled",
    "CheckpointError",
    "Denied",
    "Error",
    "FuelLimit",
    "HostCall",
    "HostFailure",
    "InstanceLost",
    "Interrupt",
    "LimitError",
    "LoadError",
    "LuaSyntaxError",
    "Main",
    "MemoryLimit",
    "NotCallable",
    "OptionsRefused",
    "Outcome",
    "PluginError",
    "PluginHost",
    "Pool",
    "Problem",
    "Report",
    "Result",
    "RunError",
    "SandboxFailure",
    "ScriptError",
    "Snapshot",
    "Stream",
    "Tenant",
    "TimeLimit",
    "ValueRefused",
    "Worker",
    "Workers",
    "Workflow",
    "WrongThread",
    "__version__",
    "serve",
    "with_call",
]

# Where they are looked for, and what tracebacks show.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
