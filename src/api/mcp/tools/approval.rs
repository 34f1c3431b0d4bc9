//! What runs ask a person, and what was decided.

use super::arguments::Arguments;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::Values;
use crate::machine::command::Ask;
use crate::machine::row::RunRow;
use crate::service::ServiceError;

/// The argument with which a checkpoint asks.
pub(super) fn ask_field() -> Field {
    let members = vec![
        field::text("question", "").required(),
        field::texts("options", "The answers to choose from."),
        field::integer("expires_seconds", "").least(1),
    ];
    field::object_of("await_approval", members, "Park the run until workflow_decide answers.")
}

pub(super) fn ask(args: &mut Arguments<'_>) -> Result<Option<Ask>, ServiceError> {
    if !args.has("await_approval") {
        return Ok(None);
    }
    let mut ask = args.members_of("await_approval")?;
    Ok(Some(Ask {
        question: ask.text("question")?,
        options: ask.texts("options")?,
        expires_ms: ask.seconds_as_ms_if("expires_seconds")?,
    }))
}

/// The fields of what a run asks, or what was decided.
pub(super) fn approval_field() -> Field {
    let members = vec![
        field::text("question", "What is asked."),
        field::texts("options", "The answers to choose from."),
        field::text("digest", "The hash of what is asked, for workflow_decide."),
        field::seconds("expires_at", "When the run goes on without an answer."),
        field::one_of("decision", &["answered", "expired"], "Given once there is one."),
        field::text("answer", "What was decided."),
        field::text("decided_by", "Who decided."),
        field::text("comment", "What they added."),
    ];
    field::object_of("approval", members, "What the run asks a person, or last asked.")
}

/// Adds what the run asks to its description.
pub(super) fn with_approval(object: JsonObject, run: &RunRow, texts: Values) -> JsonObject {
    let Some(approval) = &run.approval else { return object };
    let asked = texts.show_text(JsonObject::new(), "question", &approval.question);
    let asked = asked
        .texts_if("options", &approval.options)
        .text("digest", &approval.digest(&run.run_id))
        .deadline_if("expires_at", run.asks_until());
    let Some(decided) = &approval.decision else { return object.object("approval", asked) };
    let decision = if decided.answer.is_some() { "answered" } else { "expired" };
    let asked = asked.text("decision", decision);
    let texts = [("answer", &decided.answer), ("comment", &decided.comment)].into_iter().fold(
        asked,
        |asked, (name, text)| match text {
            Some(text) => texts.show_text(asked, name, text),
            None => asked,
        },
    );
    object.object("approval", texts.text_if("decided_by", decided.by.as_deref()))
}
