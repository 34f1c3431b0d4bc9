//! Fields: what a tool takes and gives, as data. The schemas that clients see,
//! the refusal of unknown and of missing arguments, and the names in errors come
//! from the same list, so they cannot disagree.
//!
//! Each input has an explicit type, since clients drop tools whose inputs have
//! none, or send text for them. The help is short: every agent reads it in every
//! conversation, and its instructions explain what all tools have in common.

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
    /// It is accepted, and clients are not told of it: the name that an argument had in
    /// earlier releases.
    pub(super) hidden: bool,
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
        if !help.is_empty() {
            schema.insert("description".into(), help.into());
        }
        Field {
            name,
            schema,
            required: false,
            takes_null: false,
            members: Vec::new(),
            hidden: false,
            fills: None,
        }
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

    pub(super) fn hidden(mut self) -> Field {
        self.hidden = true;
        self
    }

    pub(super) fn default(mut self, value: Value) -> Field {
        self.schema.insert("default".into(), value);
        self
    }

    /// Whether leaving the argument out is the same as giving some value.
    pub(super) fn has_default(&self) -> bool {
        self.schema.contains_key("default")
    }

    pub(super) fn least(mut self, least: u64) -> Field {
        self.schema.insert("minimum".into(), least.into());
        self
    }

    /// Its schema as clients see it. What is least is left out: a refusal tells it to the
    /// few agents that would give less, and all agents would read it.
    fn shown(&self) -> Value {
        let mut schema = self.schema.clone();
        schema.remove("minimum");
        Value::Object(schema)
    }

    /// The least that it may be, if it has been given one.
    pub(super) fn minimum(&self) -> Option<u64> {
        self.schema.get("minimum").and_then(Value::as_u64)
    }

    /// The values that it may have, if they are listed.
    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.schema.get("enum").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub(super) fn fills(mut self, name: &'static str) -> Field {
        self.fills = Some(name);
        self
    }
}

/// The types of a value that may be any JSON.
const ANY: [&str; 6] = ["object", "array", "string", "number", "boolean", "null"];

/// A schema for a result in which only the names of those fields are told that every
/// result has. A list of tools is sent to every agent, and agents read results, not
/// their schemas. An error fits it too: some clients check the structured content of
/// errors.
pub(super) fn outline(fields: &[Field]) -> Map<String, Value> {
    let always = fields.iter().filter(|field| field.required);
    let properties: Map<String, Value> =
        always.map(|field| (field.name.into(), json!({}))).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    schema
}

/// A schema for an object of these fields. That there are no others is not said, since
/// Gemini's clients cannot read it; unknown arguments are refused all the same.
pub(super) fn object_schema(fields: &[Field]) -> Map<String, Value> {
    let shown = fields.iter().filter(|field| !field.hidden);
    let properties: Map<String, Value> = shown.map(|f| (f.name.into(), f.shown())).collect();
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema
}

/// The same schema, with nothing else in any of its objects.
pub(super) fn closed(schema: Value) -> Value {
    match schema {
        Value::Object(members) => {
            let is_object = members.contains_key("properties");
            let inside = members.into_iter().map(|(name, inner)| (name, closed(inner)));
            let mut members: Map<String, Value> = inside.collect();
            if is_object {
                members.insert("additionalProperties".into(), false.into());
            }
            Value::Object(members)
        }
        other => other,
    }
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
    // Several clients refuse a type that may be a list and does not say of what. That
    // the items may be lists again cannot be said in the schemas that they take.
    let schema = json!({"type": ANY, "items": {"type": ["object", "string", "number", "boolean"]}});
    Field { takes_null: true, ..Field::new(name, schema, help) }
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

pub(super) fn texts(name: &'static str, help: &str) -> Field {
    list_of(name, json!({"type": "string"}), help)
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
    let members =
        vec![text("resource_id", "").required(), integer("token", "").least(0).required()];
    object_of("fence", members, "Write only while this lease is held.")
}

pub(super) fn idempotency_key() -> Field {
    text("idempotency_key", "")
}

/// The argument that lets a read be local.
pub(super) const CONSISTENCY: &str = "consistency";

/// The argument that says how much of each value to show.
pub(super) const VALUES: &str = "values";

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
    one_of(CONSISTENCY, &["linearizable", "local"], "")
}

/// How much of each value to show.
pub(super) fn values() -> Field {
    one_of(VALUES, &["none", "head", "full"], "head: 256 bytes.")
}

pub(super) fn limit() -> Field {
    integer("limit", "").least(1)
}

pub(super) fn cursor() -> Field {
    text("cursor", "From next_cursor.").fills("after")
}

pub(super) fn next_cursor() -> Field {
    text("next_cursor", "Given when there is more: pass it as cursor to get the next page.")
}
