//! Questions of the observatory: see tests/observatory/questions.py for what each has.
//!
//! An answer has `verdict`, or `none` with the reason why there is nothing to compare. With
//! `repeat`, it has `ns`: the CPU time of that many judgements, without what was prepared before.

use std::collections::{BTreeMap, HashMap, HashSet};

use cpu_time::ProcessTime;
use ruma_common::{
    CanonicalJsonObject, EventId, OwnedEventId, OwnedServerName, RoomVersionId, canonical_json,
    room_version_rules::RoomVersionRules, serde::Base64,
};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_signatures::{
    PublicKeyMap, Verified, content_hash, reference_hash,
    required_server_signatures_to_verify_event, verify_event,
};
use ruma_state_res::{
    auth_types_for_event, check_pdu_format, check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    cases::{Case, How, Known, Pdu},
    rules_of,
};

#[derive(Deserialize)]
struct Question {
    room_version: RoomVersionId,
    #[serde(default)]
    pdu: Option<Box<RawValue>>,
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    state: Vec<(OwnedEventId, Box<RawValue>)>,
    #[serde(default)]
    rejected: Vec<OwnedEventId>,
    #[serde(default)]
    signed_by: Vec<OwnedServerName>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    keys: BTreeMap<String, BTreeMap<String, Base64>>,
    #[serde(default)]
    level: String,
    #[serde(default)]
    listed: bool,
    #[serde(default)]
    repeat: usize,
}

/// The measured part; the rest is prepared before.
type Judgement<'a> = Box<dyn Fn() -> Result<Value, String> + 'a>;
type Prepared<'a> = Result<Judgement<'a>, String>;

pub fn answer(area: &str, line: &str) -> Value {
    judged(area, line).unwrap_or_else(|why| json!({ "none": why }))
}

fn judged(area: &str, line: &str) -> Result<Value, String> {
    if area == "resolution" {
        return resolution(line);
    }
    let asked: Question = serde_json::from_str(line).map_err(text_of)?;
    let rules = rules_of(&asked.room_version)?;
    let judge = match area {
        "rules" => by_state(&asked, &rules),
        "auth-events" => by_auth_events(&asked, &rules),
        "selection" => selection(&asked, &rules),
        "format" => format(&asked, &rules),
        "redaction" => redaction(&asked, &rules),
        "content-hash" => content_hash_holds(&asked, &rules),
        "event-id" => event_id(&asked, &rules),
        "canonical-json" => canonical_form(&asked),
        "signatures" => signatures(&asked, &rules),
        "read" => read(&asked, &rules),
        "answer" => send_join_answer(&asked, &rules),
        "receipt" => receipt(&asked, &rules),
        _ => Err("not an area of this library".to_owned()),
    }?;
    if asked.repeat == 0 {
        return Ok(json!({ "verdict": judge()? }));
    }
    let start = ProcessTime::now();
    for _ in 0..asked.repeat {
        let _ = judge();
    }
    Ok(json!({ "ns": start.elapsed().as_nanos() as u64 }))
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn resolution(line: &str) -> Result<Value, String> {
    let how: How = serde_json::from_str(line).map_err(text_of)?;
    let case: Case = serde_json::from_str(line).map_err(text_of)?;
    let answer = case.resolve(&how).map_err(text_of)?;
    Ok(match answer.get("state") {
        Some(state) => json!({ "verdict": state }),
        None => answer,
    })
}

/// The PDU, as text and as an object.
fn object_of(asked: &Question) -> Result<CanonicalJsonObject, String> {
    let pdu = asked.pdu.as_ref().ok_or("the question has no PDU")?;
    serde_json::from_str(pdu.get()).map_err(text_of)
}

/// Something that ruma cannot read is an event that is not allowed.
fn event_of(asked: &Question) -> Option<(OwnedEventId, Pdu)> {
    let event_id = EventId::parse(asked.event_id.as_ref()?).ok()?;
    Some((
        event_id,
        serde_json::from_str(asked.pdu.as_ref()?.get()).ok()?,
    ))
}

fn state_of(asked: &Question) -> Result<Vec<(&OwnedEventId, Pdu)>, String> {
    asked
        .state
        .iter()
        .map(|(id, pdu)| Ok((id, serde_json::from_str(pdu.get()).map_err(text_of)?)))
        .collect()
}

fn rejecting<'a>() -> Prepared<'a> {
    Ok(Box::new(|| Ok(json!(false))))
}

fn by_state<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let state = state_of(asked)?;
    let Some((event_id, pdu)) = event_of(asked) else {
        return rejecting();
    };
    let signed = signed_by_the_authoriser(asked, &pdu, rules);
    let by_place = places(&state);
    Ok(Box::new(move || {
        let anew = asked.listed.then(|| places(&state));
        let by_place = anew.as_ref().unwrap_or(&by_place);
        let event = Known {
            event_id: &event_id,
            pdu: &pdu,
            rejected: false,
        };
        let found = if pdu.event_type == TimelineEventType::RoomCreate {
            check_state_independent_auth_rules(&rules.authorization, &event, |_| None::<Known<'_>>)
        } else {
            check_state_dependent_auth_rules(&rules.authorization, &event, |kind, key| {
                let (event_id, pdu) = &state[*by_place.get(kind)?.get(key)?];
                Some(Known {
                    event_id,
                    pdu,
                    rejected: false,
                })
            })
        };
        Ok(json!(signed && found.is_ok()))
    }))
}

/// The index of the event at each place of the state.
type Places = HashMap<StateEventType, HashMap<String, usize>>;

fn places(state: &[(&OwnedEventId, Pdu)]) -> Places {
    let mut found = Places::new();
    for (number, (_, pdu)) in state.iter().enumerate() {
        if let Some(key) = &pdu.state_key {
            let kind = StateEventType::from(pdu.event_type.to_string());
            found.entry(kind).or_default().insert(key.clone(), number);
        }
    }
    found
}

/// The signature of the sender's own server counts as given, and that of the event ID's server.
fn signed_by_the_authoriser(asked: &Question, pdu: &Pdu, rules: &RoomVersionRules) -> bool {
    let Ok(object) = object_of(asked) else {
        return false;
    };
    let own = asked.event_id.as_deref().and_then(|id| id.split_once(':'));
    required_server_signatures_to_verify_event(&object, &rules.signatures).is_ok_and(|servers| {
        servers.iter().all(|server| {
            server == pdu.sender.server_name()
                || own.is_some_and(|(_, name)| server == name)
                || asked.signed_by.contains(server)
        })
    })
}

fn by_auth_events<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let known: HashMap<_, _> = state_of(asked)?.into_iter().collect();
    let Some((event_id, pdu)) = event_of(asked) else {
        return rejecting();
    };
    Ok(Box::new(move || {
        let event = Known {
            event_id: &event_id,
            pdu: &pdu,
            rejected: false,
        };
        let found = check_state_independent_auth_rules(&rules.authorization, &event, |id| {
            let (event_id, pdu) = known.get_key_value(&id.to_owned())?;
            Some(Known {
                event_id,
                pdu,
                rejected: asked.rejected.contains(event_id),
            })
        });
        Ok(json!(found.is_ok()))
    }))
}

fn selection<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let (_, pdu) = event_of(asked).ok_or("not an event")?;
    Ok(Box::new(move || {
        let places = auth_types_for_event(
            &pdu.event_type,
            &pdu.sender,
            pdu.state_key.as_deref(),
            &pdu.content,
            &rules.authorization,
        )?;
        Ok(json!(
            places
                .iter()
                .map(|(kind, key)| (kind.to_string(), key))
                .collect::<Vec<_>>()
        ))
    }))
}

/// Is the text a PDU of this version?
fn format<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    Ok(Box::new(|| {
        let found = serde_json::from_str::<CanonicalJsonObject>(&asked.text).map_err(text_of);
        Ok(json!(found.is_ok_and(|pdu| {
            check_pdu_format(&pdu, &rules.event_format).is_ok()
        })))
    }))
}

fn redaction<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let object = object_of(asked)?;
    Ok(Box::new(move || {
        let redacted = canonical_json::redact(object.clone(), &rules.redaction, None);
        Ok(json!(redacted.map_err(text_of)?))
    }))
}

/// Is the content hash that the PDU carries the right one?
fn content_hash_holds<'a>(asked: &'a Question, _: &'a RoomVersionRules) -> Prepared<'a> {
    let object = object_of(asked)?;
    Ok(Box::new(move || Ok(json!(carries_its_hash(&object)?))))
}

fn carries_its_hash(object: &CanonicalJsonObject) -> Result<bool, String> {
    let carried = object
        .get("hashes")
        .and_then(|hashes| hashes.as_object()?.get("sha256")?.as_str());
    let found = content_hash(object).map_err(text_of)?;
    Ok(carried
        .and_then(|text| Base64::<ruma_common::serde::base64::Standard>::parse(text).ok())
        .is_some_and(|carried| carried.as_bytes() == found.as_bytes()))
}

fn event_id<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let object = object_of(asked)?;
    Ok(Box::new(move || {
        let hash = reference_hash(&object, rules).map_err(text_of)?;
        let sigil = if rules.event_format.require_event_id {
            ""
        } else {
            "$"
        };
        Ok(json!(format!("{sigil}{hash}")))
    }))
}

/// The canonical form of a text, null if it has none.
fn canonical_form(asked: &Question) -> Prepared<'_> {
    Ok(Box::new(|| {
        let found = serde_json::from_str::<CanonicalJsonObject>(&asked.text);
        Ok(json!(found.ok().map(|object| {
            serde_json::to_string(&object).unwrap_or_default()
        })))
    }))
}

/// Have all servers signed the event that have to?
fn signatures<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let object = object_of(asked)?;
    let keys = keys_of(asked);
    Ok(Box::new(move || {
        Ok(json!(verify_event(&keys, &object, rules).is_ok()))
    }))
}

fn keys_of(asked: &Question) -> PublicKeyMap {
    asked.keys.clone()
}

/// A text read into an event that has its ID. `level` says what is checked too: `hash` or
/// `signatures`, which checks the hash as well.
fn read<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let keys = keys_of(asked);
    Ok(Box::new(move || {
        let object: CanonicalJsonObject = serde_json::from_str(&asked.text).map_err(text_of)?;
        check_pdu_format(&object, &rules.event_format)?;
        let good = match asked.level.as_str() {
            "hash" => carries_its_hash(&object)?,
            "signatures" => verify_event(&keys, &object, rules).is_ok(),
            _ => true,
        };
        let hash = reference_hash(&object, rules).map_err(text_of)?;
        Ok(if good {
            json!(format!("${hash}"))
        } else {
            Value::Null
        })
    }))
}

/// An answer to send_join: every event is read, verified, and judged by those that it lists.
fn send_join_answer<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let keys = keys_of(asked);
    Ok(Box::new(move || {
        let mut events: HashMap<OwnedEventId, Pdu> = HashMap::new();
        for text in &asked.texts {
            if let Ok((id, pdu)) = taken(text, &events, &keys, rules) {
                events.insert(id, pdu);
            }
        }
        Ok(json!(events.len()))
    }))
}

fn taken(
    text: &str,
    events: &HashMap<OwnedEventId, Pdu>,
    keys: &PublicKeyMap,
    rules: &RoomVersionRules,
) -> Result<(OwnedEventId, Pdu), String> {
    let object: CanonicalJsonObject = serde_json::from_str(text).map_err(text_of)?;
    check_pdu_format(&object, &rules.event_format)?;
    verify_event(keys, &object, rules).map_err(text_of)?;
    let hash = reference_hash(&object, rules).map_err(text_of)?;
    let event_id = EventId::parse(format!("${hash}")).map_err(text_of)?;
    let pdu: Pdu = serde_json::from_str(text).map_err(text_of)?;
    let event = Known {
        event_id: &event_id,
        pdu: &pdu,
        rejected: false,
    };
    let known = |event_id, pdu| Known {
        event_id,
        pdu,
        rejected: false,
    };
    check_state_independent_auth_rules(&rules.authorization, &event, |id| {
        events
            .get_key_value(&id.to_owned())
            .map(|(id, pdu)| known(id, pdu))
    })?;
    check_state_dependent_auth_rules(&rules.authorization, &event, |kind, key| {
        let kind = TimelineEventType::from(kind.to_string());
        pdu.listed()
            .filter_map(|id| events.get_key_value(id))
            .find(|(_, pdu)| pdu.event_type == kind && pdu.state_key.as_deref() == Some(key))
            .map(|(id, pdu)| known(id, pdu))
    })?;
    Ok((event_id, pdu))
}

/// An event that comes in, whose state before is also the current state of its room. It is read,
/// verified, and judged by the events that it lists. Its state is judged a second time only if it
/// does not hold these events in the places that ruma selects. The events of the state are at hand.
fn receipt<'a>(asked: &'a Question, rules: &'a RoomVersionRules) -> Prepared<'a> {
    let state = state_of(asked)?;
    let by_place = places(&state);
    let by_id: HashMap<_, _> = state
        .iter()
        .enumerate()
        .map(|(number, (id, _))| ((*id).clone(), number))
        .collect();
    let keys = keys_of(asked);
    Ok(Box::new(move || {
        let at_hand = AtHand {
            state: &state,
            by_place: &by_place,
            by_id: &by_id,
        };
        Ok(at_hand
            .received(&asked.text, &keys, rules)
            .map_or(Value::Null, |id| json!(id)))
    }))
}

/// The state of a room, made beforehand.
struct AtHand<'a> {
    state: &'a [(&'a OwnedEventId, Pdu)],
    by_place: &'a Places,
    by_id: &'a HashMap<OwnedEventId, usize>,
}

impl AtHand<'_> {
    fn received(
        &self,
        text: &str,
        keys: &PublicKeyMap,
        rules: &RoomVersionRules,
    ) -> Result<OwnedEventId, String> {
        let object: CanonicalJsonObject = serde_json::from_str(text).map_err(text_of)?;
        check_pdu_format(&object, &rules.event_format)?;
        let Verified::All = verify_event(keys, &object, rules).map_err(text_of)? else {
            return Err("it would be redacted".to_owned());
        };
        let hash = reference_hash(&object, rules).map_err(text_of)?;
        let event_id = EventId::parse(format!("${hash}")).map_err(text_of)?;
        let pdu: Pdu = serde_json::from_str(text).map_err(text_of)?;
        let event = Known {
            event_id: &event_id,
            pdu: &pdu,
            rejected: false,
        };
        check_state_independent_auth_rules(&rules.authorization, &event, |id| {
            self.known(*self.by_id.get(id)?)
        })?;
        let in_state = |kind: &StateEventType, key: &str| self.place(kind, key);
        if !self.selects(&pdu, rules)? {
            check_state_dependent_auth_rules(&rules.authorization, &event, |kind, key| {
                let number = in_state(kind, key)?;
                let listed = pdu.listed().any(|id| id == self.state[number].0);
                if listed { self.known(number) } else { None }
            })?;
        }
        check_state_dependent_auth_rules(&rules.authorization, &event, |kind, key| {
            self.known(in_state(kind, key)?)
        })?;
        Ok(event_id)
    }

    /// Does the state hold the listed events, and no others, in the places selected?
    fn selects(&self, pdu: &Pdu, rules: &RoomVersionRules) -> Result<bool, String> {
        let places = auth_types_for_event(
            &pdu.event_type,
            &pdu.sender,
            pdu.state_key.as_deref(),
            &pdu.content,
            &rules.authorization,
        )?;
        let selected: HashSet<_> = places
            .iter()
            .filter_map(|(kind, key)| Some(self.state[self.place(kind, key)?].0))
            .collect();
        Ok(selected == pdu.listed().collect())
    }

    fn place(&self, kind: &StateEventType, key: &str) -> Option<usize> {
        self.by_place.get(kind)?.get(key).copied()
    }

    fn known(&self, number: usize) -> Option<Known<'_>> {
        let (event_id, pdu) = &self.state[number];
        Some(Known {
            event_id,
            pdu,
            rejected: false,
        })
    }
}
