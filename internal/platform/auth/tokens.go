package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Claims is what a verified token says about its bearer.
type Claims struct {
	Issuer  string
	Subject string
	// Organization the bearer wants to act in; "" where the issuer does not say.
	Organization string
	// Email is "" where the issuer does not say, or says that it has not verified it: an address that anybody can
	// claim identifies nobody.
	Email     string
	ExpiresAt time.Time
}

// Issuer is somebody whose tokens are believed.
type Issuer struct {
	Name     string // exactly the tokens' iss
	Audience string // must be among the tokens' aud
	// OrganizationClaim names the claim that holds the organization; "" if there is none.
	OrganizationClaim string
	Keys              Keys
}

// Verifier verifies bearer tokens: JWTs with an asymmetric signature.
type Verifier struct {
	issuers map[string]Issuer
	signed  signatures
	now     func() time.Time
}

// VerifierOption changes a verifier.
type VerifierOption func(*Verifier)

// WithClock replaces the clock.
func WithClock(now func() time.Time) VerifierOption { return func(v *Verifier) { v.now = now } }

// NewVerifier returns a verifier that believes the issuers. Each must have a name of its own, an audience and keys:
// without an audience any token that the issuer gave to any other service would open this one.
func NewVerifier(issuers []Issuer, opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{issuers: make(map[string]Issuer, len(issuers)), signed: newSignatures(), now: time.Now}
	for _, is := range issuers {
		if is.Name == "" || is.Audience == "" || is.Keys == nil {
			return nil, errors.New("auth: an issuer needs a name, an audience and keys")
		}
		if _, twice := v.issuers[is.Name]; twice {
			return nil, fmt.Errorf("auth: issuer %s is named twice", is.Name)
		}
		v.issuers[is.Name] = is
	}
	for _, o := range opts {
		o(v)
	}
	return v, nil
}

const (
	maxTokenBytes = 16 << 10
	leeway        = 30 * time.Second // clocks differ
)

// Verify returns what the token says, once its signature, issuer, audience and times are found right. Every refusal is an
// Unauthenticated fault with a short reason for the caller; the cause, for the log, says more and also holds
// nothing of the token. Keys that cannot be had are Unavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > maxTokenBytes {
		return Claims{}, refused("the token is too long", nil)
	}
	kid, alg, payload, err := parseJWS(token)
	if err != nil {
		return Claims{}, err
	}
	var claims object
	if err := json.Unmarshal(payload, &claims); err != nil || claims == nil {
		return Claims{}, refused("the token is malformed", errors.New("the payload is not a JSON object"))
	}
	// The issuer is not verified yet: it only chooses whose keys the signature must fit.
	name, ok := claims.str("iss")
	issuer, known := v.issuers[name]
	if !ok || !known {
		return Claims{}, refused("the token was issued by somebody else", nil)
	}
	keys, err := issuer.Keys.find(ctx, kid, alg)
	if err != nil {
		return Claims{}, err
	}
	if len(keys) == 0 {
		return Claims{}, refused("the token's signature is not accepted", errors.New("no key fits kid and algorithm"))
	}
	if !v.signed.by(keys, alg, token) {
		return Claims{}, refused("the token's signature is not accepted", errors.New("signature does not match"))
	}
	return v.claims(claims, issuer)
}

// claims reads the payload of a token whose signature is right.
func (v *Verifier) claims(p object, issuer Issuer) (Claims, error) {
	if !hasAudience(p["aud"], issuer.Audience) {
		return Claims{}, refused("the token was issued for somebody else", nil)
	}
	now := v.now()
	exp, set, ok := p.date("exp")
	switch {
	case !ok || !set:
		return Claims{}, refused("the token does not say when it expires", nil)
	case !now.Before(exp.Add(leeway)):
		return Claims{}, refused("the token has expired", nil)
	}
	nbf, set, ok := p.date("nbf")
	switch {
	case !ok:
		return Claims{}, refused("the token is malformed", errors.New("nbf is no date"))
	case set && now.Add(leeway).Before(nbf):
		return Claims{}, refused("the token is not valid yet", nil)
	}
	sub, ok := p.str("sub")
	if !ok || sub == "" {
		return Claims{}, refused("the token does not say whose it is", nil)
	}
	c := Claims{Issuer: issuer.Name, Subject: sub, ExpiresAt: exp}
	if issuer.OrganizationClaim != "" {
		if c.Organization, ok = p.str(issuer.OrganizationClaim); !ok {
			return Claims{}, refused("the token is malformed", errors.New("the organization claim is no string"))
		}
	}
	if c.Email, ok = p.str("email"); !ok || p.saysNo("email_verified") {
		c.Email = ""
	}
	return c, nil
}

func refused(reason string, cause error) error {
	f := fault.Unauthenticated("%s", reason)
	if cause != nil {
		return f.Because(cause)
	}
	return f
}

// object is a JSON object with its members unread. Not a struct, because encoding/json matches the names of struct fields in
// any letter case, and "SUB" is not "sub"; not jwt.Token, because that takes dates in strings.
type object map[string]json.RawMessage

// str returns a string member; ok is false if it is there but no string.
func (o object) str(name string) (s string, ok bool) {
	raw, found := o[name]
	if !found || string(raw) == "null" {
		return "", true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// hasAudience reads aud: one string or several.
func hasAudience(raw json.RawMessage, want string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one == want
	}
	var many []string
	return json.Unmarshal(raw, &many) == nil && slices.Contains(many, want)
}

// date reads a NumericDate: seconds since 1970, perhaps with a fraction. ok is false if it is there but none.
func (o object) date(name string) (t time.Time, set, ok bool) {
	raw, found := o[name]
	if !found {
		return time.Time{}, false, true
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || *seconds < 0 || *seconds > 1<<40 {
		return time.Time{}, false, false
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true, true
}

// saysNo says that a member is false, or "false" as some issuers write it.
func (o object) saysNo(name string) bool {
	return slices.Contains([]string{"false", `"false"`}, string(o[name]))
}
