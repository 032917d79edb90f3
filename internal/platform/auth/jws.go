package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // linked for crypto.SHA256
	_ "crypto/sha512" // linked for crypto.SHA384 and SHA512
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// The part of JOSE that a resource server needs: public keys out of a JWK set (RFC 7517, 8037) and signatures in compact
// form over them (RFC 7515, 7518). Only asymmetric algorithms exist here, so there is no secret that a public key could
// be mistaken for, and an algorithm is bound to one kind of key, so a token cannot choose how a key is used.

// algorithm is a signature algorithm and the keys it may be used with.
type algorithm struct {
	hash   crypto.Hash
	fits   func(crypto.PublicKey) bool
	verify func(key crypto.PublicKey, hash crypto.Hash, signed, sig []byte) bool
}

// algorithms is the allow-list. What is not here (none, HS256, ES256K, RSA1_5 …) does not exist.
var algorithms = map[string]algorithm{
	"RS256": {crypto.SHA256, isRSA, verifyPKCS1},
	"RS384": {crypto.SHA384, isRSA, verifyPKCS1},
	"RS512": {crypto.SHA512, isRSA, verifyPKCS1},
	"PS256": {crypto.SHA256, isRSA, verifyPSS},
	"PS384": {crypto.SHA384, isRSA, verifyPSS},
	"PS512": {crypto.SHA512, isRSA, verifyPSS},
	"ES256": {crypto.SHA256, isCurve(elliptic.P256()), verifyECDSA},
	"ES384": {crypto.SHA384, isCurve(elliptic.P384()), verifyECDSA},
	"ES512": {crypto.SHA512, isCurve(elliptic.P521()), verifyECDSA},
	"EdDSA": {0, isEd25519, verifyEd25519},
}

func isRSA(k crypto.PublicKey) bool     { _, ok := k.(*rsa.PublicKey); return ok }
func isEd25519(k crypto.PublicKey) bool { _, ok := k.(ed25519.PublicKey); return ok }

func isCurve(c elliptic.Curve) func(crypto.PublicKey) bool {
	return func(k crypto.PublicKey) bool {
		ec, ok := k.(*ecdsa.PublicKey)
		return ok && ec.Curve == c
	}
}

func verifyPKCS1(k crypto.PublicKey, hash crypto.Hash, signed, sig []byte) bool {
	return rsa.VerifyPKCS1v15(k.(*rsa.PublicKey), hash, digest(hash, signed), sig) == nil
}

func verifyPSS(k crypto.PublicKey, hash crypto.Hash, signed, sig []byte) bool {
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash} // RFC 7518 3.5 fixes the length
	return rsa.VerifyPSS(k.(*rsa.PublicKey), hash, digest(hash, signed), sig, opts) == nil
}

// verifyECDSA reads the signature as JOSE writes it: r and s one after the other, each as long as the curve.
func verifyECDSA(k crypto.PublicKey, hash crypto.Hash, signed, sig []byte) bool {
	key := k.(*ecdsa.PublicKey)
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(sig) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
	return ecdsa.Verify(key, digest(hash, signed), r, s)
}

func verifyEd25519(k crypto.PublicKey, _ crypto.Hash, signed, sig []byte) bool {
	return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.(ed25519.PublicKey), signed, sig)
}

func digest(hash crypto.Hash, b []byte) []byte {
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// key is a public key of an issuer.
type key struct {
	id     string
	alg    string // the only algorithm it may be used with; "" where the issuer does not say
	public crypto.PublicKey
}

// fits says whether a token that names kid and alg may be verified with k. A token without kid may try every key.
func (k key) fits(kid, alg string) bool {
	return (kid == "" || kid == k.id) && (k.alg == "" || k.alg == alg) && algorithms[alg].fits(k.public)
}

// jws is a token in compact form, split but not trusted.
type jws struct {
	kid, alg string
	payload  object
	signed   []byte
	sig      []byte
}

// object is a JSON object with its members unread. A map and not a struct, because encoding/json matches the names of
// struct fields in any letter case, and "SUB" is not "sub".
type object map[string]json.RawMessage

// str returns a string member; ok is false if it is there but no string.
func (o object) str(name string) (s string, ok bool) {
	raw, found := o[name]
	if !found || string(raw) == "null" {
		return "", true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

var b64 = base64.RawURLEncoding.Strict() // one spelling for each value

// parseJWS splits a token and reads its header. The error says what is wrong with its form and repeats nothing of it.
func parseJWS(token string) (jws, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || strings.ContainsAny(token, "\r\n") { // encoding/base64 skips line breaks, even when strict
		return jws{}, errors.New("not three parts on one line")
	}
	var header, payload object
	for i, into := range []*object{&header, &payload} {
		raw, err := b64.DecodeString(parts[i])
		if err != nil {
			return jws{}, errors.New("a part is not base64url")
		}
		if err := json.Unmarshal(raw, into); err != nil || *into == nil {
			return jws{}, errors.New("a part is not a JSON object")
		}
	}
	sig, err := b64.DecodeString(parts[2])
	if err != nil {
		return jws{}, errors.New("the signature is not base64url")
	}
	if _, ok := header["crit"]; ok { // RFC 7515 4.1.11: extensions that must be understood, and we know none
		return jws{}, errors.New("critical header parameters")
	}
	typ, ok1 := header.str("typ")
	kid, ok2 := header.str("kid")
	alg, ok3 := header.str("alg")
	if !ok1 || !ok2 || !ok3 {
		return jws{}, errors.New("a header parameter is no string")
	}
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
	default: // RFC 8725 3.11: a token made for another purpose (logout+jwt, secevent+jwt) is no access token
		return jws{}, errors.New("typ of another purpose")
	}
	return jws{kid: kid, alg: alg, payload: payload, signed: []byte(parts[0] + "." + parts[1]), sig: sig}, nil
}

// verifiedBy says whether k made the signature. Call it only with a key that fits.
func (t jws) verifiedBy(k key) bool {
	a := algorithms[t.alg]
	return a.verify(k.public, a.hash, t.signed, t.sig)
}

// maxKeys bounds a set, and with it the signatures that one token without kid can make us check.
const maxKeys = 32

// parseKeys reads a JWK set. Keys that could never verify a token (encryption keys, unknown kinds and algorithms, keys too
// weak) are left out, as RFC 7517 5 asks; a set that leaves none is an error.
func parseKeys(body []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&set); err != nil {
		return nil, errors.New("not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys in the set, the limit is %d", len(set.Keys), maxKeys)
	}
	var keys []key
	var why error
	for _, raw := range set.Keys {
		k, err := parseKey(raw)
		if err != nil {
			why = err
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no usable key in the set of %d (the last one: %v)", len(set.Keys), why)
	}
	return keys, nil
}

func parseKey(raw []byte) (key, error) {
	var j struct {
		Kty, Kid, Use, Alg, Crv string
		KeyOps                  []string `json:"key_ops"`
		N, E, X, Y              string
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return key{}, errors.New("not a JWK")
	}
	if j.Use != "" && j.Use != "sig" {
		return key{}, errors.New("not for signatures")
	}
	if len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "verify") {
		return key{}, errors.New("not for verification")
	}
	k := key{id: j.Kid, alg: j.Alg}
	var err error
	switch j.Kty {
	case "RSA":
		k.public, err = rsaKey(j.N, j.E)
	case "EC":
		k.public, err = ecKey(j.Crv, j.X, j.Y)
	case "OKP":
		k.public, err = edKey(j.Crv, j.X)
	default:
		err = errors.New("kind of key not supported")
	}
	if err != nil {
		return key{}, err
	}
	if k.alg != "" {
		a, known := algorithms[k.alg]
		if !known || !a.fits(k.public) {
			return key{}, errors.New("algorithm not supported for this key")
		}
	}
	return k, nil
}

func rsaKey(n, e string) (crypto.PublicKey, error) {
	nb, err1 := b64.DecodeString(n)
	eb, err2 := b64.DecodeString(e)
	if err1 != nil || err2 != nil || len(eb) > 4 {
		return nil, errors.New("malformed RSA key")
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(nb), E: int(new(big.Int).SetBytes(eb).Int64())}
	// Below, a key can be factored; above, one signature costs too much of our time.
	if bits := k.N.BitLen(); bits < 2048 || bits > 8192 || k.E < 3 || k.E%2 == 0 {
		return nil, errors.New("RSA key of a size or exponent not accepted")
	}
	return k, nil
}

func ecKey(crv, x, y string) (crypto.PublicKey, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[crv]
	if !ok {
		return nil, errors.New("curve not supported")
	}
	xb, err1 := b64.DecodeString(x)
	yb, err2 := b64.DecodeString(y)
	size := (curve.Params().BitSize + 7) / 8
	if err1 != nil || err2 != nil || len(xb) != size || len(yb) != size {
		return nil, errors.New("malformed EC key")
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, xb...), yb...)) // checks the point is on it
	if err != nil {
		return nil, errors.New("the point is not on the curve")
	}
	return k, nil
}

func edKey(crv, x string) (crypto.PublicKey, error) {
	xb, err := b64.DecodeString(x)
	if crv != "Ed25519" || err != nil || len(xb) != ed25519.PublicKeySize {
		return nil, errors.New("malformed or unsupported OKP key")
	}
	return ed25519.PublicKey(xb), nil
}
