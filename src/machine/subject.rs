//! Subjects: how events name what they are about. A key is its own subject.

use super::value::Text;

/// How events name a run.
pub fn run_subject(run_id: &str) -> Text {
    format!("workflow:{run_id}").into()
}

/// How events name a lease.
pub fn lease_subject(resource_id: &str) -> Text {
    format!("lease:{resource_id}").into()
}

/// How events name a session.
pub fn session_subject(session_id: &str) -> Text {
    format!("session:{session_id}").into()
}

/// The id of the run or the lease that a subject names, if it names one.
pub fn run_or_lease(subject: &str) -> Option<Text> {
    let id = subject.strip_prefix("workflow:").or_else(|| subject.strip_prefix("lease:"));
    id.map(Into::into)
}
