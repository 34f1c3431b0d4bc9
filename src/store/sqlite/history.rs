//! Looking up the history: by subject, actor and action, and as a stream of
//! changes after a revision.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Result, params_from_iter};

use super::table::{EVENT, bound};
use super::view::TransactionView;
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::page::Page;
use crate::machine::view::HistoryView;
use crate::machine::{Event, Revision};

impl HistoryView for TransactionView<'_> {
    type Error = rusqlite::Error;

    /// Walks one index backwards: that of the subject if the filter has one, as
    /// subjects have the fewest events; else that of the actor, else of the action.
    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        page: Page,
    ) -> Result<Vec<Event>> {
        let before = before.map_or(u64::MAX, |revision| revision.0);
        let mut params = vec![bound(before), bound(self.meta.anchor.revision.0)];
        let wanted = [
            ("subject", filter.subject.as_deref()),
            ("actor", filter.actor.as_deref()),
            ("action", filter.action.map(|action| action.as_str())),
        ];
        let mut conditions = String::new();
        let mut index = "NOT INDEXED".to_owned();
        for (column, value) in wanted {
            let Some(value) = value else { continue };
            if conditions.is_empty() {
                index = format!("INDEXED BY event_by_{column}");
            }
            params.push(ToSqlOutput::from(value));
            conditions += &format!(" AND {column} = ?{}", params.len());
        }
        let sql = format!(
            "{} {index} WHERE revision < ?1 AND revision > ?2{conditions} ORDER BY revision DESC",
            EVENT.select
        );
        self.events(&sql, params, page)
    }

    /// The events of one key come from its index. Others are filtered out of all
    /// later events, because changes are usually read from near the end.
    fn since(&self, filter: &ChangeFilter, after: Revision, page: Page) -> Result<Vec<Event>> {
        let mut params = vec![bound(after.max(self.meta.anchor.revision).0)];
        let (index, condition) = match filter {
            ChangeFilter::Key(key) => {
                params.push(ToSqlOutput::from(&**key));
                ("INDEXED BY event_by_subject", " AND subject = ?2")
            }
            ChangeFilter::Prefix(prefix) => {
                params.push(ToSqlOutput::from(&**prefix));
                ("NOT INDEXED", " AND subject >= ?2 AND subject < ?3")
            }
            ChangeFilter::Grants => ("NOT INDEXED", ""),
        };
        // This byte does not occur in text, so every subject with the prefix sorts
        // before it. LIKE and GLOB would take the prefix for a pattern.
        let end = match filter {
            ChangeFilter::Prefix(prefix) => Some([prefix.as_bytes(), &[u8::MAX]].concat()),
            ChangeFilter::Key(_) | ChangeFilter::Grants => None,
        };
        params.extend(end.iter().map(|end| ToSqlOutput::Borrowed(ValueRef::Text(end))));
        let actions: Vec<_> =
            filter.actions().iter().map(|action| format!("'{}'", action.as_str())).collect();
        let sql = format!(
            "{} {index} WHERE revision > ?1{condition} AND action IN ({}) ORDER BY revision",
            EVENT.select,
            actions.join(", ")
        );
        self.events(&sql, params, page)
    }
}

impl TransactionView<'_> {
    fn events(&self, sql: &str, params: Vec<ToSqlOutput<'_>>, page: Page) -> Result<Vec<Event>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        page.read(statement.query_map(params_from_iter(params), EVENT.read)?, Event::bytes)
    }
}
