//! The JSON Schema of routes.yaml.

/// The JSON Schema of routes.yaml, with which editors complete and check the file.
pub const JSON_SCHEMA: &str = include_str!("../../routes.schema.json");
