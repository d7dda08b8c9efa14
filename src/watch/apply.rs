//! Applies a loaded configuration to the running gateway, or reports the errors of the files.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info};

use super::{CheckReason, Follower, Logging};
use crate::admin::Admin;
use crate::config::Loaded;
use crate::reload::{Plan, ReloadOutcome, Report};
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

impl Follower {
    /// Applies a configuration that was loaded without errors, and returns the report on the
    /// reload.
    pub(super) fn apply(&mut self, loaded: Loaded, why: CheckReason, logging: Logging) -> Report {
        let plan = Plan::between(&self.running, &loaded.snapshot);
        if logging == Logging::Due {
            (self.show_faults)(&loaded.warnings);
        }
        let Loaded {
            snapshot,
            warnings,
            admin,
            has_variables,
            ..
        } = loaded;
        if plan.is_empty() {
            let had_failed = std::mem::take(&mut self.failed);
            let is_verdict_due = why == CheckReason::Requested || !warnings.is_empty();
            if had_failed || (logging == Logging::Due && is_verdict_due) {
                let generation = self.running.generation;
                let left_out = self.repeats.left_out();
                let environment = match has_variables {
                    true => {
                        "; environment variables were read at startup, and changes to them need a restart"
                    }
                    false => "",
                };
                info!(
                    generation,
                    left_out,
                    "reload: {plan}; the files match the running configuration{environment}"
                );
            }
            self.refused = None;
            return self.report(ReloadOutcome::Unchanged, plan, warnings);
        }
        let began = Instant::now();
        match self.commit(&plan, Arc::new(snapshot), admin) {
            Ok(()) => Report {
                swap: Some(began.elapsed()),
                ..self.report(ReloadOutcome::Applied, plan, warnings)
            },
            Err(refusal) => {
                self.refuse(&refusal, logging);
                let mut found = warnings;
                found.push(*refusal);
                self.report(ReloadOutcome::Refused, plan, found)
            }
        }
    }

    /// Reports the errors of files that are not a valid configuration, and returns the report on
    /// the reload.
    pub(super) fn reject(&mut self, found: Diagnostics, logging: Logging) -> Report {
        self.failed = true;
        self.refused = None;
        if logging == Logging::Due {
            (self.show_faults)(&found);
            let generation = self.running.generation;
            let left_out = self.repeats.left_out();
            error!(
                generation,
                left_out,
                "reload failed: keeping the previous configuration (generation {generation})"
            );
        }
        self.invalid(found)
    }

    /// Returns the report on a reload of files that are not a valid configuration.
    pub(super) fn invalid(&self, found: Diagnostics) -> Report {
        self.report(ReloadOutcome::Invalid, Plan::default(), found)
    }

    fn report(&self, outcome: ReloadOutcome, plan: Plan, diagnostics: Diagnostics) -> Report {
        Report {
            outcome,
            at: SystemTime::now(),
            generation: self.running.generation,
            plan,
            diagnostics,
            compile: Duration::ZERO,
            swap: None,
        }
    }

    /// Reloads only the keys and users of the running configuration, because an error prevents a
    /// reload of all files. A key or user that was removed must not stay admitted until the error
    /// is corrected.
    pub(super) fn follow_keys(&mut self) {
        let next = self.origin.with_present_keys(&self.in_force, &self.running);
        let Some(next) = next else {
            return;
        };
        let plan = Plan::between(&self.running, &next);
        match self.adopt(Arc::new(next), None) {
            Ok(()) => {
                let generation = self.running.generation;
                info!(generation, "reloaded the keys alone: {plan}");
            }
            Err(refusal) => error!("the keys are not reloaded: {}", refusal.message),
        }
    }

    /// Makes the gateway run the snapshot, and logs the change. If the change is impossible,
    /// returns the reason and changes nothing. `at` is the place of `admin.bind` in routes.yaml.
    fn commit(
        &mut self,
        plan: &Plan,
        snapshot: Arc<Snapshot>,
        at: Option<Place>,
    ) -> Result<(), Box<Diagnostic>> {
        self.adopt(snapshot, at)?;
        let generation = self.running.generation;
        info!(generation, "reloaded: {plan}");
        self.failed = false;
        self.refused = None;
        Ok(())
    }

    /// Passes the snapshot to the engine and the admin listener. If the change is impossible,
    /// returns the reason and changes nothing. `at` is the place of `admin.bind` in routes.yaml.
    fn adopt(&mut self, snapshot: Arc<Snapshot>, at: Option<Place>) -> Result<(), Box<Diagnostic>> {
        let admin = match &self.admin {
            Some(admin) => Some(admin.prepare(snapshot.admin.as_ref(), at)?),
            None => None,
        };
        let reloaded = self.reloader.reload(Arc::clone(&snapshot));
        let mut listening =
            reloaded.map_err(|refusal| Box::new(Diagnostic::error(refusal.to_string())))?;
        if let Some((admin, prepared)) = self.admin.as_mut().zip(admin) {
            listening.extend(admin.commit(prepared));
        }
        for at in &listening {
            info!(
                endpoint = at.endpoint,
                security = at.security,
                "{at} listens"
            );
        }
        self.past
            .keep(std::mem::replace(&mut self.running, snapshot));
        self.note_listening();
        Ok(())
    }

    /// Publishes the addresses of the running configuration. A removed frontend, pool or channel
    /// may listen a while longer for its last messages, but is not listed.
    pub(super) fn note_listening(&self) {
        let Snapshot {
            frontends,
            pools,
            channels,
            ..
        } = &*self.running;
        let mut all = self.reloader.listening(&self.running);
        all.retain(|at| match at.role {
            "frontend" => frontends.values().any(|frontend| frontend.name == at.name),
            "pool" => pools.values().any(|pool| pool.name == at.name),
            _ => channels.values().any(|channel| channel.name == at.name),
        });
        all.extend(self.admin.as_ref().and_then(Admin::listening));
        self.control_status.record_serving(all, self.running.grace);
    }

    fn refuse(&mut self, refusal: &Diagnostic, logging: Logging) {
        if logging == Logging::Due || self.refused.as_ref() != Some(refusal) {
            let generation = self.running.generation;
            if refusal.place.is_some() {
                let mut found = Diagnostics::new();
                found.push(refusal.clone());
                (self.show_faults)(&found);
            }
            error!(generation, "reload failed: {}", refusal.message);
        }
        self.failed = true;
        self.refused = Some(refusal.clone());
    }
}
