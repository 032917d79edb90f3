package analytics

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Every table that a series is computed from is among those whose changes make what is kept of it superfluous, and leaves stamps; what
// changes as time goes by is not kept.
func TestSeriesFollowTheirTables(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	var stamped []string
	if err := db.QueryRow(t.Context(), `SELECT array_agg(DISTINCT tgrelid::regclass::text) FROM pg_trigger WHERE tgname LIKE 'stamp\_%'`).Scan(&stamped); err != nil {
		t.Fatal(err)
	}
	everybody := auth.Viewer{Org: id.New(), User: id.New(), Roles: []auth.Role{auth.RoleOwner, auth.RoleAdmin, auth.RoleCoach, auth.RoleSupervisor, auth.RoleClient, auth.RoleSponsor}}
	now := time.Now()
	for name, m := range metrics {
		if m.from == pursued {
			continue // it is made of what was loaded
		}
		viewers := []auth.Viewer{everybody}
		for _, r := range everybody.Roles {
			viewers = append(viewers, auth.Viewer{Org: everybody.Org, User: everybody.User, Roles: []auth.Role{r}})
		}
		for _, v := range viewers {
			o := observed{metric: m, viewer: v, edges: []time.Time{now, now.Add(time.Hour)}, zone: time.UTC}
			sql, args := o.query(nil)
			var raw []byte
			if err := db.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&raw); err != nil {
				t.Fatal(name, err)
			}
			var plan any
			if err := json.Unmarshal(raw, &plan); err != nil {
				t.Fatal(err)
			}
			moves := m.from == dueActions
			for _, table := range relations(plan) {
				if !moves && (!slices.Contains(m.from.tables, table) || !slices.Contains(stamped, table)) {
					t.Errorf("%s, as %v, reads %s, whose changes it does not follow", name, v.Roles, table)
				}
			}
			if moves == (len(m.from.tables) > 0) {
				t.Errorf("%s is kept: %t", name, !moves)
			}
		}
	}
}

// relations are the tables in a plan.
func relations(plan any) (all []string) {
	switch p := plan.(type) {
	case []any:
		for _, x := range p {
			all = append(all, relations(x)...)
		}
	case map[string]any:
		if name, ok := p["Relation Name"].(string); ok {
			all = append(all, name)
		}
		for _, x := range p {
			all = append(all, relations(x)...)
		}
	}
	return all
}
