//! The numbers of queued bytes above which peers receive no more.

/// The number of queued bytes above which a worker receives no further request. A worker that does
/// not read must not hold up requests that another worker could answer.
pub(super) const WORKER_ROOM: u64 = 1 << 20;

/// The number of queued bytes above which a subscriber receives no further message for now. The
/// messages that the subscriber leaves unread wait in the core, where all subscribers share them
/// and `subscriber_bytes` bounds them. The queue only has to bridge the time between two turns, so
/// it holds as much as the system usually takes at once.
pub(super) const SUBSCRIBER_ROOM: u64 = 256 << 10;

/// The number of bytes queued for a publisher above which the gateway sends it no further changes
/// of subscriptions that may be sent later. These are the subscriptions that existed when the
/// publisher connected, and the changes that follow from an edit of `upstream`.
pub(super) const SUBSCRIPTION_ROOM: u64 = 256 << 10;

/// The number of bytes queued for a publisher above which another change of a subscription
/// disconnects it. Changes of subscriptions cannot be dropped. This is room for a hundred thousand
/// changes with long prefixes, which a publisher that works reads at once.
pub(super) const PUBLISHER_ROOM: u64 = 64 << 20;
