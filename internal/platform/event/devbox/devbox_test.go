package eventbox_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	eventbox "github.com/rapporthq/rapport/internal/platform/event/devbox"
	"github.com/rapporthq/rapport/internal/platform/event/eventtest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

func setup(t *testing.T) (*eventbox.Box, *pgxpool.Pool, id.UUID) {
	t.Helper()
	db, org := testkit.DB(t), id.New()
	if _, err := db.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, 'test', 'Test')`, org); err != nil {
		t.Fatal(err)
	}
	return eventbox.New(db, eventtest.Source), db, org
}

func TestConformance(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) eventtest.Fixture {
		b, _, org := setup(t)
		return eventtest.Fixture{Org: org, Publisher: b, Arrived: func(t *testing.T) (all []json.RawMessage) {
			t.Helper()
			arrived, err := b.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range arrived {
				all = append(all, a.Document)
			}
			return all
		}}
	})
}

// The box is the one place in Rapport where events arrive. What comes twice is there once, and the old makes room.
func TestTheBoxKeepsEachOnceAndTheLast(t *testing.T) {
	t.Parallel()
	b, db, org := setup(t)
	all := eventtest.Events(org, 600)
	for range 2 {
		if err := errors.Join(b.Publish(t.Context(), all[:20])...); err != nil {
			t.Fatal(err)
		}
	}
	arrived, err := b.List(t.Context())
	if err != nil || len(arrived) != 20 || eventtest.Read(t, arrived[0].Document).ID != all[19].Key() {
		t.Fatalf("%d in the box, %v", len(arrived), err)
	}
	if err := errors.Join(b.Publish(t.Context(), all[20:])...); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM dev_events`).Scan(&n); err != nil || n != 500 {
		t.Errorf("%d are kept, %v", n, err)
	}
	if arrived, err = b.List(t.Context()); err != nil || eventtest.Read(t, arrived[0].Document).ID != all[599].Key() {
		t.Errorf("the newest is not the first: %v", err)
	}
}

func TestThePageIsSafe(t *testing.T) {
	t.Parallel()
	b, _, org := setup(t)
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, eventbox.Path, nil))
		return w
	}
	if w := get(); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No event yet") {
		t.Errorf("empty: %d %s", w.Code, w.Body)
	}
	e := eventtest.Events(org, 1)
	e[0].Type = `<script>alert(1)</script>`
	if err := errors.Join(b.Publish(t.Context(), e)...); err != nil {
		t.Fatal(err)
	}
	w := get()
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script") || !strings.Contains(w.Body.String(), e[0].Subject) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
		t.Error(csp)
	}
}
