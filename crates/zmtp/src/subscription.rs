//! Subscriptions in the form of ZMTP 3.0 (RFC 23), in which a subscriber sends messages instead of
//! the commands SUBSCRIBE and CANCEL of ZMTP 3.1. Each such message is one frame: a byte that is 1
//! for a subscription or 0 for a cancellation, then the prefix.

use crate::message::Message;

/// A change of a subscriber's subscriptions to the messages whose first frame begins with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// The peer subscribes to these messages.
    Subscribe,
    /// The peer cancels one of its subscriptions to these messages.
    Cancel,
}

impl SubscriptionChange {
    /// Returns the change and the prefix of a frame from a subscriber, or `None` if the frame is
    /// neither a subscription nor a cancellation.
    pub fn of_frame(frame: &[u8]) -> Option<(Self, &[u8])> {
        match frame.split_first()? {
            (1, prefix) => Some((Self::Subscribe, prefix)),
            (0, prefix) => Some((Self::Cancel, prefix)),
            _ => None,
        }
    }

    /// Returns the message that sends this change to a publisher.
    pub fn message(self, prefix: &[u8]) -> Message {
        let first = match self {
            Self::Subscribe => 1,
            Self::Cancel => 0,
        };
        Message::from(vec![[&[first], prefix].concat()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_written_subscription_is_read_back() {
        for change in [SubscriptionChange::Subscribe, SubscriptionChange::Cancel] {
            for prefix in [&b""[..], b"\x01", &[7; 300]] {
                let message = change.message(prefix);
                assert_eq!(message.len(), 1);
                let frame = message.get(0).unwrap_or_default();
                assert_eq!(SubscriptionChange::of_frame(frame), Some((change, prefix)));
            }
        }
    }

    #[test]
    fn data_is_not_a_subscription() {
        for data in [&b""[..], b"\x02", b"A", b"\xff\x01"] {
            assert_eq!(SubscriptionChange::of_frame(data), None, "{data:?}");
        }
    }
}
