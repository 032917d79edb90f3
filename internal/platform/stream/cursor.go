package stream

import (
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Cursor is a position in one topic, opaque to clients. The zero value is none.
type Cursor string

var errCursor = fault.Invalid("after", "is not a cursor of this subscription")

// After is the cursor that a client names; nil is none. The empty text is refused: it would be none, and what happened meanwhile be missed in silence.
func After(named *string) (Cursor, error) {
	switch {
	case named == nil:
		return "", nil
	case *named == "":
		return "", errCursor
	}
	return Cursor(*named), nil
}

// Key is an organization's, and makes cursors opaque: how many events lie between two that somebody sees is nobody's to know who
// does not see them.
type Key [16]byte

const half = aes.BlockSize / 2

// Cursor is for adapters: it returns the cursor of the n-th event of a topic; 0 is before the first.
//
// It is one block of AES: n and a mark of the topic. One block is as random as can be, and the mark makes a cursor that nobody
// has been given, or that is of another topic or organization, none.
func (k Key) Cursor(topic string, n int64) Cursor {
	block := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint64(block, uint64(n))
	copy(block[half:], topicMark(topic))
	c, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has a length that AES knows
	}
	c.Encrypt(block, block)
	return Cursor(base64.RawURLEncoding.EncodeToString(block))
}

// Position is for adapters: it returns n of Cursor, or an Invalid fault if c is not a cursor of this topic. It
// cannot know whether there is an event n: a cursor is a position, not a permission.
func (k Key) Position(topic string, c Cursor) (int64, error) {
	block, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err != nil || len(block) != aes.BlockSize || len(c) != base64.RawURLEncoding.EncodedLen(aes.BlockSize) { // ends of lines are skipped in silence
		return 0, errCursor
	}
	cipher, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err)
	}
	cipher.Decrypt(block, block)
	n := int64(binary.BigEndian.Uint64(block))
	if n < 0 || subtle.ConstantTimeCompare(block[half:], topicMark(topic)) == 0 {
		return 0, errCursor
	}
	return n, nil
}

func topicMark(topic string) []byte {
	sum := sha256.Sum256([]byte(topic))
	return sum[:half]
}
