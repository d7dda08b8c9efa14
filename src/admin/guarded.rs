//! Recovery of a task from a panic.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Returns the result of `work`, or `None` if `work` panics.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::runtime;
    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn a_panic_after_an_await_ends_only_its_task() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(guarded(async { 7 }).await, Some(7));
            let panics = async {
                yield_now().await;
                panic!("on purpose");
            };
            assert_eq!(guarded::<()>(panics).await, None);
        });
    }
}
