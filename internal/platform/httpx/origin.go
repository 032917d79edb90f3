package httpx

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rs/cors"
)

// CORS lets pages of the origins ("https://app.example.com") call the API with a bearer token. Credentials stay off:
// nothing here is authorised by a cookie. Without origins no CORS header is ever sent, so browsers keep other origins
// out. A preflight is answered here, whatever its path: with a 204, or with a 403 if its origin is none of these.
func CORS(origins []string) Middleware {
	if len(origins) == 0 { // rs/cors would take an empty list for "any"
		return refusePreflights(func(*http.Request) bool { return false })
	}
	c := cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Accept", "Last-Event-ID", "Idempotency-Key", requestIDHeader},
		ExposedHeaders: []string{requestIDHeader, "Retry-After", "Idempotency-Replayed"},
		MaxAge:         600,
	})
	return func(next http.Handler) http.Handler { return refusePreflights(c.OriginAllowed)(c.Handler(next)) }
}

// refusePreflights says to whoever looks into the network panel why their page may not ask: rs/cors would say "204 No Content".
func refusePreflights(allowed func(*http.Request) bool) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && !allowed(r) {
				refuseOrigin(w)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func refuseOrigin(w http.ResponseWriter) {
	Problem{Status: http.StatusForbidden, Code: "FORBIDDEN",
		Message: "requests from pages of this origin are not accepted"}.Write(w)
}

// SameOrigin refuses what a page of another origin makes a browser send, unless it is one of the origins: requests
// that may change something, and those that open a stream: WebSocket handshakes, which CORS does not cover, and
// EventSource. Callers that are no browser send
// neither Origin nor Sec-Fetch-Site and pass: they hold a token or get nothing. An origin that is none is an error.
func SameOrigin(origins []string) (Middleware, error) {
	check := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := check.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("httpx: trusted origin: %w", err)
		}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			probe := r
			if opensStream(r) { // by a GET, which the check would let through
				c := *r
				c.Method = http.MethodPost
				probe = &c
			}
			if err := check.Check(probe); err != nil {
				refuseOrigin(w)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

func opensStream(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Key") != "" ||
		strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/event-stream")
}

// PageHeaders are the security headers of pages we serve. The policy fits a self-hosted GraphiQL: Monaco starts
// workers from blobs, writes inline styles and embeds its icons; everything else comes from this origin, and nothing
// can be sent to another one.
func PageHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connect := "connect-src 'self'"
		if plainHost(r.Host) { // older Safari does not take ws: for 'self'
			connect += " ws://" + r.Host + " wss://" + r.Host
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; worker-src 'self' blob:; "+
			"style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; manifest-src 'self'; "+
			connect+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
}

// plainHost says that a Host header can stand in a policy without adding to it.
func plainHost(host string) bool {
	if host == "" {
		return false
	}
	for _, c := range []byte(host) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '.', c == '-', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}
