//! The messages of the examples, each with one definition for both encodings, as in `schemas/`.
//! Such small messages are quickly written by hand. For larger messages, prost-build generates the
//! code from the `.proto` file.

// Each example uses a part of this module.
#![allow(dead_code)]

use std::fmt;

use prost::Message;
use serde::{Deserialize, Serialize};

/// `demo.Person`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
pub struct Person {
    #[prost(int32, tag = "1")]
    pub id: i32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    #[serde(default)]
    pub email: String,
}

/// `gateway.v1.Error`, the payload of a rejection.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Rejection {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(string, tag = "4")]
    pub reason: String,
    #[prost(string, tag = "5")]
    pub field: String,
    #[prost(uint64, optional, tag = "6")]
    pub offset: Option<u64>,
    #[prost(uint64, tag = "7")]
    pub generation: u64,
}

impl Rejection {
    /// Decodes the payload of an `ERROR` that answers a request of type `kind`. The payload is in
    /// the encoding of the request, or in the encoding that the frontend sets with `errors`, which
    /// is JSON by default.
    pub fn decode_for(kind: &str, payload: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        match kind {
            "PROTOBUF" => Ok(Self::decode(payload)?),
            "MSGPACK" => Ok(rmp_serde::from_slice(payload)?),
            _ => Ok(serde_json::from_slice(payload)?),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}
