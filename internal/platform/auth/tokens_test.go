package auth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

func TestVerifyEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := newSigner(t, "k1", alg)
			v, _, c := setup(t, newProvider(t, s))
			for name, header := range map[string]map[string]any{
				"plain": nil, "without kid": {"kid": nil}, "without typ": {"typ": nil}, "RFC 9068": {"typ": "at+JWT"},
			} {
				got, err := v.Verify(t.Context(), s.token(t, claimsAt(c, nil), header))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want := Claims{Issuer: testIssuer, Subject: "coach-1", Organization: "acme", Email: "ana@example.com",
					ExpiresAt: c.now().Add(time.Hour)}
				if got != want {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
			}
			for i := range 3 {
				if _, err := v.Verify(t.Context(), tamper(s.token(t, claimsAt(c, nil), nil), i)); err == nil {
					t.Errorf("accepted with part %d changed", i)
				}
			}
		})
	}
}

// The examples of RFC 7515 A.3 and RFC 8037 A.4: signatures that we did not make.
func TestVerifyPublishedSignatures(t *testing.T) {
	t.Parallel()
	for name, ex := range map[string]struct{ jwk, signed, sig string }{
		"RFC 7515 A.3": {
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
		"RFC 8037 A.4": {
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
			"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := parseKeys(t, []byte(`{"keys":[`+ex.jwk+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			signed := newSignatures()
			for range 2 { // found right, and remembered
				if !signed.by(keys, keys[0].algs[0], ex.signed+"."+ex.sig) {
					t.Error("the published signature does not verify")
				}
			}
			if signed.by(keys, keys[0].algs[0], ex.signed+"xxxx."+ex.sig) {
				t.Error("the published signature verifies another text")
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	rs, es, ed := newSigner(t, "rs", "RS256"), newSigner(t, "es", "ES256"), newSigner(t, "ed", "EdDSA")
	p := newProvider(t, rs, es, ed)
	v, _, c := setup(t, p)
	good := func(with map[string]any) string { return es.token(t, claimsAt(c, with), nil) }
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	forged := func(alg string, header map[string]any) string {
		h := map[string]any{"alg": alg, "typ": "JWT"}
		for k, v := range header {
			h[k] = v
		}
		return part(t, h) + "." + part(t, claimsAt(c, nil)) + "."
	}
	hs := strings.TrimSuffix(forged("HS256", map[string]any{"kid": "rs"}), ".")
	stranger := newSigner(t, "es", "ES256")
	esParts := strings.Split(good(nil), ".")
	// The last of 86 characters holds 2 bits of the 64 bytes and 4 that mean nothing.
	last := map[byte]string{'A': "B", 'Q': "R", 'g': "h", 'w': "x"}[esParts[2][85]]

	for name, tc := range map[string]struct{ token, reason string }{
		"empty":                     {"", "malformed"},
		"two parts":                 {"a.b", "malformed"},
		"encrypted (five parts)":    {"a.b.c.d.e", "malformed"},
		"payload null":              {esParts[0] + "." + b64.EncodeToString([]byte("null")) + "." + esParts[2], "malformed"},
		"padded base64":             {good(nil) + "==", "malformed"},
		"line break in base64":      {esParts[0][:5] + "\n" + esParts[0][5:] + "." + esParts[1] + "." + esParts[2], "malformed"},
		"another spelling":          {esParts[0] + "." + esParts[1] + "." + esParts[2][:85] + last, "malformed"},
		"too long":                  {good(map[string]any{"x": strings.Repeat("x", maxTokenBytes)}), "too long"},
		"none":                      {forged("none", nil), "not accepted"},
		"None":                      {forged("None", nil), "not accepted"},
		"no alg":                    {es.token(t, claimsAt(c, nil), map[string]any{"alg": nil}), "not accepted"},
		"HS256 with the public PEM": {hs + "." + hs256(publicPEM, hs), "not accepted"},
		"HS256 with the public DER": {hs + "." + hs256(der, hs), "not accepted"},
		"alg of another key kind":   {rs.token(t, claimsAt(c, nil), map[string]any{"alg": "ES256"}), "not accepted"},
		"alg of another curve":      {es.token(t, claimsAt(c, nil), map[string]any{"alg": "ES384"}), "not accepted"},
		"signed on another curve":   {signer{"es", "ES384", es.private}.token(t, claimsAt(c, nil), nil), "not accepted"},
		"alg of another hash":       {rs.token(t, claimsAt(c, nil), map[string]any{"alg": "RS512"}), "not accepted"},
		"RS signature as PS":        {rs.token(t, claimsAt(c, nil), map[string]any{"alg": "PS256"}), "not accepted"},
		"kid of another key":        {es.token(t, claimsAt(c, nil), map[string]any{"kid": "ed"}), "not accepted"},
		"key of a stranger":         {stranger.token(t, claimsAt(c, nil), nil), "not accepted"},
		"own key in the header":     {stranger.token(t, claimsAt(c, nil), map[string]any{"jwk": stranger.jwk(), "kid": nil}), "not accepted"},
		"no signature":              {esParts[0] + "." + esParts[1] + ".", "not accepted"},
		"signature of zeroes":       {esParts[0] + "." + esParts[1] + "." + b64.EncodeToString(make([]byte, 64)), "not accepted"},
		"kid is no string":          {es.token(t, claimsAt(c, nil), map[string]any{"kid": 7}), "malformed"},
		"critical and unknown":      {es.token(t, claimsAt(c, nil), map[string]any{"crit": []string{"x"}, "x": 1}), "malformed"},
		"critical extension":        {es.token(t, claimsAt(c, nil), map[string]any{"crit": []string{"b64"}, "b64": false}), "malformed"},
		"logout token":              {es.token(t, claimsAt(c, nil), map[string]any{"typ": "logout+jwt"}), "malformed"},
		"expired":                   {good(map[string]any{"exp": c.now().Add(-leeway).Unix()}), "expired"},
		"no exp":                    {good(map[string]any{"exp": nil}), "does not say when"},
		"exp null":                  {es.token(t, withNull(claimsAt(c, nil), "exp"), nil), "does not say when"},
		"exp a string":              {good(map[string]any{"exp": fmt.Sprint(c.now().Add(time.Hour).Unix())}), "does not say when"},
		"exp in another age":        {good(map[string]any{"exp": 1e300}), "does not say when"},
		"not valid yet":             {good(map[string]any{"nbf": c.now().Add(leeway + time.Second).Unix()}), "not valid yet"},
		"nbf a string":              {good(map[string]any{"nbf": "now"}), "malformed"},
		"issued by another":         {good(map[string]any{"iss": "https://evil.example.com/"}), "somebody else"},
		"issuer without its slash":  {good(map[string]any{"iss": strings.TrimSuffix(testIssuer, "/")}), "somebody else"},
		"no issuer":                 {good(map[string]any{"iss": nil}), "somebody else"},
		"for another":               {good(map[string]any{"aud": "https://other.example"}), "for somebody else"},
		"for others":                {good(map[string]any{"aud": []string{"a", "b"}}), "for somebody else"},
		"for nobody":                {good(map[string]any{"aud": nil}), "for somebody else"},
		"no subject":                {good(map[string]any{"sub": nil}), "whose it is"},
		"empty subject":             {good(map[string]any{"sub": ""}), "whose it is"},
		"subject a number":          {good(map[string]any{"sub": 7}), "whose it is"},
		"SUB in place of sub":       {good(map[string]any{"sub": nil, "SUB": "coach-1"}), "whose it is"},
		"organization an object":    {good(map[string]any{"https://rapport/org": map[string]any{"id": 1}}), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), tc.token)
			if fault.KindOf(err) != fault.KindUnauthenticated {
				t.Fatalf("got %+v, %v; want an Unauthenticated fault", got, err)
			}
			if !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("reason %q does not say %q", err, tc.reason)
			}
			var f *fault.Error
			errors.As(err, &f)
			for _, leak := range []string{"coach-1", "ana@example.com", "acme", "evil", "ES256", "unexpected"} {
				if strings.Contains(fmt.Sprint(err, f.Unwrap()), leak) {
					t.Errorf("%q tells of the token: %s", err, leak)
				}
			}
			if got != (Claims{}) {
				t.Errorf("claims %+v beside the refusal", got)
			}
		})
	}
}

func withNull(claims map[string]any, name string) map[string]any {
	claims[name] = nil
	return claims
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	es := newSigner(t, "es", "ES256")
	v, _, c := setup(t, newProvider(t, es))
	for name, tc := range map[string]struct {
		with map[string]any
		want func(*Claims)
	}{
		"expired within the leeway":   {map[string]any{"exp": c.now().Add(-leeway + time.Second).Unix()}, nil},
		"not yet, within the leeway":  {map[string]any{"nbf": c.now().Add(leeway).Unix()}, nil},
		"no nbf":                      {map[string]any{"nbf": nil}, nil},
		"one audience":                {map[string]any{"aud": testAudience}, nil},
		"no organization":             {map[string]any{"https://rapport/org": nil}, func(c *Claims) { c.Organization = "" }},
		"no address":                  {map[string]any{"email": nil}, func(c *Claims) { c.Email = "" }},
		"address not verified":        {map[string]any{"email_verified": false}, func(c *Claims) { c.Email = "" }},
		"address not verified, words": {map[string]any{"email_verified": "false"}, func(c *Claims) { c.Email = "" }},
		"address verified":            {map[string]any{"email_verified": true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), es.token(t, claimsAt(c, tc.with), nil))
			if err != nil {
				t.Fatal(err)
			}
			want := Claims{Issuer: testIssuer, Subject: "coach-1", Organization: "acme", Email: "ana@example.com", ExpiresAt: got.ExpiresAt}
			if tc.want != nil {
				tc.want(&want)
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestKeyThatNamesItsAlgorithmIsUsedForNoOther(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "PS256")
	jwk := s.jwk()
	jwk["alg"] = "RS256"
	raw, _ := b64.DecodeString(part(t, map[string]any{"keys": []any{jwk}}))
	keys, err := parseKeys(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier([]Issuer{{Name: testIssuer, Audience: testAudience, Keys: keys}}, WithClock(newClock().now))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), s.token(t, claimsAt(newClock(), nil), nil)); fault.KindOf(err) != fault.KindUnauthenticated {
		t.Errorf("got %v, want a refusal", err)
	}
}

// An issuer's tokens are verified with its own keys, even where another one is believed as well.
func TestIssuersDoNotSignForEachOther(t *testing.T) {
	t.Parallel()
	c := newClock()
	a, b := newSigner(t, "k", "ES256"), newSigner(t, "k", "ES256")
	static := func(s signer) Keys {
		return staticKeys{newKey("k", algorithmsFor(s.private.Public()), s.private.Public())}
	}
	v, err := NewVerifier([]Issuer{
		{Name: testIssuer, Audience: testAudience, Keys: static(a)},
		{Name: "https://b", Audience: testAudience, Keys: static(b)},
	}, WithClock(c.now))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), b.token(t, claimsAt(c, nil), nil)); fault.KindOf(err) != fault.KindUnauthenticated {
		t.Errorf("b signed for a: %v", err)
	}
	if _, err := v.Verify(t.Context(), b.token(t, claimsAt(c, map[string]any{"iss": "https://b"}), nil)); err != nil {
		t.Errorf("b signed for itself: %v", err)
	}
}

// That a signature was found right says nothing of the token's times, nor that the key still counts.
func TestRememberedSignatures(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "ES256")
	p := newProvider(t, s)
	v, _, c := setup(t, p)
	refused := func(token, why string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token); fault.KindOf(err) != fault.KindUnauthenticated {
			t.Errorf("%s: %v", why, err)
		}
	}
	brief, long := s.token(t, claimsAt(c, nil), nil), s.token(t, claimsAt(c, map[string]any{"exp": c.now().Add(24 * time.Hour).Unix()}), nil)
	for range 2 {
		for _, token := range []string{brief, long} {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.advance(time.Hour + leeway)
	refused(brief, "expired")
	p.publish(newSigner(t, "k", "ES256")) // another one of the same name
	c.advance(distrustAfter)
	refused(long, "signed with a key that was replaced")
}

func TestNewVerifierWantsAnAudience(t *testing.T) {
	t.Parallel()
	for name, is := range map[string][]Issuer{
		"no audience": {{Name: "a", Keys: staticKeys{}}},
		"no name":     {{Audience: "a", Keys: staticKeys{}}},
		"no keys":     {{Name: "a", Audience: "a"}},
		"twice":       {{Name: "a", Audience: "a", Keys: staticKeys{}}, {Name: "a", Audience: "b", Keys: staticKeys{}}},
	} {
		if _, err := NewVerifier(is); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
