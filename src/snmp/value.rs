//! What the agent is told of an instance. Pure.

use crate::limits::SNMP_VALUE_MAX_LEN;

/// One value for the agent: 1 to [`SNMP_VALUE_MAX_LEN`] printable bytes.
pub type Value = heapless::Vec<u8, SNMP_VALUE_MAX_LEN>;

/// A text with a question mark for every byte that is not printable ASCII.
pub fn printable(text: &[u8]) -> Value {
    text.iter()
        // The buffer is no longer than that; here it is what makes the collecting safe.
        .take(SNMP_VALUE_MAX_LEN)
        .map(|&byte| {
            // The agent takes a line for an answer, so a line end or a NUL must not get into one.
            if matches!(byte, b' '..=b'~') {
                byte
            } else {
                b'?'
            }
        })
        .collect()
}
