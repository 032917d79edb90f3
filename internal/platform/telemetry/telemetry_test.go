package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

type requestKey struct{}

func requestAttrs(ctx context.Context) []slog.Attr {
	if v, ok := ctx.Value(requestKey{}).(string); ok {
		return []slog.Attr{slog.String("request", v)}
	}
	return nil
}

func viewerAttrs(context.Context) []slog.Attr { return []slog.Attr{slog.String("user", "u1")} }

func TestContextAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(&out, Options{JSON: true, Attrs: []Attrs{requestAttrs, viewerAttrs}})
	ctx := context.WithValue(t.Context(), requestKey{}, "r1")
	log.With("job", 7).InfoContext(ctx, "hello", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["request"] != "r1" || line["user"] != "u1" || line["job"] != 7.0 || line["n"] != 1.0 {
		t.Errorf("got %s", &out)
	}
	out.Reset()
	log.Info("outside")
	if strings.Contains(out.String(), "r1") {
		t.Errorf("attributes of another context: %s", &out)
	}
}

func TestLevelAndText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(&out, Options{Level: slog.LevelWarn})
	log.Info("quiet")
	log.Warn("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "level=WARN msg=loud") {
		t.Errorf("got %s", got)
	}
}

func TestContentIsBlanked(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{true, false} {
		var out bytes.Buffer
		log := NewLogger(&out, Options{JSON: json, Attrs: []Attrs{func(context.Context) []slog.Attr {
			return []slog.Attr{slog.String("e_mail", "hush")}
		}}})
		log.With("Authorization", "hush").WithGroup("g").Info("m", "text", "hush", "api_key", "hush", "API-Key", []string{"hush"},
			slog.Group("inner", "prompt", "hush", "Variables", map[string]string{"a": "hush"}), "session", "s1")
		if got := out.String(); strings.Contains(got, "hush") || !strings.Contains(got, "s1") || !strings.Contains(got, "[redacted]") {
			t.Errorf("got %s", got)
		}
	}
}

func TestPrivateIsSorted(t *testing.T) { // the search is binary
	t.Parallel()
	if !slices.IsSorted(private) {
		t.Error("sort the list")
	}
}
