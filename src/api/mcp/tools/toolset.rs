//! Toolsets: which of the tools a client is offered. A list of tools is sent to an
//! agent in every conversation, so an agent is best offered what its work needs.

use std::str::FromStr;

use super::list::all;
use super::tool::Tool;
use crate::nearest::nearest;

/// The HTTP header by which a client chooses its tools. Its value is that of the
/// setting `SIDECAR_TOOLS`: names of toolsets and of tools, separated by commas.
pub const HEADER: &str = "x-mcp-toolsets";

/// The tool that removes everything, which no agent needs for its work.
const RESET: &str = "sidecar_reset";

/// Every toolset that has a name. `None` is every tool.
const NAMED: [(&str, Option<&[&str]>); 5] = [
    ("default", None),
    ("all", None),
    (
        "reference",
        Some(&[
            "state_set",
            "state_get",
            "state_delete",
            "state_list",
            "workflow_create",
            "workflow_discover",
            "workflow_list",
            "workflow_claim",
            "workflow_status",
            "workflow_checkpoint",
            "workflow_resume",
            "lease_acquire",
            "lease_renew",
            "lease_release",
            "session_save",
            "session_restore",
            "history_log",
            "sidecar_health",
            RESET,
        ]),
    ),
    (
        "worker",
        Some(&[
            "workflow_claim_next",
            "workflow_claim",
            "workflow_resume",
            "workflow_checkpoint",
            "workflow_heartbeat",
            "workflow_complete",
            "workflow_fail",
            "workflow_release",
            "state_get",
            "state_set",
            "lease_acquire",
            "lease_renew",
            "lease_release",
            "session_save",
            "session_restore",
        ]),
    ),
    (
        "orchestrator",
        Some(&[
            "workflow_create",
            "workflow_claim",
            "workflow_heartbeat",
            "workflow_complete",
            "workflow_discover",
            "workflow_status",
            "workflow_cancel",
            "workflow_retry",
            "workflow_wait",
            "workflow_decide",
            "workflow_pause",
            "schedule_set",
            "schedule_list",
            "workflow_stats",
            "state_get",
            "state_set",
            "state_list",
            "state_transact",
            "state_wait",
            "lease_list",
            "session_save",
            "session_restore",
            "history_log",
            "sidecar_health",
        ]),
    ),
];

/// A set of tools: a bit for each, in the order of [`all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toolset(u64);

impl Default for Toolset {
    /// Everything that an agent needs.
    fn default() -> Toolset {
        Toolset::of(|tool| tool.name != RESET)
    }
}

impl Toolset {
    pub fn all() -> Toolset {
        Toolset::of(|_| true)
    }

    fn of(holds: impl Fn(&Tool) -> bool) -> Toolset {
        let bits = all().iter().enumerate().filter(|(_, tool)| holds(tool));
        Toolset(bits.fold(0, |set, (at, _)| set | 1 << at))
    }

    /// What a client is offered that asks for `requested`: nothing beyond the tools
    /// that the operator has `configured`, if there are any.
    pub fn offered(
        configured: Option<Toolset>,
        requested: Option<&str>,
    ) -> Result<Toolset, NotOffered> {
        let Some(Toolset(requested)) = Toolset::chosen(requested.unwrap_or_default())? else {
            return Ok(configured.unwrap_or_default());
        };
        let allowed = configured.unwrap_or_else(Toolset::all);
        match requested & allowed.0 {
            0 => Err(NotOffered::None { allowed }),
            both => Ok(Toolset(both)),
        }
    }

    /// The tools that a list names. An empty list chooses nothing: it is the same as
    /// none at all, since a server without tools is of no use to anybody.
    pub fn chosen(names: &str) -> Result<Option<Toolset>, UnknownTools> {
        Ok(Some(names.parse()?).filter(|Toolset(set)| *set != 0))
    }

    /// The tools in it, in the order in which clients see them.
    pub fn tools(self) -> impl Iterator<Item = &'static Tool> {
        let in_set = move |at: usize| self.0 >> at & 1 == 1;
        all().iter().enumerate().filter(move |(at, _)| in_set(*at)).map(|(_, tool)| tool)
    }

    /// A tool that `text` tells an agent to call and that is not in the set.
    pub(in crate::api::mcp) fn lacks_of(self, text: &str) -> Option<&'static str> {
        let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut words = text.split(|c| !is_in_name(c));
        words
            .find_map(|word| Some(super::find(word)?.name).filter(|name| self.find(name).is_none()))
    }

    /// The tool of this name, if it is in the set.
    pub fn find(self, name: &str) -> Option<&'static Tool> {
        let at = all().iter().position(|tool| tool.name == name)?;
        (self.0 >> at & 1 == 1).then(|| &all()[at])
    }
}

/// A list of toolsets names something that is neither a toolset nor a tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no toolset and no tool is called '{name}'; did you mean '{nearest}'?")]
pub struct UnknownTools {
    name: String,
    nearest: &'static str,
}

/// A client asks for tools that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    #[error(transparent)]
    Unknown(#[from] UnknownTools),
    #[error("none of these tools is offered here; there are {allowed}")]
    None { allowed: Toolset },
}

impl std::fmt::Display for Toolset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.tools().map(|tool| tool.name).collect();
        f.write_str(&names.join(", "))
    }
}

impl FromStr for Toolset {
    type Err = UnknownTools;

    fn from_str(names: &str) -> Result<Toolset, UnknownTools> {
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(named).try_fold(Toolset(0), |Toolset(set), named| {
            let Toolset(more) = named?;
            Ok(Toolset(set | more))
        })
    }
}

fn named(name: &str) -> Result<Toolset, UnknownTools> {
    match NAMED.iter().find(|(named, _)| *named == name) {
        Some(("default", _)) => Ok(Toolset::default()),
        Some((_, None)) => Ok(Toolset::all()),
        Some((_, Some(names))) => Ok(Toolset::of(|tool| names.contains(&tool.name))),
        None if all().iter().any(|tool| tool.name == name) => {
            Ok(Toolset::of(|tool| tool.name == name))
        }
        None => {
            let known = NAMED.iter().map(|(named, _)| *named);
            let known = known.chain(all().iter().map(|tool| tool.name));
            let nearest = nearest(name, known).unwrap_or("default");
            Err(UnknownTools { name: super::shortened(name), nearest })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: Toolset) -> Vec<&'static str> {
        set.tools().map(|tool| tool.name).collect()
    }

    #[test]
    fn every_name_in_a_toolset_is_a_tool() {
        assert!(all().len() <= u64::BITS as usize);
        for (set, wanted) in NAMED {
            let set: Toolset = set.parse().expect("a toolset");
            let wanted = wanted.map_or(names(set).len(), <[_]>::len);
            assert_eq!(names(set).len(), wanted);
        }
    }

    #[test]
    fn resetting_is_offered_only_where_it_is_asked_for() {
        assert!(Toolset::default().find(RESET).is_none());
        for (set, has) in [("all", true), ("reference", true), ("worker", false), (RESET, true)] {
            assert_eq!(set.parse::<Toolset>().unwrap().find(RESET).is_some(), has, "{set}");
        }
    }

    #[test]
    fn a_client_chooses_within_what_the_operator_offers() {
        let worker: Toolset = "worker".parse().unwrap();
        let chosen = Toolset::offered(Some(worker), Some("state_get, sidecar_reset"));
        assert_eq!(names(chosen.unwrap()), ["state_get"]);
        assert_eq!(Toolset::offered(Some(worker), None), Ok(worker));
        for empty in ["", " ", ",", " , ,"] {
            assert_eq!(Toolset::offered(Some(worker), Some(empty)), Ok(worker), "{empty:?}");
            assert_eq!(Toolset::chosen(empty), Ok(None), "{empty:?}");
        }
        let none = Toolset::offered(Some(worker), Some("state_wait")).unwrap_err().to_string();
        assert!(none.contains("none of these tools") && none.contains("state_get"), "{none}");
        assert_eq!(Toolset::offered(None, None), Ok(Toolset::default()));
        assert_eq!(names(Toolset::offered(None, Some(RESET)).unwrap()), [RESET]);
        let unknown = Toolset::offered(None, Some("wroker")).unwrap_err();
        assert!(unknown.to_string().contains("did you mean 'worker'"), "{unknown}");
    }
}
