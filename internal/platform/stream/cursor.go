package stream

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Cursor is a position in one topic, opaque to clients. The zero value is none.
type Cursor string

const mark = 8 // bytes of the topic's hash

// CursorOf is for adapters: it returns the cursor of the n-th event of a topic; 0 is before the first.
func CursorOf(org id.UUID, topic string, n int64) Cursor {
	raw := make([]byte, mark, mark+binary.MaxVarintLen64)
	copy(raw, topicMark(org, topic))
	return Cursor(base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(raw, uint64(n))))
}

// Position is for adapters: it returns n of CursorOf, or an Invalid fault if c is not a cursor of this topic. It
// cannot know whether there is an event n: a cursor is a position, not a permission.
func (c Cursor) Position(org id.UUID, topic string) (int64, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err != nil || len(raw) <= mark {
		return 0, fault.Invalid("after", "not a cursor")
	}
	n, size := binary.Uvarint(raw[mark:])
	if size != len(raw)-mark || int64(n) < 0 || CursorOf(org, topic, int64(n)) != c {
		return 0, fault.Invalid("after", "not a cursor of this topic")
	}
	return int64(n), nil
}

func topicMark(org id.UUID, topic string) []byte {
	sum := sha256.Sum256(append(org[:], topic...))
	return sum[:mark]
}
