//! `PluginHost`: plugins with a manifest, and the tenants that they are called for.

use std::path::PathBuf;

use moonfork::Cancel;
use moonfork::plugin::{CallError, CallErrorKind, CallOptions, PluginHost, Tenant};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::calls::framed;
use crate::cancel::PyCancel;
use crate::errors::{exception, make_with};
use crate::fork::Own;
use crate::pool::PyPool;
use crate::settings::{SomeGrants, SomeLimits, duration, unexpected, whole};
use crate::value::{Arguments, FromLua, ToLua, to_python};
use crate::workflow::{attended, cancels, load_error};

/// Plugins that were loaded and found sound.
#[pyclass(module = "moonfork", name = "PluginHost", frozen)]
pub(crate) struct PyPluginHost(Own<PluginHost>);

#[pymethods]
impl PyPluginHost {
    #[new]
    #[pyo3(signature = (pool, *paths, max_kept = None, turn_timeout = None, **settings))]
    fn new(
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        paths: Vec<PathBuf>,
        max_kept: Option<&Bound<'_, PyAny>>,
        turn_timeout: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyPluginHost> {
        let pool = pool.get().open()?;
        let (mut limits, mut grants) = (SomeLimits::default(), SomeGrants::default());
        for (name, value) in settings.into_iter().flatten() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            if !limits.take(&name, &value)? && !grants.take(&name, &value)? {
                return Err(unexpected(&name));
            }
        }
        let mut builder = PluginHost::builder(&pool)
            .limits(limits.or(*pool.limits()))
            .grants(grants.or(&pool));
        for path in paths {
            builder = builder.path(path);
        }
        if let Some(instances) = max_kept {
            builder = builder.max_kept(whole("max_kept", instances)?);
        }
        if let Some(timeout) = turn_timeout {
            builder = builder.turn_timeout(duration("turn_timeout", timeout)?);
        }
        match py.detach(|| builder.load()) {
            Ok(host) => Ok(PyPluginHost(Own::new(host))),
            Err(error) => Err(load_error(py, &error)),
        }
    }

    /// The names of the plugins, in order, with their versions.
    #[getter]
    fn plugins<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let plugins = PyDict::new(py);
        for manifest in self.0.get("PluginHost")?.plugins() {
            plugins.set_item(manifest.name.to_string(), manifest.version.to_string())?;
        }
        Ok(plugins)
    }

    /// For whom plugins are to be called.
    fn tenant(&self, name: &str) -> PyResult<PyTenant> {
        let host = self.0.get("PluginHost")?;
        Ok(PyTenant(Own::new(host.tenant(name))))
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a PluginHost can't be pickled, since its sandboxes live in this process",
        ))
    }
}

/// For whom plugins are called.
#[pyclass(module = "moonfork", name = "Tenant", frozen)]
pub(crate) struct PyTenant(Own<Tenant>);

#[pymethods]
impl PyTenant {
    /// The name.
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.0.get("Tenant")?.name())
    }

    /// Calls what a plugin exports, and returns what it returns.
    #[pyo3(signature = (plugin, export, *arguments, cancel = None))]
    fn call(
        &self,
        py: Python<'_>,
        plugin: &str,
        export: &str,
        arguments: &Bound<'_, PyTuple>,
        cancel: Option<&Bound<'_, PyCancel>>,
    ) -> PyResult<Py<PyAny>> {
        let tenant = self.0.get("Tenant")?;
        let arguments: Vec<_> = arguments.iter().map(|it| ToLua::new(&it)).collect();
        let cancel = cancel.map_or_else(Cancel::new, |cancel| cancel.get().handle().child());
        let options = CallOptions::new().cancel_handle(&cancel);
        let (result, ended) = attended(py, cancels(&cancel), || {
            framed("args", Some(cancel.clone()), None, || {
                tenant.call_with::<_, FromLua>(plugin, export, &Arguments(&arguments), &options)
            })
        })?;
        match result {
            Ok(reply) => Ok(reply.value.into_object(py)),
            Err(error) => Err(match error.run_error() {
                Some(run_error) => {
                    let made = exception(py, run_error, None, ended);
                    note(py, &made, &error);
                    made
                }
                None => make_with(py, code(&error), &error.to_string(), &[]),
            }),
        }
    }

    /// Ends the instances that are kept for this tenant.
    fn release(&self, py: Python<'_>) {
        if let Some(tenant) = self.0.here() {
            py.detach(|| tenant.release());
        }
    }
}

/// Adds which plugin it was, and what the call cost.
fn note(py: Python<'_>, made: &PyErr, error: &CallError) {
    let value = made.value(py);
    // An exception of a host function's own may take no attributes.
    let _ = value.call_method1("add_note", (error.to_string(),));
    if let Some(report) = error.report().and_then(|report| to_python(py, report).ok()) {
        let _ = value.setattr("report", report);
    }
}

fn code(error: &CallError) -> &'static str {
    match error.kind() {
        CallErrorKind::UnknownPlugin { .. } | CallErrorKind::UnknownExport { .. } => {
            "plugin_unknown"
        }
        _ => "plugin",
    }
}
