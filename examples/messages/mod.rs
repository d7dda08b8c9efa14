//! The messages that the examples speak, each one description for both encodings, as in `schemas/`.
//! Three fields are quickly written by hand; prost-build writes larger ones from the `.proto`.

// Each example uses some of it.
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

/// `gateway.v1.Error`: the gateway's own answer.
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
    /// The payload of an `ERROR` that answers a request of type `kind`: in the request's encoding, or
    /// in the frontend's `errors`, which is JSON if routes.yaml doesn't say otherwise.
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
