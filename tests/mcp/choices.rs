//! Whether an agent finds the right tool by the list of tools alone.
//!
//! `choices.json` records a trial. One party, which knew what the service is for but
//! not how its tools are described, wrote tasks in words, and the call that each
//! asks for. Another, which had seen nothing but the list of tools, chose a call for
//! each. `"*"` stands for any value. This test keeps the record true: each choice is
//! the call that was asked for, and the present list still admits it.

use mcp_state_sidecar::api::mcp::tools;
use serde_json::Value;

use crate::schema;

#[test]
fn the_list_of_tools_leads_to_the_right_call() {
    let trial: Vec<Value> = serde_json::from_str(include_str!("choices.json")).expect("JSON");
    assert_eq!(trial.len(), 40);
    for choice in &trial {
        let (task, expected, chosen) = (&choice["task"], &choice["expected"], &choice["chosen"]);
        assert_eq!(chosen["tool"], expected["tool"], "{task}");
        for (name, wanted) in expected["arguments"].as_object().expect("arguments") {
            let got = &chosen["arguments"][name];
            assert!(admits(wanted, got), "{task}: {name} is {got}, not {wanted}");
        }
        let tool = tools::find(chosen["tool"].as_str().expect("a name")).expect("a tool");
        let schema = Value::Object(tool.input_schema());
        schema::check(&schema, &chosen["arguments"]).unwrap_or_else(|why| panic!("{task}: {why}"));
    }
}

fn admits(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::String(any), got) if any == "*" => !got.is_null(),
        (Value::Object(wanted), got) => {
            wanted.iter().all(|(name, wanted)| admits(wanted, &got[name]))
        }
        (wanted, got) => wanted == got,
    }
}
