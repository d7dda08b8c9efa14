//! An estimate of the work of the walk, made from the first records of the payload.

use super::wire::WireReader;
use crate::contract::Contract;
use crate::table::{FieldKind, Message, Table, wire};
use crate::violation::Checked;

/// The maximum number of records that are read for an estimate. Messages with large fields have
/// few records. This number of records takes less than a microsecond or, if they lie in no cache of
/// the processor, a few microseconds.
const RECORDS_MAX: usize = 64;

/// The maximum number of levels below the root that are read for an estimate.
const DEPTH_MAX: u32 = 4;

/// The number of bytes of a string that the walk checks in less time than one byte of the payloads
/// that take longest. A byte of such a payload takes 60 ns, and a byte of a string at most 2 ns.
const STRING_BYTES_PER_BYTE: usize = 16;

/// Returns an estimate of the number of bytes that the walk reads one by one. The estimate is never
/// too low: it leaves out the `bytes` fields, which the walk skips, and most of the bytes of
/// strings, but only in the first records. If one of these records is malformed, the estimate is
/// the size of the payload.
pub(crate) fn costly_bytes(contract: &Contract, payload: &[u8]) -> usize {
    let mut scan = Scan {
        table: &contract.table,
        records: RECORDS_MAX,
    };
    let message = contract.root().message;
    let cheap = scan.cheap_bytes(&mut WireReader::new(payload), message, DEPTH_MAX);
    payload.len() - cheap.unwrap_or(0)
}

/// The reading of the first records of a payload.
struct Scan<'a> {
    table: &'a Table,
    /// The number of records that may still be read.
    records: usize,
}

impl Scan<'_> {
    /// Returns the number of bytes of a message that the walk skips or checks quickly. Fails if the
    /// message is malformed.
    fn cheap_bytes(
        &mut self,
        reader: &mut WireReader,
        message: &Message,
        depth: u32,
    ) -> Checked<usize> {
        let mut cheap = 0;
        while self.records > 0 && !reader.is_empty() {
            self.records -= 1;
            let (number, wire) = reader.tag()?;
            let kind = match wire {
                // The rest of a group could have many records.
                wire::START_GROUP | wire::END_GROUP => break,
                wire::LEN => message
                    .by_number(number)
                    .map(|index| message.fields[index as usize].kind),
                _ => None,
            };
            match kind {
                Some(FieldKind::Bytes) => cheap += reader.delimited()?.len(),
                Some(FieldKind::String { .. }) => {
                    let length = reader.delimited()?.len();
                    cheap += length - length.div_ceil(STRING_BYTES_PER_BYTE);
                }
                Some(FieldKind::Message(id)) if depth > 0 => {
                    let mut body = reader.body()?;
                    cheap += self.cheap_bytes(&mut body, &self.table[id], depth - 1)?;
                }
                _ => reader.skip(number, wire, depth)?,
            }
        }
        Ok(cheap)
    }
}
