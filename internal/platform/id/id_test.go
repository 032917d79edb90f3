package id

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// The example of the TypeID specification.
func TestTypeID(t *testing.T) {
	prefix, u, err := Parse("prefix_01h455vb4pex5vsknk084sn02q")
	if err != nil || prefix != "prefix" || u.String() != "01890a5d-ac96-774b-bcce-b302099a8057" {
		t.Fatalf("parsed %q %s, %v", prefix, u, err)
	}
	if got := Format("prefix", u); got != "prefix_01h455vb4pex5vsknk084sn02q" {
		t.Errorf("formatted %s", got)
	}
	var b bytes.Buffer
	Write(&b, "prefix", u)
	if b.String() != `"prefix_01h455vb4pex5vsknk084sn02q"` {
		t.Errorf("wrote %s", b.String())
	}
}

func TestRefused(t *testing.T) {
	for _, s := range []string{"", "_", "session", "session_", "session_01h455vb4pex5vsknk084sn02", "session_01h455vb4pex5vsknk084sn02u",
		"session_81h455vb4pex5vsknk084sn02q", "_01h455vb4pex5vsknk084sn02q", strings.Repeat("x", 10000), "session_01h455vb4pex5vsknk084sn02q\x00"} {
		_, _, err := Parse(s)
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%.50q: %v", s, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
	var u UUID
	if err := Read("client_01h455vb4pex5vsknk084sn02q", "session", &u); err == nil || !strings.Contains(err.Error(), "expected an id like session_…, got client_…") {
		t.Errorf("a client's id where a session's is meant: %v", err)
	}
	if err := Read(7, "session", &u); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a number: %v", err)
	}
}

func TestNewIsOrderedByTime(t *testing.T) {
	before := New()
	for range 1000 {
		next := New()
		if bytes.Compare(before[:6], next[:6]) > 0 {
			t.Fatalf("%s was made after %s", before, next)
		}
		before = next
	}
}

func TestJSON(t *testing.T) {
	type SessionID struct{ UUID }
	type row struct {
		ID SessionID `json:"id"`
	}
	var in, out row
	in.ID.UUID = New()
	raw, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil || in != out || !strings.Contains(string(raw), in.ID.UUID.String()) {
		t.Errorf("%s → %v, %v", raw, out, err)
	}
}
