//! Cases of the state resolution, and the events of all cases.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
};

use cpu_time::ProcessTime;
use ruma_common::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    RoomVersionId, UserId,
    room_version_rules::{RoomVersionRules, StateResolutionV2Rules},
};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_state_res::{Event, StateMap, resolve, utils::event_id_set::EventIdSet};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{Answer, rules_of};

#[derive(Deserialize)]
pub struct How {
    #[serde(default)]
    repeat: usize,
    #[serde(default)]
    walk: bool,
}

#[derive(Deserialize)]
pub struct Case {
    room_version: RoomVersionId,
    events: HashMap<OwnedEventId, Pdu>,
    rejected: HashSet<OwnedEventId>,
    states: Vec<Vec<(StateEventType, String, OwnedEventId)>>,
}

impl Case {
    pub fn resolve(&self, how: &How) -> Answer {
        let rules = rules_of(&self.room_version)?;
        let algorithm = rules
            .state_res
            .v2_rules()
            .ok_or("ruma does not have this algorithm")?;
        let maps: Vec<StateMap<OwnedEventId>> = self
            .states
            .iter()
            .map(|state| {
                state
                    .iter()
                    .map(|(kind, key, id)| ((kind.clone(), key.clone()), id.clone()))
            })
            .map(Iterator::collect)
            .collect();
        if how.repeat == 0 {
            let (chains, subgraph) = self.chains(&maps, algorithm);
            let state = self.resolved(&rules, algorithm, &maps, chains, subgraph)?;
            let state: Vec<_> = state
                .iter()
                .map(|((kind, key), id)| (kind.to_string(), key, id))
                .collect();
            return Ok(json!({ "state": state }));
        }
        let mut ns = Vec::new();
        for _ in 0..how.repeat {
            let before = if how.walk {
                None
            } else {
                Some(self.chains(&maps, algorithm))
            };
            let start = ProcessTime::now();
            let (chains, subgraph) = before.unwrap_or_else(|| self.chains(&maps, algorithm));
            let state = self.resolved(&rules, algorithm, &maps, chains, subgraph)?;
            ns.push(start.elapsed().as_nanos() as u64);
            drop(state);
        }
        Ok(json!({ "ns": ns }))
    }

    fn resolved(
        &self,
        rules: &RoomVersionRules,
        algorithm: &StateResolutionV2Rules,
        maps: &[StateMap<OwnedEventId>],
        chains: Vec<EventIdSet<OwnedEventId>>,
        subgraph: EventIdSet<OwnedEventId>,
    ) -> ruma_state_res::Result<StateMap<OwnedEventId>> {
        // Handed over, not copied: a copy would count as ruma's time.
        let subgraph = Cell::new(Some(subgraph));
        resolve(
            &rules.authorization,
            algorithm,
            maps,
            chains,
            |id| self.event(id),
            |_| subgraph.take(),
        )
    }

    fn event(&self, id: &EventId) -> Option<Known<'_>> {
        let (event_id, pdu) = self.events.get_key_value(id)?;
        Some(Known {
            event_id,
            pdu,
            rejected: self.rejected.contains(id),
        })
    }

    fn chains(
        &self,
        maps: &[StateMap<OwnedEventId>],
        algorithm: &StateResolutionV2Rules,
    ) -> (Vec<EventIdSet<OwnedEventId>>, EventIdSet<OwnedEventId>) {
        let chains = maps
            .iter()
            .map(|map| owned(self.below(map.values())))
            .collect();
        if !algorithm.consider_conflicted_state_subgraph {
            return (chains, EventIdSet::new());
        }
        (chains, owned(self.between(&conflicted(maps))))
    }

    /// The auth chain of some events.
    fn below<'a>(
        &'a self,
        ids: impl Iterator<Item = &'a OwnedEventId>,
    ) -> HashSet<&'a OwnedEventId> {
        let mut found = HashSet::new();
        let mut waiting: Vec<&OwnedEventId> = ids.collect();
        while let Some(id) = waiting.pop() {
            for listed in self
                .events
                .get(id)
                .into_iter()
                .flat_map(|pdu| &pdu.auth_events)
            {
                if found.insert(listed.id()) {
                    waiting.push(listed.id());
                }
            }
        }
        found
    }

    /// The events on the paths between any two of some events, these included.
    fn between<'a>(&'a self, ends: &HashSet<&'a OwnedEventId>) -> HashSet<&'a OwnedEventId> {
        let mut below = self.below(ends.iter().copied());
        below.extend(ends);
        let mut listed_by: HashMap<&OwnedEventId, Vec<&OwnedEventId>> = HashMap::new();
        for id in below {
            for listed in self
                .events
                .get(id)
                .into_iter()
                .flat_map(|pdu| &pdu.auth_events)
            {
                listed_by.entry(listed.id()).or_default().push(id);
            }
        }
        let mut above = ends.clone();
        let mut waiting: Vec<_> = ends.iter().copied().collect();
        while let Some(id) = waiting.pop() {
            for listing in listed_by.get(id).into_iter().flatten() {
                if above.insert(listing) {
                    waiting.push(listing);
                }
            }
        }
        above
    }
}

fn owned(ids: HashSet<&OwnedEventId>) -> EventIdSet<OwnedEventId> {
    ids.into_iter().cloned().collect()
}

/// The conflicted state set.
fn conflicted(maps: &[StateMap<OwnedEventId>]) -> HashSet<&OwnedEventId> {
    maps.iter()
        .flatten()
        .filter(|(place, id)| maps.iter().any(|map| map.get(place) != Some(*id)))
        .map(|(_, id)| id)
        .collect()
}

#[derive(Deserialize)]
pub struct Pdu {
    room_id: Option<OwnedRoomId>,
    pub sender: OwnedUserId,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(rename = "type")]
    pub event_type: TimelineEventType,
    pub state_key: Option<String>,
    pub content: Box<RawValue>,
    prev_events: Vec<Reference>,
    auth_events: Vec<Reference>,
    redacts: Option<OwnedEventId>,
}

impl Pdu {
    /// The events that it lists as its auth events.
    pub fn listed(&self) -> impl Iterator<Item = &OwnedEventId> {
        self.auth_events.iter().map(Reference::id)
    }
}

/// An event ID in a list; versions 1 and 2 write hashes beside it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(OwnedEventId),
    WithHashes(OwnedEventId, serde::de::IgnoredAny),
}

impl Reference {
    fn id(&self) -> &OwnedEventId {
        match self {
            Self::Id(id) | Self::WithHashes(id, _) => id,
        }
    }
}

/// An event as ruma takes it.
#[derive(Clone)]
pub struct Known<'a> {
    pub event_id: &'a OwnedEventId,
    pub pdu: &'a Pdu,
    pub rejected: bool,
}

impl Event for Known<'_> {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.pdu.room_id.as_deref()
    }

    fn sender(&self) -> &UserId {
        &self.pdu.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.pdu.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.pdu.event_type
    }

    fn content(&self) -> &RawValue {
        &self.pdu.content
    }

    fn state_key(&self) -> Option<&str> {
        self.pdu.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.prev_events.iter().map(Reference::id))
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.auth_events.iter().map(Reference::id))
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.pdu.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}
