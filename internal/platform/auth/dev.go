package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

const (
	devIssuerName   = "http://rapport.localhost/dev"
	devAudience     = "rapport"
	devOrgClaim     = "org"
	devTokenLife    = 12 * time.Hour
	devKeyFile      = "dev-signing-key.pem"
	devLoginMaxBody = 4 << 10
)

// DevIssuer signs in anybody who asks from this machine. It stands in for the customer's identity provider in development, and
// is never made in production: there is no switch that turns it on.
type DevIssuer struct {
	key jwk.Key // private, with its thumbprint for kid
	now func() time.Time
}

// Person is what a development token says.
type Person struct {
	Subject      string
	Organization string // may be ""
	Email        string
}

// People finds the person whom an address belongs to. Nobody is a NotFound fault.
type People interface {
	PersonByEmail(ctx context.Context, email string) (Person, error)
}

// OpenDevIssuer returns the issuer whose key lies in the folder home, and makes folder and key if they are missing: tokens
// outlive a restart. A key that others can read is refused.
func OpenDevIssuer(home string) (*DevIssuer, error) {
	path := filepath.Join(home, devKeyFile)
	key, err := readDevKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeDevKey(home, path); err == nil {
			key, err = readDevKey(path) // another process may have been faster: its key is the key
		}
	}
	if err != nil {
		return nil, fmt.Errorf("auth: development key: %w", err)
	}
	return &DevIssuer{key: key, now: time.Now}, nil
}

func readDevKey(path string) (jwk.Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s: chmod 600 it, or remove it for a new one", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := jwk.ParseKey(raw, jwk.WithPEM(true))
	if err != nil {
		return nil, fmt.Errorf("%s is not a PEM file with a key: remove it for a new one", path)
	}
	var private ed25519.PrivateKey
	if err := jwk.Export(key, &private); err != nil {
		return nil, fmt.Errorf("%s is not an Ed25519 key: remove it for a new one", path)
	}
	return key, jwk.AssignKeyID(key)
}

// makeDevKey writes a new key to path unless there is one. The file appears whole, with its final mode.
func makeDevKey(home, path string) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	body, err := jwk.EncodePEM(private)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(home, devKeyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(body)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Issuer returns what a Verifier must know to believe the development tokens.
func (d *DevIssuer) Issuer() Issuer {
	set := jwk.NewSet()
	_ = set.AddKey(d.key)      // fails for a key that is there already
	keys, _ := usableKeys(set) // an Ed25519 key is usable
	return Issuer{Name: devIssuerName, Audience: devAudience, OrganizationClaim: devOrgClaim, Keys: keys}
}

// Issue returns a token for p that is valid for 12 hours.
func (d *DevIssuer) Issue(p Person) (token string, expiresAt time.Time, err error) {
	now := d.now().Truncate(time.Second)
	expiresAt = now.Add(devTokenLife).UTC()
	claims := jwt.NewBuilder().Issuer(devIssuerName).Audience([]string{devAudience}).Subject(p.Subject).
		Claim("email", p.Email).IssuedAt(now).Expiration(expiresAt)
	if p.Organization != "" {
		claims.Claim(devOrgClaim, p.Organization)
	}
	t, err := claims.Build()
	if err != nil {
		return "", time.Time{}, err
	}
	signed, err := jwt.Sign(t, jwt.WithKey(jwa.EdDSA(), d.key))
	return string(signed), expiresAt, err
}

// LoginHandler answers POST {"email": "…"} with {"token": "…", "expiresAt": "…"}. It serves this machine alone: the
// connection must come from loopback, and so must the name the browser believes to talk to (a name that was rebound to
// loopback is not ours) and the page that asks.
func (d *DevIssuer) LoginHandler(people People) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := notLocal(r); reason != "" {
			devProblem(w, http.StatusForbidden, fault.KindForbidden, "development sign-in serves this machine only: "+reason)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			devProblem(w, http.StatusMethodNotAllowed, fault.KindInvalid, "send a POST")
			return
		}
		// A type that a form cannot send, so that a page of another origin needs a preflight, which nobody answers.
		if ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || ct != "application/json" {
			devProblem(w, http.StatusUnsupportedMediaType, fault.KindInvalid, "send application/json")
			return
		}
		email, status, problem := readEmail(w, r)
		if problem != "" {
			devProblem(w, status, fault.KindInvalid, problem)
			return
		}
		person, err := people.PersonByEmail(r.Context(), email)
		switch fault.KindOf(err) {
		case fault.KindNotFound:
			devProblem(w, http.StatusNotFound, fault.KindNotFound, "nobody has this e-mail address")
			return
		case fault.KindUnavailable:
			devProblem(w, http.StatusServiceUnavailable, fault.KindUnavailable, "the directory cannot be asked now")
			return
		}
		var token string
		var expiresAt time.Time
		if err == nil {
			token, expiresAt, err = d.Issue(person)
		}
		if err != nil {
			devProblem(w, http.StatusInternalServerError, fault.KindInternal, "internal error")
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expiresAt": expiresAt}) // a client gone is no matter
	})
}

func readEmail(w http.ResponseWriter, r *http.Request) (email string, status int, problem string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, devLoginMaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return "", http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", devLoginMaxBody)
		}
		return "", http.StatusBadRequest, "the body cannot be read"
	}
	var in struct {
		Email string `json:"email"`
	}
	if json.Unmarshal(body, &in) != nil || strings.TrimSpace(in.Email) == "" {
		return "", http.StatusBadRequest, `send {"email": "…"}`
	}
	return strings.TrimSpace(in.Email), 0, ""
}

func devProblem(w http.ResponseWriter, status int, kind fault.Kind, message string) {
	httpx.Problem{Status: status, Code: string(kind), Message: message}.Write(w)
}

// notLocal says why r does not come from a page or a program on this machine, "" if it does.
func notLocal(r *http.Request) string {
	if !loopbackHost(r.RemoteAddr) {
		return "the connection comes from elsewhere"
	}
	// A proxy on this machine (the front end's, in development) says for whom it asks.
	for _, via := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(via, ",") {
			if !loopbackHost(strings.TrimSpace(hop)) {
				return "the request was forwarded from elsewhere"
			}
		}
	}
	if !loopbackHost(r.Host) {
		return "the Host header names another machine"
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return "the page that asks is of another site"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !loopbackHost(u.Host) {
			return "the page that asks is of another site"
		}
	}
	return ""
}

// loopbackHost says that a host, with or without a port, can only be this machine. Names below localhost are reserved
// for that (RFC 6761), and browsers resolve them themselves.
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
