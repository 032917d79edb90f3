package app_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Sessions of the demo, by engagement and number.
var (
	amara2 = demoSession{"First year as an engineering manager", 2} // transcribed, shared with the client
	amara5 = demoSession{"First year as an engineering manager", 5} // held, without a transcript
	amara1 = demoSession{"First year as an engineering manager", 1} // as amara5
	jonas3 = demoSession{"Two founders, one company", 3}            // transcribed
	felix1 = demoSession{"Head of school, second year", 1}          // of coach2, without a transcript
	sofia2 = demoSession{"Back from leave", 2}                      // of coach2, transcribed
	theo1  = demoSession{"After a founder", 1}                      // of the second tenant, without a transcript
	theo2  = demoSession{"After a founder", 2}                      // of the second tenant, transcribed
)

type demoSession struct {
	engagement string
	number     int
}

func (d demoSession) id(t testing.TB, env *apptest.Env) string {
	t.Helper()
	return one(t, env, "session", `SELECT s.id FROM sessions s JOIN engagements e ON e.id = s.engagement_id
		WHERE e.title = $1 AND s.number = $2`, d.engagement, d.number)
}

// one is the id that a statement finds, as the API writes it.
func one(t testing.TB, env *apptest.Env, prefix, sql string, args ...any) string {
	t.Helper()
	var key id.UUID
	if err := env.DB.QueryRow(t.Context(), sql, args...).Scan(&key); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return id.Format(prefix, key)
}

func value[T any](t testing.TB, env *apptest.Env, sql string, args ...any) (v T) {
	t.Helper()
	if err := env.DB.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func sql(t testing.TB, env *apptest.Env, query string, args ...any) {
	t.Helper()
	if _, err := env.DB.Exec(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// uuid is the id of a TypeID, for SQL.
func uuid(t testing.TB, typeID string) id.UUID {
	t.Helper()
	_, key, err := id.Parse(typeID)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rowCounts counts the rows of every table.
func rowCounts(t testing.TB, env *apptest.Env) map[string]int {
	t.Helper()
	rows, err := env.DB.Query(t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) < 15 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	counts := map[string]int{}
	for _, name := range tables {
		counts[name] = value[int](t, env, "SELECT count(*) FROM "+name)
	}
	return counts
}

func sameRows(t testing.TB, before, after map[string]int) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if before[name] != after[name] {
			t.Errorf("%s had %d rows and has %d", name, before[name], after[name])
		}
	}
}

type userError struct{ Code, Field, Message string }

// briefly is code and field of the errors.
func briefly(errs []userError) string {
	parts := make([]string, len(errs))
	for i, e := range errs {
		parts[i] = e.Code + " " + e.Field
	}
	return strings.Join(parts, ", ")
}

type imported struct {
	Transcript *struct {
		ID       string
		Version  int
		Status   string
		Format   string
		Filename *string
		Warnings []struct {
			Line int
			Code string
		}
		Utterances struct{ TotalCount int }
	}
	AlreadyImported bool
	UserErrors      []userError
}

const importMutation = `mutation($session: ID!, $content: String!, $filename: String, $format: TranscriptFormat) {
	importTranscript(input: {sessionId: $session, content: $content, filename: $filename, format: $format}) {
		alreadyImported userErrors {code field message}
		transcript {id version status format filename warnings {line code message assumed} utterances {totalCount}}
	}
}`

// importInto imports and returns what came of it; what is no user's error fails the test.
func importInto(t testing.TB, c *apptest.Client, session, content string, more apptest.Vars) imported {
	t.Helper()
	vars := apptest.Vars{"session": session, "content": content}
	maps.Copy(vars, more)
	var out struct{ ImportTranscript imported }
	c.Must(t, importMutation, vars, &out)
	return out.ImportTranscript
}

// imports is importInto for what must succeed; it returns the transcript's id.
func imports(t testing.TB, c *apptest.Client, session, content string) string {
	t.Helper()
	in := importInto(t, c, session, content, nil)
	if in.Transcript == nil {
		t.Fatalf("not imported: %+v", in.UserErrors)
	}
	return in.Transcript.ID
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(append([]string{testkit.RepoRoot(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sample is an example file of the parser's.
func sample(t testing.TB, name string) string {
	t.Helper()
	return read(t, "internal", "coaching", "transcript", "format", "testdata", name)
}

// conversation is a file of the demo, which has insights to find.
func conversation(t testing.TB) string {
	t.Helper()
	return read(t, "internal", "app", "demo", "data", "jonas-03-four-hours.vtt")
}

func background(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

// transcriptText is a WebVTT file of n cues that alternate between two people.
func transcriptText(n int, line func(i int) string) string {
	var b strings.Builder
	b.WriteString("WEBVTT\n\n")
	at := func(s int) string { return fmt.Sprintf("%02d:%02d:%02d.000", s/3600, s/60%60, s%60) }
	for i := range n {
		fmt.Fprintf(&b, "%d\n%s --> %s\n%s: %s\n\n", i+1, at(3*i), at(3*i+2), []string{"Ruth", "Amara"}[i%2], line(i))
	}
	return b.String()
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
