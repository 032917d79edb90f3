package httpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rapporthq/rapport/internal/platform/id"
)

// Middleware puts something around a handler.
type Middleware = func(http.Handler) http.Handler

// Chain puts the middleware around h, the first one outermost.
//
//	httpx.Chain(mux, httpx.RequestID, httpx.AccessLog(log), httpx.Recover(log), httpx.CORS(origins), httpx.BodyCap(limit))
func Chain(h http.Handler, ms ...Middleware) http.Handler {
	for i := len(ms) - 1; i >= 0; i-- {
		h = ms[i](h)
	}
	return h
}

const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// RequestID gives each request an id, sends it back in X-Request-Id and keeps it in the context. The id that a caller
// or a load balancer sends is kept if it is sane, so that one id names a request across systems.
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rid := r.Header.Get(requestIDHeader)
		if !saneRequestID(rid) {
			rid = uuid.UUID(id.New()).String()
		}
		w.Header().Set(requestIDHeader, rid)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, rid)))
	})
}

// RequestIDFrom returns the id of the request that ctx belongs to, "" outside one.
func RequestIDFrom(ctx context.Context) string {
	rid, _ := ctx.Value(requestIDKey{}).(string)
	return rid
}

// LogAttrs gives log lines the request's id; it is a telemetry.Attrs.
func LogAttrs(ctx context.Context) []slog.Attr {
	if rid := RequestIDFrom(ctx); rid != "" {
		return []slog.Attr{slog.String("request", rid)}
	}
	return nil
}

// saneRequestID keeps out what could forge a log line or fill one.
func saneRequestID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '=':
		default:
			return false
		}
	}
	return true
}

// Recover turns a panic into a 500 that names the request, and logs the stack. Of the panic's value only the type is
// logged, and the text of the runtime's own errors: any other text could hold what somebody said. An answer that had
// already begun is cut off, so that the client cannot take a part for the whole.
func Recover(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := record(w)
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v) // net/http's own way to say: cut the connection, say nothing
				}
				log.ErrorContext(r.Context(), "panic", "method", knownMethod(r.Method), "route", route(r),
					"panic", describePanic(v), "stack", string(debug.Stack()))
				if rec.status != 0 {
					panic(http.ErrAbortHandler)
				}
				Problem{Status: http.StatusInternalServerError, Code: "INTERNAL",
					Message: "internal error: report the request id"}.Write(rec)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

func describePanic(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return fmt.Sprintf("%T: %s", v, err.Error())
	}
	return fmt.Sprintf("%T", v)
}

// AccessLog writes a line for each request when it has been answered: the route that a ServeMux below has found for it, and never
// the path, the query string, headers or a body, in which strangers may write what they like; and what Note has added. A
// socket's line comes when it opens. Probes are logged at debug level, our mistakes at error level. A 503 is none: who
// answers it logs what is out of reach.
func AccessLog(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start, rec := time.Now(), record(w)
			r = r.WithContext(context.WithValue(r.Context(), toldKey{}, rec.told))
			method := knownMethod(r.Method) // who is below us may change the request
			defer func() {
				route := route(r)
				status := rec.status
				if status == 0 {
					status = http.StatusOK // what net/http sends for a handler that wrote nothing
				}
				level := slog.LevelInfo
				switch {
				case status >= 500 && status != http.StatusServiceUnavailable:
					level = slog.LevelError
				case route == healthPath || route == readyPath:
					level = slog.LevelDebug
				}
				line := []slog.Attr{
					slog.String("method", method), slog.String("route", route), slog.Int("status", status),
					slog.Int64("bytes", rec.bytes),
					slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
				}
				if noted := rec.told.attrs.Load(); noted != nil {
					line = append(line, *noted...)
				}
				log.LogAttrs(r.Context(), level, "request", line...)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// route is the pattern that the request has been found to match, without its method; "-" for one that matched none.
func route(r *http.Request) string {
	_, path, with := strings.Cut(r.Pattern, " ")
	if !with {
		path = r.Pattern
	}
	return cmp.Or(path, "-")
}

// knownMethod is the method of a request, unless somebody has made one up.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return method
	}
	return "-"
}
