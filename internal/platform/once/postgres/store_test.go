package pgonce_test

import (
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/platform/once/oncetest"
	pgonce "github.com/rapporthq/rapport/internal/platform/once/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(t *testing.T) once.Store { return pgonce.New(testkit.DB(t)) })
}

// What is over goes, and what is not stays.
func TestPrune(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	s := pgonce.New(db)
	for name, keep := range map[string]time.Duration{"aa": -time.Second, "bb": time.Minute} {
		if err := s.Put(t.Context(), once.Key{Org: id.New(), Name: name}, []byte("x"), keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := pgonce.Prune(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := db.QueryRow(t.Context(), `SELECT string_agg(name, ' ') FROM idempotency_keys`).Scan(&left); err != nil || left != "bb" {
		t.Errorf("%q is left, %v", left, err)
	}
}
