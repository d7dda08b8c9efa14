//! The settings of channels.

use std::sync::Arc;
use std::time::Duration;

use super::endpoints::Endpoints;
use crate::security::Security;

/// The settings of a channel, all resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The key in routes.yaml.
    pub name: String,
    /// The addresses for publishers, which are PUB and XPUB sockets, and their admission.
    pub publishers: ChannelSide,
    /// The addresses for subscribers, which are SUB and XSUB sockets, and their admission.
    pub subscribers: ChannelSide,
    /// The messages that are kept for later subscribers.
    pub keep: Keep,
    /// The maximum size of the kept messages together, in bytes.
    pub keep_bytes: u64,
    /// The treatment of a subscriber whose waiting messages have reached `subscriber_bytes`.
    pub slow: Slow,
    /// The maximum size of the messages that wait for one subscriber, in bytes.
    pub subscriber_bytes: u64,
    /// The messages to which the gateway subscribes at publishers.
    pub upstream: Upstream,
    /// The frames of publishers' messages.
    pub frames: ChannelFrames,
}

impl ChannelSettings {
    /// Returns whether the gateway subscribes to all messages of publishers, regardless of the
    /// subscriptions of the channel's subscribers.
    pub(crate) fn wants_all(&self) -> bool {
        match self.upstream {
            Upstream::Auto => self.keep != Keep::None,
            Upstream::Subscriptions => false,
            Upstream::All => true,
        }
    }
}

/// The publishers or the subscribers of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelSide {
    /// The addresses to listen on and to connect to.
    pub endpoints: Endpoints,
    /// The admission of peers. `None` admits every peer.
    pub security: Option<Arc<Security>>,
}

/// The messages that a channel keeps for later subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// No messages are kept.
    None,
    /// The newest messages of each type, up to this number. The number is at least 1.
    Last(u32),
    /// The messages that are not older than this.
    For(Duration),
}

/// The treatment of a subscriber whose waiting messages have reached `subscriber_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Further messages are dropped until there is room.
    DropNew,
    /// The oldest waiting messages are dropped to make room.
    DropOld,
    /// Only the newest waiting message of each type is kept, even below the maximum. If the
    /// messages still exceed the maximum, the oldest are dropped.
    Conflate,
    /// The subscriber is disconnected.
    Disconnect,
}

/// The messages to which the gateway subscribes at publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// All messages if the channel keeps messages, and otherwise the messages to which subscribers
    /// subscribe.
    Auto,
    /// The messages to which subscribers subscribe.
    Subscriptions,
    /// All messages.
    All,
}

/// The frames of publishers' messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelFrames {
    /// Type, headers, payload.
    Typed,
    /// One frame, which begins with the topic. The topic, which is the type, ends before the first
    /// occurrence of this separator, and the payload follows the separator. The separator is never
    /// empty.
    Single(Box<[u8]>),
}
