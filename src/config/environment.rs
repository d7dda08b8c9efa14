//! The environment variables that values of routes.yaml may refer to.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::sync::Arc;

/// The environment variables. A gateway reads them once, so every reload uses the same values.
#[derive(Clone, Debug, Default)]
pub struct Environment(Arc<HashMap<String, OsString>>);

impl Environment {
    /// Reads the environment of this process. A variable whose name is not UTF-8 is left out,
    /// because routes.yaml cannot refer to it.
    pub(crate) fn of_process() -> Self {
        let named = |(name, value): (OsString, _)| Some((name.into_string().ok()?, value));
        env::vars_os().filter_map(named).collect()
    }

    /// Returns the value of a variable.
    ///
    /// # Errors
    ///
    /// Returns the reason why the variable has no value that routes.yaml can use.
    pub(super) fn value(&self, name: &str) -> Result<&str, NoValue> {
        let value = self.0.get(name).ok_or(NoValue::Unset)?;
        let value = value.to_str().ok_or(NoValue::NotText)?;
        match value.chars().find(|c| c.is_control()) {
            Some(c) => Err(NoValue::Unprintable(c)),
            None => Ok(value),
        }
    }
}

impl FromIterator<(String, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, OsString)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }
}

/// The reason why a variable has no value that routes.yaml can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    Unset,
    /// The value is not UTF-8.
    NotText,
    /// The value holds this control character.
    Unprintable(char),
}
