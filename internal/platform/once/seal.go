package once

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// sealer encrypts what is kept of one request. It is made of the client's key and says nothing about it.
type sealer struct {
	aead cipher.AEAD
	name []byte // where the value lies: it can be read at no other place
}

// open makes the sealer of a request, and the key that its value lies under. Both differ from person to person.
func open(q Request) (sealer, Key, error) {
	who := append(append([]byte{}, q.Org[:]...), q.User[:]...)
	root, err := hkdf.Extract(sha256.New, []byte(q.Key), who)
	if err != nil {
		return sealer{}, Key{}, err
	}
	name, err := hkdf.Expand(sha256.New, root, "name", 32)
	if err != nil {
		return sealer{}, Key{}, err
	}
	secret, err := hkdf.Expand(sha256.New, root, "answer", 32)
	if err != nil {
		return sealer{}, Key{}, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return sealer{}, Key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead, name}, Key{q.Org, hex.EncodeToString(name)}, err
}

func (s sealer) seal(r record) []byte {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err) // bytes, a time and a bool
	}
	return s.aead.Seal(nil, nil, raw, s.name)
}

func (s sealer) unseal(value []byte) (r record, err error) {
	raw, err := s.aead.Open(nil, nil, value, s.name)
	if err != nil {
		return r, errors.New("once: what is kept of a request was changed")
	}
	return r, json.Unmarshal(raw, &r)
}
