package httpx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// BodyCap refuses requests with a body over limit bytes with a 413. A declared length is refused before a byte is read;
// a body without one is read up to the limit, and the answer is a 413 whatever status the handler makes of the failed
// read, as long as it had not begun to answer.
func BodyCap(limit int64) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				bodyTooLarge(w, limit)
				return
			}
			if r.Body == nil || r.Body == http.NoBody {
				next.ServeHTTP(w, r)
				return
			}
			capped := &cappedWriter{ResponseWriter: w, limit: limit}
			r.Body = &cappedBody{http.MaxBytesReader(w, r.Body, limit), &capped.exceeded}
			next.ServeHTTP(capped, r)
			if !capped.wrote && capped.exceeded.Load() {
				capped.WriteHeader(http.StatusRequestEntityTooLarge)
			}
		})
	}
}

func bodyTooLarge(w http.ResponseWriter, limit int64) {
	w.Header().Set("Connection", "close") // rather than read the rest of a body nobody wants
	Problem{
		Status: http.StatusRequestEntityTooLarge, Code: "BODY_TOO_LARGE",
		Message:    fmt.Sprintf("the request body is larger than the limit of %d bytes", limit),
		Extensions: map[string]any{"limit": limit},
	}.Write(w)
}

// cappedBody notes that the limit was passed.
type cappedBody struct {
	io.ReadCloser
	exceeded *atomic.Bool
}

func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		b.exceeded.Store(true)
	}
	return n, err
}

// cappedWriter replaces the first answer after the limit was passed, and swallows the handler's own.
type cappedWriter struct {
	http.ResponseWriter
	limit    int64
	exceeded atomic.Bool // the body may be read in another goroutine than the answer is written
	wrote    bool
	replaced bool
}

func (w *cappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *cappedWriter) WriteHeader(status int) {
	if !w.wrote && w.exceeded.Load() {
		w.wrote, w.replaced = true, true
		bodyTooLarge(w.ResponseWriter, w.limit)
	}
	if w.replaced {
		return
	}
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.wrote = true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *cappedWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *cappedWriter) Flush() { _ = w.FlushError() }

func (w *cappedWriter) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *cappedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
