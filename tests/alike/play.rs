//! One call after another, on every store and on the model, which is the memory store.
//! All replies and answers are equal, and so is the whole state at the end.

use std::sync::Arc;

use mcp_state_sidecar::machine::command::StateLimits;
use mcp_state_sidecar::machine::filter::{HistoryFilter, RunFilter};
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::row::REMEMBERED_MS;
use mcp_state_sidecar::machine::{Answer, Command, Question, Reply, Revision};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Answered, Consistency, Request, Store};
use tokio::time::timeout;

use crate::Fault;
use crate::choices::Choices;
use crate::stage::{BEGIN_MS, LIMITS, Opener, PATIENCE, Stage, soon};
use crate::whole::Whole;
use support::draw::{self, Draw, NAMES};

/// Calls shown with a fault: those before it that are likely to matter.
const SHOWN: usize = 40;

/// What is shown of one call: a large value would hide the others.
const SHOWN_CHARS: usize = 600;

/// Everything that plays.
pub struct Players {
    pub clock: Arc<ManualClock>,
    pub model: MemoryStore,
    stages: Vec<Stage>,
    /// What has been called.
    told: Vec<String>,
}

/// Drawn calls.
pub async fn play(steps: &[Choices], openers: &[Opener]) -> Result<(), Fault> {
    let mut players = Players::open(openers, LIMITS).await;
    let outcome = players.play(steps).await;
    players.end(outcome).await
}

impl Players {
    /// Stores of which the state may become so large.
    pub async fn open(openers: &[Opener], limits: StateLimits) -> Players {
        let clock = ManualClock::at(BEGIN_MS);
        let mut stages = Vec::new();
        for opener in openers {
            stages.push(opener.open(&clock, limits).await);
        }
        Players {
            model: MemoryStore::new(clock.clone()).limited_to(limits),
            clock,
            stages,
            told: Vec::new(),
        }
    }

    /// Ends it; a fault comes with the calls that led there.
    pub async fn end(self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        for stage in self.stages {
            stage.end().await;
        }
        let told = &self.told[self.told.len().saturating_sub(SHOWN)..];
        outcome.map_err(|fault| {
            let what = format!("{}\nafter\n{}", fault.what, told.join("\n"));
            Fault { what, ..fault }
        })
    }

    async fn play(&mut self, steps: &[Choices]) -> Result<(), Fault> {
        for choices in steps {
            let mut draw = choices.draw();
            self.pause(&mut draw).await?;
            let copy = draw.below(6);
            match draw.below(100) {
                0..60 => {
                    self.submit(drawn(&mut draw, &self.model), copy).await?;
                }
                60..97 => {
                    let question = draw.question(&self.model.state().tables);
                    self.ask(question, draw.consistency(), copy).await?;
                }
                _ => {
                    self.told.push("reopen".to_owned());
                    for stage in &mut self.stages {
                        stage.reopen(copy).await;
                    }
                }
            }
        }
        self.compare_all().await
    }

    async fn pause(&mut self, draw: &mut Draw<'_>) -> Result<(), Fault> {
        let ms = draw.pause_ms();
        if ms > 0 {
            self.told.push(format!("pause {ms} ms"));
            self.clock.advance_ms(ms);
        }
        if ms >= REMEMBERED_MS {
            // A node that was not heard of for so long is swept, which counts.
            for stage in self.stages.iter().filter(|stage| stage.remembers_nodes()) {
                stage.tell_time().await?;
            }
        }
        Ok(())
    }

    /// The same command on one copy of each; gives the reply of all.
    pub async fn submit(&mut self, request: Request, copy: u64) -> Result<Reply, Fault> {
        self.told.push(short(&format!("copy {copy}: {request:?}")));
        let expected = self.model.submit(request.clone(), soon()).await;
        let expected = expected.expect("memory does not fail");
        for stage in &self.stages {
            let reply = stage.copy(copy).submit(request.clone(), soon()).await;
            let same = reply.as_ref().is_ok_and(|reply| *reply == expected);
            stage.ensure(same, || {
                let (reply, expected) = (format!("{reply:?}"), format!("{expected:?}"));
                format!("replied {}, not {}", short(&reply), short(&expected))
            })?;
        }
        Ok(expected)
    }

    /// The same question to one copy of each.
    pub async fn ask(
        &mut self,
        question: Question,
        how: Consistency,
        copy: u64,
    ) -> Result<(), Fault> {
        self.told.push(format!("copy {copy}: {question:?} {how:?}"));
        let expected = self.model.ask(question.clone(), how, soon()).await;
        let expected = expected.expect("memory does not fail");
        for stage in &self.stages {
            // What happened lately fades by the clock of whoever answers.
            let fades = matches!(question, Question::Stats { .. });
            if how == Consistency::Local || fades {
                stage.catch_up(copy, expected.revision).await?;
            }
            let answered = stage.copy(copy).ask(question.clone(), how, soon()).await;
            // How old it may be is each store's own.
            let seen = |answered: &Answered| (answered.answer.clone(), answered.revision);
            let same = answered.as_ref().is_ok_and(|answered| seen(answered) == seen(&expected));
            stage.ensure(same, || {
                let (answered, expected) = (format!("{answered:?}"), format!("{expected:?}"));
                format!("answered {}, not {}", short(&answered), short(&expected))
            })?;
        }
        Ok(())
    }

    /// All that can be seen, and all that there is.
    pub async fn compare_all(&mut self) -> Result<(), Fault> {
        self.submit(last(), 0).await?;
        for question in everything(&self.model).await {
            self.ask(question, Consistency::Linearizable, 1).await?;
        }
        let expected = Whole::of(&self.model.state());
        let whole = Whole::read(&self.model).await.and_then(|whole| whole.check(&expected));
        whole.map_err(|what| Fault { store: "memory", what })?;
        let model = self.model.health().await;
        for stage in &self.stages {
            for copy in 0..stage.copies.len() as u64 {
                stage.catch_up(copy, model.revision).await?;
                let health = stage.copy(copy).health().await;
                let same = (health.revision, health.chain) == (model.revision, model.chain);
                stage.ensure(same, || format!("copy {copy} is at {health:?}, not {model:?}"))?;
            }
            stage.is_whole(0, &expected).await?;
        }
        Ok(())
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

fn drawn(draw: &mut Draw<'_>, model: &MemoryStore) -> Request {
    let (command, idempotency) = draw.command(&model.state().tables);
    Request {
        command,
        idempotency,
        actor: draw.maybe(NAMES),
        random: draw.chance(),
        attempt: false,
    }
}

/// Moves the clock on and does nothing else.
pub fn tick() -> Request {
    let command = Command::Sweep { limit: 0 };
    Request { command, idempotency: None, actor: None, random: 0, attempt: false }
}

/// A change, for the sake of the clock: a store need not keep what time it is
/// where nothing else has changed.
pub fn last() -> Request {
    let command = draw::set("last", None);
    Request { command, idempotency: None, actor: None, random: 0, attempt: false }
}

/// Questions that leave nothing out.
async fn everything(model: &MemoryStore) -> Vec<Question> {
    let (scan, limit) = (Scan::default(), 10_000);
    let runs =
        Question::Runs { filter: RunFilter::default(), before: None, page: Page::of_rows(limit) };
    let Answered { answer, .. } =
        model.ask(runs.clone(), Consistency::Linearizable, soon()).await.expect("it is memory");
    let Answer::Runs { rows, .. } = answer else { panic!("not about runs: {answer:?}") };
    let steps = rows.into_iter().map(|run| Question::Resume {
        run_id: run.run_id,
        from_step: 0,
        page: Page::of_rows(1_000),
    });
    let mut questions: Vec<Question> = steps.collect();
    questions.extend([
        Question::Keys { scan: scan.clone(), page: Page::of_rows(limit) },
        Question::Leases { scan: scan.clone(), page: Page::of_rows(limit) },
        Question::Sessions { scan: scan.clone(), page: Page::of_rows(limit) },
        Question::Stats { scan, page: Page::of_rows(limit) },
        Question::Counts,
        Question::History {
            filter: HistoryFilter::default(),
            before: None,
            page: Page::of_rows(limit),
        },
        runs,
    ]);
    questions
}

impl Stage {
    pub fn ensure(&self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
        match holds {
            true => Ok(()),
            false => Err(Fault { store: self.name, what: what() }),
        }
    }

    /// Compares what this copy hands out.
    pub async fn is_whole(&self, copy: u64, expected: &Whole) -> Result<(), Fault> {
        let whole = Whole::read(self.copy(copy).as_ref()).await;
        let checked = whole.and_then(|whole| whole.check(expected));
        self.ensure(checked.is_ok(), || checked.unwrap_err())
    }

    /// Tells every copy what time it is.
    pub async fn tell_time(&self) -> Result<(), Fault> {
        for copy in &self.copies {
            let told = copy.submit(tick(), soon()).await;
            self.ensure(told.is_ok(), || format!("a tick failed: {told:?}"))?;
        }
        Ok(())
    }

    /// Waits until this copy has noticed `revision`, as those who wait do.
    async fn catch_up(&self, copy: u64, revision: Revision) -> Result<(), Fault> {
        let copy = self.copy(copy);
        let mut seen = copy.revision();
        let noticed = timeout(PATIENCE, seen.wait_for(|seen| *seen >= revision)).await;
        let noticed = noticed.is_ok_and(|noticed| noticed.is_ok());
        self.ensure(noticed, || format!("does not notice that {revision} was reached"))?;
        if self.local_lags() {
            // Asked linearizably after the time was told, it has applied that.
            self.tell_time().await?;
            let asked = copy.ask(Question::Counts, Consistency::Linearizable, soon()).await;
            self.ensure(asked.is_ok(), || format!("counting failed: {asked:?}"))?;
        }
        Ok(())
    }
}
