// Package telemetry sets up the log.
//
// The stance on privacy: a log line carries ids, kinds, counts and durations, never content. Transcripts, prompts,
// inputs, mail bodies and tokens do not reach a log line, a trace attribute or an error message; that is the duty of
// who writes the line. As a net under it the logger blanks attributes whose name says content or a secret, at any depth,
// so that a slip shows as [redacted] in review and not as somebody's words in a log store. The net cannot see into
// messages and error texts.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// Attrs reads the attributes that every line written under a context carries: the request's id, the viewer's ids. It
// runs for each line and must be cheap.
type Attrs func(context.Context) []slog.Attr

// Options of a logger. The zero value writes text at level info.
type Options struct {
	JSON  bool
	Level slog.Leveler
	Attrs []Attrs
}

// NewLogger returns a logger that writes lines to w. Pass the context (InfoContext, not Info) to get its attributes.
func NewLogger(w io.Writer, o Options) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: redact}
	var h slog.Handler
	if o.JSON {
		h = slog.NewJSONHandler(w, ho)
	} else {
		h = slog.NewTextHandler(w, ho)
	}
	if len(o.Attrs) > 0 {
		h = contextHandler{h, o.Attrs}
	}
	return slog.New(h)
}

// contextHandler adds the context's attributes to each record.
type contextHandler struct {
	slog.Handler
	from []Attrs
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	cloned := false
	for _, from := range h.from {
		attrs := from(ctx)
		if len(attrs) == 0 {
			continue
		}
		if !cloned { // the record's attributes are shared with other handlers
			r, cloned = r.Clone(), true
		}
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs), h.from}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name), h.from}
}

// private are the attribute names that are never written, in lower case without separators.
var private = []string{
	"apikey", "authorization", "body", "content", "cookie", "email", "input", "password", "prompt", "quote",
	"secret", "text", "token", "transcript", "utterance", "variables",
}

const redacted = "[redacted]"

var separators = strings.NewReplacer("_", "", "-", "", ".", "")

func redact(_ []string, a slog.Attr) slog.Attr {
	if len(a.Key) > 24 { // longer than any name below
		return a
	}
	name := strings.ToLower(separators.Replace(a.Key))
	if _, found := slices.BinarySearch(private, name); found {
		return slog.String(a.Key, redacted)
	}
	return a
}
