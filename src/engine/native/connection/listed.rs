//! Membership of a connection in a list of connections that wait for their turn.

/// The membership, so that no connection is in the list twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Listed {
    #[default]
    Out,
    In,
}

impl Listed {
    /// Records that the connection is in the list. Returns true if it was not in the list before,
    /// so that the caller must append it to the list.
    pub(super) fn enter(&mut self) -> bool {
        std::mem::replace(self, Self::In) == Self::Out
    }

    /// Records that the connection was removed from the list.
    pub(super) fn leave(&mut self) {
        *self = Self::Out;
    }

    /// Returns whether the connection is in the list.
    pub(super) fn is_in(&self) -> bool {
        *self == Self::In
    }
}
