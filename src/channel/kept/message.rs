//! A kept message, and its check against the schema of its route.

use std::rc::Rc;
use std::time::Duration;

use crate::channel::post::Post;
use crate::frame::Frames;

/// A kept message.
#[derive(Debug)]
pub(super) struct KeptPost<M> {
    pub(super) number: u64,
    pub(super) at: Duration,
    /// The generation of the configuration against which the message was checked last.
    pub(super) generation: u64,
    pub(super) post: Rc<Post<M>>,
}

impl<M> Clone for KeptPost<M> {
    fn clone(&self) -> Self {
        let post = Rc::clone(&self.post);
        Self { post, ..*self }
    }
}

impl<M: Frames> KeptPost<M> {
    /// Returns whether the message still matches its route's schema. Checks it again if it was
    /// checked in an earlier generation, and then subtracts the work of the check from `left`. A
    /// message from before the generation `frames_since` does not match.
    pub(super) fn fit(
        &mut self,
        frames_since: u64,
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
        left: &mut usize,
    ) -> Fit {
        if self.generation < frames_since {
            return Fit::Unfit;
        }
        let fit = if self.generation < conditions.generation {
            (conditions.fits)(self.post.body(), left)
        } else {
            Fit::Fits
        };
        if fit == Fit::Fits {
            self.generation = conditions.generation;
        }
        fit
    }
}

/// The conditions under which kept messages are sent.
pub(crate) struct Conditions<F> {
    /// The time since the engine started.
    pub now: Duration,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// Returns whether a kept message still matches its route's schema. If the check is more work
    /// than the sending of a small message, the function subtracts the additional work from its
    /// second argument, the work that may still be done.
    pub fits: F,
}

/// The result of another check of a kept message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Fits,
    Unfit,
    /// The check takes so long that a judge must make it.
    Undecided,
}
