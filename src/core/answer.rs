//! From a worker: an answer counts if its worker holds the request, and passes if its reply schema does.

use std::collections::hash_map::Entry;

use super::*;

impl<F: Frame> Core<F> {
    /// A worker's message: an answer, if it names a request that this worker holds.
    pub(super) fn answer(&mut self, worker: Worker, mut frames: Vec<F>, out: &mut impl Outlet<F>) {
        if let Some(request) = self.answered_request(worker, &frames) {
            let kind = worker.kind;
            let head = head_frames(kind, &frames);
            match self.reply_fault(&request, kind, &frames) {
                None => {
                    let route = request.route().id;
                    // Envelope in, worker's head out: for a DEALER that is all that changes.
                    let Request {
                        envelope,
                        client,
                        asked,
                        arrived,
                        state,
                        ..
                    } = request;
                    if let State::Held { headers, .. } = state {
                        self.shelf.give_back(headers);
                    }
                    envelope.replace(head, &mut frames);
                    let took = self.now.saturating_sub(arrived);
                    self.counts.route(route).latency.add(took);
                    let outcome = Outcome::Answered(route);
                    self.deliver(client, asked, frames, outcome, out);
                }
                Some(fault) => self.reject(request.give_up(), fault, out),
            }
        }
        self.dispatch(worker.pool, out);
    }

    pub(super) fn oversize_answer(
        &mut self,
        worker: Worker,
        frames: Vec<F>,
        out: &mut impl Outlet<F>,
    ) {
        if let Some(request) = self.answered_request(worker, &frames) {
            let fault = oversize_fault(request.snapshot.limits.message);
            self.reject(request.give_up(), fault, out);
        }
        self.dispatch(worker.pool, out);
    }

    /// Takes out the request that a worker's message answers, if it does.
    fn answered_request(&mut self, by: Worker, frames: &[F]) -> Option<Request<F>> {
        let name = frames.first().map_or(&[][..], Frame::bytes);
        let pool = &mut self.pools[by.pool.0];
        // The bare identity first: under `identity: client`, and for what was handed out under it.
        let settled = pool.settle(by.seat, name);
        let bare = settled.is_some();
        let number = settled.or_else(|| token::number(name));
        let holds = |request: &Request<F>| {
            let named = bare || request.name.is_of(name);
            matches!(request.state, State::Held { worker, bare: form, .. }
                if worker == by.peer && form == bare && named)
        };
        let held = number.and_then(|number| match self.requests.entry(number) {
            Entry::Occupied(entry) if holds(entry.get()) => Some((number, entry.remove())),
            _ => None,
        });
        match held {
            Some((number, request)) => {
                pool.answered(by.seat, Some(number));
                self.uncount(number, &request);
                Some(request)
            }
            None => {
                // Held once and answered too late, or never asked for.
                let late = number.is_some_and(|number| (1..=self.number).contains(&number));
                pool.dropped(by.seat, late);
                None
            }
        }
    }

    fn reply_fault(
        &self,
        request: &Request<F>,
        kind: WorkerKind,
        frames: &[F],
    ) -> Option<Rejection> {
        let limits = &request.snapshot.limits;
        let (head, body) = frames.split_at(head_frames(kind, frames));
        if head
            .get(1)
            .is_some_and(|delimiter| !delimiter.bytes().is_empty())
        {
            let message = "the worker of a pool with `workers: rep` doesn't answer as REP does: \
                           the frame after the envelope is not empty";
            return Some(Rejection::new(Reason::BadReply, message));
        }
        if frame::size(body) > limits.message {
            return Some(oversize_fault(limits.message));
        }
        if let Some(fault) = frame::shape_fault(body, 0, limits.frames) {
            let message = format!("the worker's answer is malformed: {fault}");
            return Some(Rejection::new(Reason::BadReply, message));
        }
        // An error of the worker's is no reply of the schema's.
        let schema = request.route().reply.as_ref();
        let schema = schema.filter(|_| body[0].bytes() != frame::ERROR_TYPE)?;
        let violation = match schema.check(frame::payload(body), limits.depth) {
            Ok(_) => return None,
            Err(violation) => violation,
        };
        let mut rejection = Rejection::violation(Reason::BadReply, violation);
        rejection.message = format!(
            "the worker's answer fails its schema: {}",
            rejection.message
        );
        Some(rejection)
    }
}

fn oversize_fault(most: u64) -> Rejection {
    let message =
        format!("the worker's answer is larger than {most} bytes, the limit of limits.message");
    Rejection::new(Reason::BadReply, message)
}

/// How many frames stand before the reply type in a worker's message.
fn head_frames<F: Frame>(kind: WorkerKind, frames: &[F]) -> usize {
    let head = match kind {
        WorkerKind::Dealer => 1,
        WorkerKind::Rep => 2,
    };
    head.min(frames.len())
}
