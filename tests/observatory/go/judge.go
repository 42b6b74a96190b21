package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/matrix-org/gomatrixserverlib"
	"github.com/matrix-org/gomatrixserverlib/spec"
)

type version = gomatrixserverlib.IRoomVersion
type pdu = gomatrixserverlib.PDU

var areas = map[string]func(*question, version) (judgement, error){
	"rules":          rules,
	"selection":      selection,
	"format":         format,
	"redaction":      redaction,
	"content-hash":   contentHash,
	"event-id":       eventID,
	"canonical-json": canonicalJSON,
	"signatures":     signatures,
	"read":           read,
	"answer":         sendJoinAnswer,
	"receipt":        receipt,
}

func userID(_ spec.RoomID, sender spec.SenderID) (*spec.UserID, error) {
	return spec.NewUserID(string(sender), true)
}

// The events of a state. One that this library cannot read makes the case none to compare.
func stateOf(asked *question, rules version) ([]pdu, error) {
	found := make([]pdu, 0, len(asked.State))
	for _, one := range asked.State {
		event, err := rules.NewEventFromTrustedJSONWithEventID(one.id, one.pdu, false)
		if err != nil {
			return nil, err
		}
		found = append(found, event)
	}
	return found, nil
}

// The authorisation rules that depend on the state. The signature of an authorising server is looked
// for as the library does it where it verifies signatures.
func rules(asked *question, rules version) (judgement, error) {
	state, err := stateOf(asked, rules)
	if err != nil {
		return nil, err
	}
	event, err := rules.NewEventFromTrustedJSONWithEventID(asked.EventID, asked.Pdu, false)
	if err == nil {
		err = gomatrixserverlib.CheckFields(event)
	}
	if err != nil {
		return func() answer { return verdict(false) }, nil
	}
	provider, err := gomatrixserverlib.NewAuthEvents(state)
	if err != nil {
		return nil, err
	}
	signed := signedByTheAuthoriser(event, asked.SignedBy, rules)
	return func() answer {
		if asked.Listed {
			provider, _ = gomatrixserverlib.NewAuthEvents(state)
		}
		allowed := gomatrixserverlib.Allowed(event, provider, userID) == nil
		return verdict(signed && allowed)
	}, nil
}

func signedByTheAuthoriser(event pdu, signedBy []string, rules version) bool {
	membership, err := event.Membership()
	if event.Type() != spec.MRoomMember || err != nil || membership != spec.Join {
		return true
	}
	server, err := rules.RestrictedJoinServername(event.Content())
	return err == nil && (server == "" || slices.Contains(signedBy, string(server)))
}

// The types and state keys of the events that authorise an event.
func selection(asked *question, rules version) (judgement, error) {
	event, err := rules.NewEventFromTrustedJSONWithEventID(asked.EventID, asked.Pdu, false)
	if err != nil {
		return nil, err
	}
	return func() answer {
		places := [][2]string{}
		for _, place := range gomatrixserverlib.StateNeededForAuth([]pdu{event}).Tuples() {
			places = append(places, [2]string{place.EventType, place.StateKey})
		}
		return verdict(places)
	}, nil
}

// Is the text a PDU of this version?
func format(asked *question, rules version) (judgement, error) {
	text := []byte(asked.Text)
	return func() answer {
		_, err := rules.NewEventFromUntrustedJSON(text)
		return verdict(err == nil)
	}, nil
}

func redaction(asked *question, rules version) (judgement, error) {
	return func() answer {
		redacted, err := rules.RedactEventJSON(asked.Pdu)
		if err != nil {
			return answer{"none": err.Error()}
		}
		return verdict(json.RawMessage(redacted))
	}, nil
}

// Is the content hash that the PDU carries the right one? An event with a wrong one comes redacted.
func contentHash(asked *question, rules version) (judgement, error) {
	return func() answer {
		event, err := rules.NewEventFromUntrustedJSON(asked.Pdu)
		if err != nil {
			return answer{"none": err.Error()}
		}
		return verdict(!event.Redacted())
	}, nil
}

func eventID(asked *question, rules version) (judgement, error) {
	if rules.EventFormat() == gomatrixserverlib.EventFormatV1 {
		return func() answer { return answer{"none": "the ID is in the PDU"} }, nil
	}
	return func() answer {
		event, err := rules.NewEventFromUntrustedJSON(asked.Pdu)
		if err != nil {
			return answer{"none": err.Error()}
		}
		return verdict(event.EventID())
	}, nil
}

// The canonical form of a text, null if it has none in this version.
func canonicalJSON(asked *question, rules version) (judgement, error) {
	text := []byte(asked.Text)
	return func() answer {
		encoded, err := gomatrixserverlib.EnforcedCanonicalJSON(text, rules.Version())
		if err != nil {
			return verdict(nil)
		}
		return verdict(string(encoded))
	}, nil
}

// Have all servers signed the event that have to?
func signatures(asked *question, rules version) (judgement, error) {
	ring, err := ringOf(asked.Keys)
	if err != nil {
		return nil, err
	}
	return func() answer {
		event, err := rules.NewEventFromUntrustedJSON(asked.Pdu)
		if err != nil {
			return answer{"none": err.Error()}
		}
		err = gomatrixserverlib.VerifyEventSignatures(context.Background(), event, ring, userID)
		return verdict(err == nil)
	}, nil
}

// Keys that are at hand; all are valid at any time.
type keys map[gomatrixserverlib.PublicKeyLookupRequest]gomatrixserverlib.PublicKeyLookupResult

func (k keys) FetcherName() string { return "keys at hand" }

func (k keys) FetchKeys(
	_ context.Context, _ map[gomatrixserverlib.PublicKeyLookupRequest]spec.Timestamp,
) (map[gomatrixserverlib.PublicKeyLookupRequest]gomatrixserverlib.PublicKeyLookupResult, error) {
	return k, nil
}

func (k keys) StoreKeys(
	context.Context, map[gomatrixserverlib.PublicKeyLookupRequest]gomatrixserverlib.PublicKeyLookupResult,
) error {
	return nil
}

func ringOf(servers map[string]map[string]string) (*gomatrixserverlib.KeyRing, error) {
	found := keys{}
	for server, listed := range servers {
		for id, text := range listed {
			key, err := base64.RawStdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			place := gomatrixserverlib.PublicKeyLookupRequest{
				ServerName: spec.ServerName(server), KeyID: gomatrixserverlib.KeyID(id),
			}
			found[place] = gomatrixserverlib.PublicKeyLookupResult{
				VerifyKey:    gomatrixserverlib.VerifyKey{Key: spec.Base64Bytes(key)},
				ExpiredTS:    gomatrixserverlib.PublicKeyNotExpired,
				ValidUntilTS: spec.Timestamp(1 << 52),
			}
		}
	}
	return &gomatrixserverlib.KeyRing{KeyDatabase: found}, nil
}

// A text read into an event that has its ID. The level names the checks beside: none, the content
// hash, or signatures, with the hash.
func read(asked *question, rules version) (judgement, error) {
	text := []byte(asked.Text)
	ring, err := ringOf(asked.Keys)
	if err != nil {
		return nil, err
	}
	return func() answer {
		var event pdu
		if asked.Level == "id" {
			event, err = rules.NewEventFromTrustedJSON(text, false)
		} else {
			event, err = rules.NewEventFromUntrustedJSON(text)
		}
		if err != nil {
			return answer{"none": err.Error()}
		}
		if asked.Level == "signatures" {
			err = gomatrixserverlib.VerifyEventSignatures(context.Background(), event, ring, userID)
			if err != nil {
				return verdict(nil)
			}
		}
		if event.Redacted() {
			return verdict(nil)
		}
		return verdict(event.EventID())
	}, nil
}

// An answer to send_join: every event is read, verified, and judged by those that it lists.
func sendJoinAnswer(asked *question, rules version) (judgement, error) {
	ring, err := ringOf(asked.Keys)
	if err != nil {
		return nil, err
	}
	return func() answer {
		events := map[string]pdu{}
		count := 0
		for _, text := range asked.Texts {
			event, err := rules.NewEventFromUntrustedJSON([]byte(text))
			if err != nil {
				continue
			}
			err = gomatrixserverlib.VerifyEventSignatures(context.Background(), event, ring, userID)
			if err != nil {
				continue
			}
			listed := []pdu{}
			for _, id := range event.AuthEventIDs() {
				if found, there := events[id]; there {
					listed = append(listed, found)
				}
			}
			provider, err := gomatrixserverlib.NewAuthEvents(listed)
			if err == nil && gomatrixserverlib.Allowed(event, provider, userID) == nil {
				events[event.EventID()] = event
				count++
			}
		}
		return verdict(count)
	}, nil
}

// An event that comes in, whose state before is also the current state of its room. It is read,
// verified, and judged by the events that it lists. Its state is judged a second time only if it does
// not hold these events in the places that the library selects. The library has no rules on the list
// itself. The events of the state are at hand.
func receipt(asked *question, rules version) (judgement, error) {
	text := []byte(asked.Text)
	ring, err := ringOf(asked.Keys)
	if err != nil {
		return nil, err
	}
	state, err := stateOf(asked, rules)
	if err != nil {
		return nil, err
	}
	before, err := gomatrixserverlib.NewAuthEvents(state)
	if err != nil {
		return nil, err
	}
	atHand := make(map[string]pdu, len(state))
	for _, one := range state {
		atHand[one.EventID()] = one
	}
	return func() answer {
		event, err := rules.NewEventFromUntrustedJSON(text)
		if err != nil {
			return answer{"none": err.Error()}
		}
		err = gomatrixserverlib.VerifyEventSignatures(context.Background(), event, ring, userID)
		if err != nil || event.Redacted() {
			return verdict(nil)
		}
		listed := []pdu{}
		for _, id := range event.AuthEventIDs() {
			found, there := atHand[id]
			if !there {
				return answer{"none": "an event of the list is missing"}
			}
			listed = append(listed, found)
		}
		byList, err := gomatrixserverlib.NewAuthEvents(listed)
		if err != nil || gomatrixserverlib.Allowed(event, byList, userID) != nil {
			return verdict(nil)
		}
		needed := gomatrixserverlib.StateNeededForAuth([]pdu{event})
		selected, err := needed.AuthEventReferences(before)
		if err != nil || !sameIDs(selected, event.AuthEventIDs()) {
			if gomatrixserverlib.Allowed(event, before, userID) != nil {
				return verdict(nil)
			}
		}
		return verdict(event.EventID())
	}, nil
}

// Are these the same IDs in any order?
func sameIDs(one, other []string) bool {
	one, other = slices.Clone(one), slices.Clone(other)
	slices.Sort(one)
	slices.Sort(other)
	return slices.Equal(one, other)
}
