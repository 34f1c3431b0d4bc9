//! Fields: what a tool takes and gives, as data. The schemas that clients see,
//! the refusal of unknown and of missing arguments, and the names in errors come
//! from the same list, so they cannot disagree.

use serde_json::{Map, Value, json};

/// One argument or result field.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: &'static str,
    /// A JSON Schema (2020-12).
    pub schema: Map<String, Value>,
    pub required: bool,
    /// `null` is a value here, rather than the same as leaving the field out.
    pub takes_null: bool,
    /// The fields of an object, or of each object of a list.
    pub(super) members: Vec<Field>,
    /// What the command or question calls this argument, if that is another
    /// name. Durations need not say it: they are always converted to `_ms`.
    pub(super) fills: Option<&'static str>,
}

impl Field {
    fn new(name: &'static str, schema: Value, help: &str) -> Field {
        let mut schema = match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        schema.insert("description".into(), help.into());
        let (required, takes_null) = (false, false);
        Field { name, schema, required, takes_null, members: Vec::new(), fills: None }
    }

    /// The argument must be given; the result is always there.
    pub(super) fn required(mut self) -> Field {
        self.required = true;
        self
    }

    /// A result field that may be `null`.
    pub(super) fn nullable(mut self) -> Field {
        if let Some(kind) = self.schema.remove("type") {
            self.schema.insert("type".into(), json!([kind, "null"]));
        }
        self
    }

    pub(super) fn default(mut self, value: Value) -> Field {
        self.schema.insert("default".into(), value);
        self
    }

    pub(super) fn least(mut self, least: u64) -> Field {
        self.schema.insert("minimum".into(), least.into());
        self
    }

    /// The least that it may be, if it has been given one.
    pub(super) fn minimum(&self) -> Option<u64> {
        self.schema.get("minimum").and_then(Value::as_u64)
    }

    pub(super) fn fills(mut self, name: &'static str) -> Field {
        self.fills = Some(name);
        self
    }
}

/// A schema for an object of these fields and no others.
pub(super) fn object_schema(fields: &[Field]) -> Map<String, Value> {
    let properties: Map<String, Value> =
        fields.iter().map(|f| (f.name.into(), Value::Object(f.schema.clone()))).collect();
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("additionalProperties".into(), false.into());
    schema
}

pub(super) fn text(name: &'static str, help: &str) -> Field {
    Field::new(name, json!({"type": "string"}), help)
}

pub(super) fn one_of(name: &'static str, names: &[&str], help: &str) -> Field {
    Field::new(name, json!({"type": "string", "enum": names}), help)
}

pub(super) fn integer(name: &'static str, help: &str) -> Field {
    Field::new(name, json!({"type": "integer"}), help)
}

pub(super) fn seconds(name: &'static str, help: &str) -> Field {
    Field::new(name, json!({"type": "number"}), help)
}

pub(super) fn boolean(name: &'static str, help: &str) -> Field {
    Field::new(name, json!({"type": "boolean"}), help)
}

/// Any JSON value, including `null`.
pub(super) fn any(name: &'static str, help: &str) -> Field {
    Field { takes_null: true, ..Field::new(name, json!({}), help) }
}

pub(super) fn object(name: &'static str, help: &str) -> Field {
    Field::new(name, json!({"type": "object"}), help)
}

pub(super) fn object_of(name: &'static str, members: Vec<Field>, help: &str) -> Field {
    let schema = Value::Object(object_schema(&members));
    Field { members, ..Field::new(name, schema, help) }
}

pub(super) fn list_of(name: &'static str, items: Value, help: &str) -> Field {
    Field::new(name, json!({"type": "array", "items": items}), help)
}

pub(super) fn objects(name: &'static str, members: Vec<Field>, help: &str) -> Field {
    let items = Value::Object(object_schema(&members));
    Field { members, ..list_of(name, items, help) }
}

pub(super) fn tags(help: &str) -> Field {
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    Field::new("tags", strings, help)
}

pub(super) fn fence() -> Field {
    let members = vec![
        text("resource_id", "The lease's resource.").required(),
        integer("token", "The fencing_token that lease_acquire gave.").least(0).required(),
    ];
    object_of(
        "fence",
        members,
        "Refuse the write, changing nothing, unless this lease is held now with this token.",
    )
}

pub(super) fn idempotency_key() -> Field {
    text(
        "idempotency_key",
        "Your own name for this call, up to 128 bytes. Repeating the call with the same key and \
         arguments gives the first answer again instead of doing it twice; kept for an hour.",
    )
}

/// The argument that lets a read be local.
pub(super) const CONSISTENCY: &str = "consistency";

/// The result that only a local read has.
pub(super) const AGE: &str = "age_seconds";

pub(super) fn age() -> Field {
    seconds(
        AGE,
        "For a local read: it saw everything that was written so long ago. null where this node \
        has heard from no majority since it started.",
    )
    .nullable()
}

pub(super) fn consistency() -> Field {
    one_of(
        CONSISTENCY,
        &["linearizable", "local"],
        "'local' reads this node's own copy, which may be older but needs no quorum.",
    )
    .default(json!("linearizable"))
}

pub(super) fn limit() -> Field {
    integer(
        "limit",
        "How many to return at most, up to 10000 and about 1 MiB. Without it a page \
        holds about 100 and 64 KiB.",
    )
    .least(1)
}

pub(super) fn cursor() -> Field {
    text("cursor", "The next_cursor of the page before, to go on from there.").fills("after")
}

pub(super) fn next_cursor() -> Field {
    text("next_cursor", "Given when there is more: pass it as cursor to get the next page.")
}
