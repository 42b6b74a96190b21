//! Asks ruma for its verdict on a case.
//!
//! Reads one JSON object a line from standard input, and answers each with one line on standard
//! output: the result, or `error` with a text. A line with an `area` is a question of the
//! observatory, see `judge.rs`. In the others, `command` says what to do.
//!
//! - `load`: keep a case under a `name`, for many calls of `resolve`. A case has `room_version`,
//!   `events` (PDUs by event ID), `rejected` (IDs), and `states`, each a list of type, state key and
//!   event ID.
//! - `resolve`: resolve the states of the case that was loaded under `name`, or of the case in the
//!   line itself. The answer has `state`, in the form of the states. With `repeat`, it has `ns` in
//!   its place: the CPU time of each of so many resolutions. The auth chains of the states, and for
//!   version 12 the conflicted state subgraph, are computed before; with `"walk": true` they are
//!   computed in the time measured.
//! - `redact`: redact `pdu` by the rules of `room_version`; with `"msc2870": true` the content of
//!   `m.room.server_acl` is kept. The answer has `redacted`.

mod cases;
mod judge;

use std::{
    collections::HashMap,
    io::{BufRead, Write, stdin, stdout},
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
};

use ruma_common::{RoomVersionId, canonical_json, room_version_rules::RoomVersionRules};
use serde::Deserialize;
use serde_json::{Value, json};

use cases::Case;

type Answer = Result<Value, Box<dyn std::error::Error>>;

fn main() {
    let mut loaded = HashMap::new();
    set_hook(Box::new(|_| ()));
    for line in stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let answer = catch_unwind(AssertUnwindSafe(|| answer(&line, &mut loaded)))
            .unwrap_or_else(|_| Ok(json!({ "fault": "no verdict" })))
            .unwrap_or_else(|error| json!({ "error": error.to_string() }));
        let mut out = stdout().lock();
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .expect("somebody reads the answers");
    }
}

fn answer(line: &str, loaded: &mut HashMap<String, Case>) -> Answer {
    #[derive(Deserialize)]
    struct Command {
        #[serde(default)]
        command: String,
        #[serde(default)]
        name: String,
        area: Option<String>,
    }
    let asked: Command = serde_json::from_str(line)?;
    if let Some(area) = asked.area {
        return Ok(judge::answer(&area, line));
    }
    match asked.command.as_str() {
        "load" => {
            loaded.insert(asked.name.clone(), serde_json::from_str(line)?);
            Ok(json!({ "loaded": asked.name }))
        }
        "resolve" => {
            let how = serde_json::from_str(line)?;
            match loaded.get(&asked.name) {
                Some(case) => case.resolve(&how),
                None => serde_json::from_str::<Case>(line)?.resolve(&how),
            }
        }
        "redact" => redact(serde_json::from_str(line)?),
        other => Err(format!("{other} is not a command").into()),
    }
}

#[derive(Deserialize)]
struct Redact {
    room_version: RoomVersionId,
    pdu: canonical_json::CanonicalJsonObject,
    #[serde(default)]
    msc2870: bool,
}

fn redact(asked: Redact) -> Answer {
    let mut rules = rules_of(&asked.room_version)?.redaction;
    rules.keep_room_server_acl_allow_deny_allow_ip_literals |= asked.msc2870;
    Ok(json!({ "redacted": canonical_json::redact(asked.pdu, &rules, None)? }))
}

fn rules_of(version: &RoomVersionId) -> Result<RoomVersionRules, String> {
    version
        .rules()
        .ok_or_else(|| format!("{version} is not a room version"))
}
