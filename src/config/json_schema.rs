//! The JSON Schema of routes.yaml.

/// The JSON Schema of routes.yaml, by which editors complete and check it.
pub const JSON_SCHEMA: &str = include_str!("../../routes.schema.json");
