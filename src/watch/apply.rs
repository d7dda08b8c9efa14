//! What was read is handed to the running gateway, or people are told why it can't be.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info};

use super::{Follower, News, Why};
use crate::admin::Admin;
use crate::config::Loaded;
use crate::reload::{Outcome, Plan, Report};
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

impl Follower {
    /// Takes up files that can be run.
    pub(super) fn take_up(&mut self, loaded: Loaded, why: Why, news: News) -> Report {
        let plan = Plan::between(&self.running, &loaded.snapshot);
        if news == News::ToTell {
            (self.tell)(&loaded.warnings);
        }
        let Loaded {
            snapshot,
            warnings,
            admin,
            ..
        } = loaded;
        if plan.is_empty() {
            let had_failed = std::mem::take(&mut self.failed);
            let is_verdict_due = why == Why::Asked || !warnings.is_empty();
            if had_failed || (news == News::ToTell && is_verdict_due) {
                let generation = self.running.generation;
                let left_out = self.repeats.left_out();
                info!(
                    generation,
                    left_out, "reload: {plan}, the files say what is running"
                );
            }
            self.refused = None;
            return self.report(Outcome::Unchanged, plan, warnings);
        }
        let began = Instant::now();
        match self.commit(&plan, Arc::new(snapshot), admin) {
            Ok(()) => Report {
                swap: Some(began.elapsed()),
                ..self.report(Outcome::Applied, plan, warnings)
            },
            Err(refusal) => {
                self.refuse(&refusal, news);
                let mut found = warnings;
                found.push(*refusal);
                self.report(Outcome::Refused, plan, found)
            }
        }
    }

    /// The files can't be run.
    pub(super) fn turn_down(&mut self, found: Diagnostics, news: News) -> Report {
        self.failed = true;
        self.refused = None;
        if news == News::ToTell {
            (self.tell)(&found);
            let generation = self.running.generation;
            let left_out = self.repeats.left_out();
            error!(
                generation,
                left_out, "reload failed: the configuration that was running serves on"
            );
        }
        self.invalid(found)
    }

    /// Returns the report on files that can't be run.
    pub(super) fn invalid(&self, found: Diagnostics) -> Report {
        self.report(Outcome::Invalid, Plan::default(), found)
    }

    fn report(&self, outcome: Outcome, plan: Plan, diagnostics: Diagnostics) -> Report {
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

    /// Hands the snapshot over, or says why that can't be; then nothing has changed. `at` is where
    /// `admin.bind` stands.
    fn commit(
        &mut self,
        plan: &Plan,
        snapshot: Arc<Snapshot>,
        at: Option<Place>,
    ) -> Result<(), Box<Diagnostic>> {
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
            info!(endpoint = at.endpoint, "{at} listens");
        }
        self.past
            .keep(std::mem::replace(&mut self.running, snapshot));
        self.note_listening();
        let generation = self.running.generation;
        info!(generation, "reloaded: {plan}");
        self.failed = false;
        self.refused = None;
        Ok(())
    }

    /// What was taken out may listen a while longer, for what it owes: nobody is told to come there.
    pub(super) fn note_listening(&self) {
        let Snapshot {
            frontends, pools, ..
        } = &*self.running;
        let mut all = self.reloader.listening(&self.running);
        all.retain(|at| match at.role {
            "frontend" => frontends.values().any(|it| it.name == at.name),
            _ => pools.values().any(|it| it.name == at.name),
        });
        all.extend(self.admin.as_ref().and_then(Admin::listening));
        self.standing.serves(all, self.running.grace);
    }

    fn refuse(&mut self, refusal: &Diagnostic, news: News) {
        if news == News::ToTell || self.refused.as_ref() != Some(refusal) {
            let generation = self.running.generation;
            if refusal.place.is_some() {
                let mut found = Diagnostics::new();
                found.push(refusal.clone());
                (self.tell)(&found);
            }
            error!(generation, "reload failed: {}", refusal.message);
        }
        self.failed = true;
        self.refused = Some(refusal.clone());
    }
}
