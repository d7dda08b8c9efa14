//! The pages that show one sample. Each page is written once, however many clients wait for it.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use hyper::body::Bytes;

use super::negotiation::Format;
use super::process::ProcessSample;
use super::sources::AdminSources;
use super::{exposition, rejections, status};
use crate::metrics::Sample;

/// A sample and the pages that show it.
#[derive(Debug)]
pub(super) struct Pages {
    sample: Arc<Sample>,
    open_metrics: OnceLock<Bytes>,
    classic_metrics: OnceLock<Bytes>,
    status: OnceLock<Bytes>,
    rejections: OnceLock<Bytes>,
}

impl Pages {
    pub(super) fn new(sample: Arc<Sample>) -> Self {
        Self {
            sample,
            open_metrics: OnceLock::new(),
            classic_metrics: OnceLock::new(),
            status: OnceLock::new(),
            rejections: OnceLock::new(),
        }
    }

    /// Returns whether the gateway was draining when the sample was taken.
    pub(super) fn is_draining(&self) -> bool {
        self.sample.draining
    }

    /// Returns /metrics in this format.
    pub(super) fn metrics(&self, format: Format, sources: &AdminSources) -> Bytes {
        let page = match format {
            Format::OpenMetrics => &self.open_metrics,
            Format::Classic => &self.classic_metrics,
        };
        let write = || {
            let body = exposition::exposition(
                Arc::clone(&self.sample),
                sources.control_status.current(),
                sources.panics.count(),
                ProcessSample::take(),
            );
            format.write(body).into()
        };
        page.get_or_init(write).clone()
    }

    /// Returns /status.
    pub(super) fn status(&self, sources: &AdminSources) -> Bytes {
        let write = || status::status(&self.sample, &sources.control_status.current()).into();
        self.status.get_or_init(write).clone()
    }

    /// Returns /rejections.
    pub(super) fn rejections(&self) -> Bytes {
        let write = || rejections::rejections(&self.sample, SystemTime::now()).into();
        self.rejections.get_or_init(write).clone()
    }
}
