//! One call on its way to the service, as a tool sees it.

use std::sync::OnceLock;
use std::time::Duration;

use super::arguments::Arguments;
use crate::access::Caller;
use crate::machine::{Answer, Command, Question, Reply};
use crate::service::{Context, Service, ServiceError};
use crate::store::Consistency;

/// One call: its arguments, who makes it, and the service that answers it.
pub(super) struct ToolCall<'a> {
    pub(super) service: &'a Service,
    pub(super) caller: &'a Caller,
    pub(super) args: Arguments<'a>,
    /// How old the state was that a local read saw. It is not set unless the
    /// call makes a local read.
    pub(super) age: &'a OnceLock<Option<Duration>>,
}

impl ToolCall<'_> {
    /// What comes with a write besides the command.
    pub(super) fn context(&mut self) -> Result<Context, ServiceError> {
        let idempotency_key = self.args.text_if("idempotency_key")?;
        Ok(Context { actor: self.caller.actor.clone(), idempotency_key })
    }

    /// Asks the only question of this call.
    pub(super) async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
    ) -> Result<Answer, ServiceError> {
        let answered = self.service.ask(question, consistency).await?;
        if consistency == Consistency::Local {
            self.age.get_or_init(|| answered.age);
        }
        Ok(answered.answer)
    }

    pub(super) async fn submit(&mut self, command: Command) -> Result<Reply, ServiceError> {
        let context = self.context()?;
        self.service.submit(command, context).await
    }
}
