//! The history as it is asked about: by what it happened to, by whom and by
//! kind, and as a feed of changes of keys.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Result, params, params_from_iter};

use super::range::{Range, starting_with};
use super::rows::{self, bound};
use super::view::Tables;
use crate::machine::view::{ChangeFilter, HistoryFilter, HistoryView};
use crate::machine::{Event, Revision};

impl HistoryView for Tables<'_> {
    type Error = rusqlite::Error;

    /// Walks one index from its end: that of the subject if one is asked for,
    /// which has the fewest events, else the actor's, else the action's.
    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let before = before.map_or(u64::MAX, |revision| revision.0);
        let mut params = vec![bound(before), bound(limit as u64)];
        let wanted = [
            ("subject", filter.subject.as_deref()),
            ("actor", filter.actor.as_deref()),
            ("action", filter.action.map(|action| action.as_str())),
        ];
        let mut conditions = String::new();
        let mut source = "event NOT INDEXED".to_owned();
        for (column, value) in wanted {
            let Some(value) = value else { continue };
            if conditions.is_empty() {
                source = format!("event INDEXED BY event_by_{column}");
            }
            params.push(ToSqlOutput::from(value));
            conditions += &format!(" AND {column} = ?{}", params.len());
        }
        let sql = format!(
            "SELECT {} FROM {source} WHERE revision < ?1{conditions} \
             ORDER BY revision DESC LIMIT ?2",
            rows::EVENT
        );
        self.many(&sql, params_from_iter(params), rows::event)
    }

    /// One key's events come from its index. Those of a prefix are picked from
    /// all that came after: a feed is read from near its end.
    fn since(&self, filter: &ChangeFilter, after: Revision, limit: usize) -> Result<Vec<Event>> {
        const OF_KEYS: &str = "action IN ('state_set', 'state_delete', 'state_expire')";
        let (after, limit) = (bound(after.0), bound(limit as u64));
        match filter {
            ChangeFilter::Key(key) => {
                let sql = format!(
                    "SELECT {} FROM event INDEXED BY event_by_subject WHERE subject = ?3 \
                     AND revision > ?1 AND {OF_KEYS} ORDER BY revision LIMIT ?2",
                    rows::EVENT
                );
                self.many(&sql, params![after, limit, key], rows::event)
            }
            ChangeFilter::Prefix(prefix) => {
                let range = Range::of(&starting_with(prefix), "subject", 3);
                let sql = format!(
                    "SELECT {} FROM event NOT INDEXED WHERE revision > ?1 AND {} AND {OF_KEYS} \
                     ORDER BY revision LIMIT ?2",
                    rows::EVENT,
                    range.condition()
                );
                let mut params = vec![after, limit];
                params.extend(range.bounds());
                self.many(&sql, params_from_iter(params), rows::event)
            }
        }
    }
}
