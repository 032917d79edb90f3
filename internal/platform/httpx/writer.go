package httpx

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// recorder sees what a handler answers. It offers Flush and Hijack to those who ask by type assertion, and Unwrap for
// http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the headers are sent
	bytes  int64
	told   *told
}

var _ interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
} = (*recorder)(nil)

// record returns w as a recorder, reusing the one that an outer middleware has put there.
func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w, told: new(told)}
}

// told is what those who handle a request say of it: they know it by the context.
type told struct {
	later atomic.Pointer[refusal]     // set by RetryLater and SlowDown
	attrs atomic.Pointer[[]slog.Attr] // set by Note
}

// toldKey finds recorder.told. The recorder itself is in no context: that of a socket would hold on to the buffers of its
// handshake.
type toldKey struct{}

// Note has attributes stand in AccessLog's line of the request that ctx belongs to: what is found out deep inside, such as who has sent it.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if t, ok := ctx.Value(toldKey{}).(*told); ok {
		t.attrs.Store(&attrs)
	}
}

// RetryLater makes a 503 with Retry-After of the answer to the request that ctx belongs to, whatever status its handler
// sends: for one who finds deep inside that nothing can be answered now. It comes too late for an answer that has begun,
// and needs AccessLog around the handler.
func RetryLater(ctx context.Context) { refuse(ctx, refusal{http.StatusServiceUnavailable, retryAfter}) }

// SlowDown is RetryLater for one who asks too often: a 429, with how long to wait, in whole seconds.
func SlowDown(ctx context.Context, wait time.Duration) {
	refuse(ctx, refusal{http.StatusTooManyRequests, max(1, int(math.Ceil(wait.Seconds())))})
}

// refusal is the status of an answer that says when to come back, in seconds.
type refusal struct{ status, after int }

func refuse(ctx context.Context, with refusal) {
	if t, ok := ctx.Value(toldKey{}).(*told); ok {
		t.later.Store(&with)
	}
}

// retryAfter is when to come back, in seconds: pools and listeners find a database again within that time.
const retryAfter = 5

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols
	if w.status == 0 && !informational {
		if r := w.told.later.Load(); r != nil {
			status = r.status
			w.Header().Set("Retry-After", strconv.Itoa(r.after))
		}
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.wrote()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile for static files.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	w.wrote()
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

func (w *recorder) Flush() { _ = w.FlushError() }

func (w *recorder) FlushError() error {
	w.wrote()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

func (w *recorder) wrote() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}
