package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

// Directory knows the people whom tokens name.
type Directory interface {
	// Identify returns the person with the claims, acting in the organization that they name or else in the person's
	// own. It runs once for each request and each socket, so it must be cheap: one statement. Somebody unknown, somebody
	// revoked and somebody of another organization alike are an Unauthenticated fault: who is refused learns no more.
	Identify(ctx context.Context, c Claims) (Viewer, error)
}

// Challenge is the WWW-Authenticate header for who has sent no token.
const Challenge = `Bearer realm="rapport"`

// Authenticator turns bearer tokens into viewers.
type Authenticator struct {
	verifier  *Verifier
	directory Directory
	log       *slog.Logger
}

// NewAuthenticator returns an authenticator. Why a token was refused goes to log, at info level.
func NewAuthenticator(v *Verifier, d Directory, log *slog.Logger) *Authenticator {
	return &Authenticator{v, d, log}
}

// Authenticate returns ctx with the viewer of bearer ("Bearer <token>" or the token alone), and when the token
// expires: a socket must not outlive it. With the error for somebody whose token is good and who is nobody here, the
// context still has the token's claims: ClaimsFrom.
func (a *Authenticator) Authenticate(ctx context.Context, bearer string) (context.Context, time.Time, error) {
	token, ok := bearerToken(bearer)
	if !ok {
		return ctx, time.Time{}, refused("send an Authorization: Bearer token", nil)
	}
	claims, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return ctx, time.Time{}, err
	}
	viewer, err := a.directory.Identify(ctx, claims)
	if fault.KindOf(err) == fault.KindUnauthenticated {
		return context.WithValue(ctx, holderKey{}, &holder{claims: claims, refusal: err}), time.Time{}, err
	} else if err != nil {
		return ctx, time.Time{}, err
	}
	ctx = context.WithValue(ctx, holderKey{}, &holder{claims: claims})
	viewer.Until = claims.ExpiresAt
	return WithViewer(ctx, viewer), claims.ExpiresAt, nil
}

// Middleware puts the viewer into the context of a request that carries a token. A request without one goes on
// anonymously: a WebSocket brings its token later, and what needs a viewer says so itself. So does a request of somebody who
// is nobody here: there must be a way to become somebody. A request with a bad token is refused, because its sender
// believes to be somebody.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Values("Authorization")
		if len(sent) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		ctx, err := r.Context(), error(refused("send one Authorization header", nil))
		if len(sent) == 1 {
			ctx, _, err = a.authenticateHeader(ctx, sent[0])
		}
		if _, nobody := ClaimsFrom(ctx); err != nil && nobody != nil {
			a.refuse(w, r, err)
			return
		} else if err != nil {
			a.log.LogAttrs(ctx, slog.LevelInfo, "nobody here", slog.String("error", err.Error()))
		}
		httpx.Note(ctx, LogAttrs(ctx)...)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// authenticateHeader is Authenticate for a header, where the scheme must be named.
func (a *Authenticator) authenticateHeader(ctx context.Context, header string) (context.Context, time.Time, error) {
	if !strings.Contains(strings.TrimSpace(header), " ") {
		header = "" // a scheme without a token, or a token without a scheme
	}
	return a.Authenticate(ctx, header)
}

// refuse answers in the kind's status. Only a fault's own words are sent: what is no fault is ours to know.
func (a *Authenticator) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the caller has gone
	}
	p := httpx.Problem{Status: http.StatusInternalServerError, Code: string(fault.KindInternal), Message: "internal error"}
	level := slog.LevelInfo
	kind := fault.KindOf(err)
	switch kind {
	case fault.KindUnauthenticated:
		p.Status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", Challenge+`, error="invalid_token"`)
	case fault.KindForbidden:
		p.Status = http.StatusForbidden
	case fault.KindUnavailable:
		p.Status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
		level = slog.LevelWarn
	default:
		level = slog.LevelError
	}
	var f *fault.Error
	if p.Status != http.StatusInternalServerError && errors.As(err, &f) {
		p.Code, p.Message = string(f.Kind), f.Message
		if f.Code != "" {
			p.Code = f.Code
		}
	}
	a.log.LogAttrs(r.Context(), level, "sign-in refused", slog.String("kind", string(kind)),
		slog.String("error", err.Error()), slog.Any("cause", errors.Unwrap(err)))
	p.Write(w)
}

// bearerToken reads "Bearer <token>" (the scheme in any letter case), or a token alone.
func bearerToken(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if scheme, token, found := strings.Cut(s, " "); found {
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		s = strings.TrimSpace(token)
	}
	return s, s != "" && !strings.ContainsAny(s, " \t")
}

// PayloadBearer returns the bearer in the payload of a WebSocket's connection_init: the string under Authorization, in
// any letter case. It returns "" if there is none, or more than one.
func PayloadBearer(payload map[string]any) string {
	bearer, seen := "", false
	for name, value := range payload {
		if !strings.EqualFold(name, "Authorization") {
			continue
		}
		s, ok := value.(string)
		if !ok || seen {
			return ""
		}
		bearer, seen = s, true
	}
	return bearer
}

// LogAttrs gives log lines the viewer's ids, as the database writes them; it is a telemetry.Attrs.
func LogAttrs(ctx context.Context) []slog.Attr {
	v, err := FromContext(ctx)
	if err != nil {
		return nil
	}
	return []slog.Attr{
		slog.String("org", uuid.UUID(v.Org).String()),
		slog.String("user", uuid.UUID(v.User).String()),
	}
}
