package postgres_test

import (
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/postgres"
)

func exec(t *testing.T, db postgres.DB, sql string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
