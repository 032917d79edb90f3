package testkit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/testkit"
)

// recorder is a test inside the test: it notes how it ended and runs its clean-ups when asked.
type recorder struct {
	testing.TB
	skipped, failed string
	cleanups        []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Name() string              { return "TestOfSomebody" }
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, a ...any) { r.failed = fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); runtime.Goexit() }
func (r *recorder) Skip(a ...any)             { r.skipped = fmt.Sprint(a...); runtime.Goexit() }

func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) end() {
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		f()
	}
}

func TestRequireComponent(t *testing.T) {
	for _, c := range []struct {
		require string
		fails   bool
	}{{"", false}, {"redis", false}, {"redis,elastic", true}, {"elastic", true}, {"all", true}, {"elasticsearch", false}} {
		t.Run(c.require, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "missing")
			t.Setenv("RAPPORT_REQUIRE", c.require)
			t.Setenv("RAPPORT_MISSING_REPORT", report)
			r := &recorder{TB: t}
			r.run(func() { testkit.RequireComponent(r, "elastic", "no Java\nhere") })
			if (r.failed != "") != c.fails || (r.skipped != "") == c.fails {
				t.Errorf("failed %q, skipped %q; want failure %t", r.failed, r.skipped, c.fails)
			}
			content, _ := os.ReadFile(report)
			want := "MISSING elastic, so TestOfSomebody did not run: no Java here\n"
			if c.fails {
				want = ""
			}
			if string(content) != want {
				t.Errorf("report %q, want %q", content, want)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	asked := 0
	testkit.Eventually(t, time.Minute, func() error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	r := &recorder{TB: t}
	r.run(func() { testkit.Eventually(r, time.Millisecond, func() error { return errors.New("the last error") }) })
	if !strings.Contains(r.failed, "the last error") {
		t.Errorf("failed with %q", r.failed)
	}
}

func TestDatabasesAreMigratedSeparateAndGone(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	first, second := testkit.DB(r), testkit.DB(r)
	var migrated bool
	if err := first.QueryRow(t.Context(), "SELECT to_regclass('organizations') IS NOT NULL").Scan(&migrated); err != nil || !migrated {
		t.Errorf("migrated %t (%v)", migrated, err)
	}
	if _, err := first.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
		t.Fatal(err)
	}
	var seen bool
	if err := second.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&seen); err != nil || seen {
		t.Errorf("one test's table is in another's database (%v)", err)
	}
	url := first.Config().ConnString()
	r.end()
	if r.failed != "" {
		t.Error(r.failed)
	}
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database outlived its test")
	}
}
