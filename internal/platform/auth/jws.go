package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/rapporthq/rapport/internal/platform/recent"
)

// JOSE is jwx's work. What it leaves to its callers is here: which algorithm goes with which key, which headers a token may
// have, and that a token has one spelling.

// algorithmsFor is the allow-list: the algorithms that a public key may be used with, none for a key too weak, malformed
// or of another kind. What is not here (none, HS256, ES256K …) does not exist, and a token cannot choose how a key is used.
func algorithmsFor(public any) []jwa.SignatureAlgorithm {
	switch k := public.(type) {
	case *rsa.PublicKey:
		// Below, a key can be factored; above, one signature costs too much of our time.
		if bits := k.N.BitLen(); bits >= 2048 && bits <= 8192 && k.E >= 3 && k.E <= math.MaxInt32 && k.E%2 == 1 {
			return []jwa.SignatureAlgorithm{jwa.RS256(), jwa.RS384(), jwa.RS512(), jwa.PS256(), jwa.PS384(), jwa.PS512()}
		}
	case *ecdsa.PublicKey:
		if _, err := k.Bytes(); err != nil {
			return nil // the point is not on the curve
		}
		switch k.Curve {
		case elliptic.P256():
			return []jwa.SignatureAlgorithm{jwa.ES256()}
		case elliptic.P384():
			return []jwa.SignatureAlgorithm{jwa.ES384()}
		case elliptic.P521():
			return []jwa.SignatureAlgorithm{jwa.ES512()}
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize { // else ed25519.Verify panics
			return []jwa.SignatureAlgorithm{jwa.EdDSA()}
		}
	}
	return nil
}

// key is a public key of an issuer, with the algorithms that it may be used with.
type key struct {
	id     string
	algs   []jwa.SignatureAlgorithm
	public any
	mark   string // of the public key itself, whatever it is called
}

// newKey returns a key that goes with these of algorithmsFor.
func newKey(id string, algs []jwa.SignatureAlgorithm, public any) key {
	mark, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err) // algorithmsFor knows no algorithm for what cannot be written down
	}
	return key{id, algs, public, string(mark)}
}

// maxKeys bounds a set, and with it the signatures that one token without kid can make us check.
const maxKeys = 32

// usableKeys returns the keys that can verify a token. Others (encryption keys, unknown kinds and algorithms, keys too weak)
// are left out, as RFC 7517 5 asks; a set that leaves none is an error.
func usableKeys(set jwk.Set) (staticKeys, error) {
	if set.Len() > maxKeys {
		return nil, fmt.Errorf("%d keys in the set, the limit is %d", set.Len(), maxKeys)
	}
	var keys staticKeys
	for i := range set.Len() {
		k, _ := set.Key(i)
		use, _ := k.KeyUsage()
		ops, _ := k.KeyOps()
		public, err := jwk.PublicRawKeyOf(k)
		if err != nil || use != "" && use != "sig" || len(ops) > 0 && !slices.Contains(ops, jwk.KeyOpVerify) {
			continue
		}
		algs := algorithmsFor(public)
		if only, ok := k.Algorithm(); ok {
			algs = slices.DeleteFunc(algs, func(a jwa.SignatureAlgorithm) bool { return a.String() != only.String() })
		}
		if len(algs) > 0 {
			id, _ := k.KeyID()
			keys = append(keys, newKey(id, algs, public))
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no usable key in the set of %d", set.Len())
	}
	return keys, nil
}

// staticKeys never change.
type staticKeys []key

// find lets a token without kid try every key.
func (s staticKeys) find(_ context.Context, kid string, alg jwa.SignatureAlgorithm) ([]key, error) {
	var found []key
	for _, k := range s {
		if (kid == "" || kid == k.id) && slices.Contains(k.algs, alg) {
			found = append(found, k)
		}
	}
	return found, nil
}

var b64 = base64.RawURLEncoding.Strict() // one spelling for each value

// parseJWS reads a token in compact form; nothing of it is trusted yet. The refusal repeats nothing of it, as jwx's own
// errors would.
func parseJWS(token string) (kid string, alg jwa.SignatureAlgorithm, payload []byte, err error) {
	malformed := func(why string) error { return refused("the token is malformed", errors.New(why)) }
	for part := range strings.SplitSeq(token, ".") {
		// jwx takes any base64, and encoding/base64 skips line breaks even when strict.
		if _, err := b64.DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return "", alg, nil, malformed("a part is not base64url on one line")
		}
	}
	msg, err := jws.Parse([]byte(token), jws.WithCompact())
	if err != nil { // jwx does not tell an algorithm that it does not know from a malformed header
		return "", alg, nil, refused("the token is malformed, or its algorithm is not accepted", nil)
	}
	header := msg.Signatures()[0].ProtectedHeaders()
	if header.Has(jws.CriticalKey) { // RFC 7515 4.1.11: extensions that must be understood, and we know none
		return "", alg, nil, malformed("critical header parameters")
	}
	typ, _ := header.Type()
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
	default: // RFC 8725 3.11: a token made for another purpose (logout+jwt, secevent+jwt) is no access token
		return "", alg, nil, malformed("typ of another purpose")
	}
	kid, _ = header.KeyID()
	alg, _ = header.Algorithm()
	return kid, alg, msg.Payload(), nil
}

// signatures are those that were found right lately. A client sends its token with each request, and to check its signature takes
// as long as some statements do. What is remembered is that a key made a signature, which no time changes: whether the key still
// counts, and what the token says, is looked at each time.
type signatures struct {
	*recent.Values[signature, struct{}]
}

// signature is a key with what it has signed, as a digest.
type signature [sha256.Size]byte

const (
	maxSignatures = 10_000
	signatureLife = 10 * time.Minute
)

func newSignatures() signatures {
	return signatures{recent.New[signature, struct{}](maxSignatures, signatureLife)}
}

// by says whether one of the keys made the token's signature. Call it only with keys that go with alg.
func (s signatures) by(keys []key, alg jwa.SignatureAlgorithm, token string) bool {
	for _, k := range keys {
		made := signature(sha256.Sum256([]byte(k.mark + "\x00" + alg.String() + "\x00" + token)))
		if _, known := s.Known(made); known {
			return true
		}
		if _, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKey(alg, k.public)); err == nil {
			s.Put(made, struct{}{})
			return true
		}
	}
	return false
}
