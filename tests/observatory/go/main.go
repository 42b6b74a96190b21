// Asks gomatrixserverlib for its verdict on a case.
//
// Reads one JSON object a line from standard input, and answers each with one line on standard
// output: "verdict", "none" with the reason why there is nothing to compare, or "fault" where the
// library gave no verdict. See tests/observatory/questions.py for what a question has. With "repeat",
// the answer is "ns": the CPU time of that many judgements, without what was prepared before them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"github.com/matrix-org/gomatrixserverlib"
)

type question struct {
	Area     string                        `json:"area"`
	Version  gomatrixserverlib.RoomVersion `json:"room_version"`
	Pdu      json.RawMessage               `json:"pdu"`
	EventID  string                        `json:"event_id"`
	State    []known                       `json:"state"`
	SignedBy []string                      `json:"signed_by"`
	Text     string                        `json:"text"`
	Keys     map[string]map[string]string  `json:"keys"`
	Level    string                        `json:"level"`
	Texts    []string                      `json:"texts"`
	Listed   bool                          `json:"listed"`
	Repeat   int                           `json:"repeat"`
}

// An event of a state: its ID and its PDU.
type known struct {
	id  string
	pdu json.RawMessage
}

func (k *known) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&k.id, &k.pdu})
}

type answer map[string]any

// The measured part; the rest is prepared before.
type judgement func() answer

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	// The library prints there too.
	os.Stdout = os.Stderr
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 {
			return
		}
		if err := encoder.Encode(answerTo(line)); err != nil {
			panic(err)
		}
		// Questions that come together get their answers together.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				panic(err)
			}
		}
		if err != nil {
			return
		}
	}
}

func answerTo(line []byte) (found answer) {
	defer func() {
		if why := recover(); why != nil {
			found = answer{"fault": fmt.Sprint(why)}
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{"none": err.Error()}
	}
	prepare, there := areas[asked.Area]
	if !there {
		return answer{"none": "not an area of this library"}
	}
	version, err := gomatrixserverlib.GetRoomVersion(asked.Version)
	if err != nil {
		return answer{"none": err.Error()}
	}
	judge, err := prepare(&asked, version)
	if err != nil {
		return answer{"none": err.Error()}
	}
	if asked.Repeat == 0 {
		return judge()
	}
	start := spent()
	for range asked.Repeat {
		judge()
	}
	return answer{"ns": spent() - start}
}

// The CPU time of the process in nanoseconds.
func spent() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func verdict(value any) answer {
	return answer{"verdict": value}
}
