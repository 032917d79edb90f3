package deadletter

import (
	"fmt"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// table reads jobs, and finds out what each is about where its kind says it may be.
func table(all []About) page.Table[DeadLetter] {
	var prefix strings.Builder
	for _, a := range all {
		fmt.Fprintf(&prefix, " WHEN j.kind = '%s' AND EXISTS (SELECT FROM %s t WHERE t.org_id = $1 AND t.id = j.entity_id) THEN '%s'", a.Kind, a.Table, a.Prefix)
	}
	return page.Table[DeadLetter]{
		From: "jobs j",
		ID:   "j.id",
		Columns: "j.id, j.kind, j.attempt, coalesce(j.last_error_code, '" + jobs.CodeInternal + "'), j.finished_at, j.entity_id, " +
			"CASE WHEN j.entity_id = $1 THEN 'org'" + prefix.String() + " END",
		Dest: func(d *DeadLetter) []any {
			return []any{&d.Grants, &d.ID, &d.Kind, &d.Attempts, &d.ErrorCode, &d.Since, &d.entity, &d.prefix}
		},
		Key: func(d *DeadLetter) id.UUID { return d.ID.UUID },
	}
}

func (f *Filter) where() (w page.Filter) {
	if f == nil {
		return w
	}
	if f.Kinds != nil {
		w.And("j.kind = ANY(?)", f.Kinds)
	}
	if f.ErrorCodes != nil {
		w.And("coalesce(j.last_error_code, '"+jobs.CodeInternal+"') = ANY(?)", f.ErrorCodes)
	}
	if f.EntityIds != nil {
		keys := make([]id.UUID, len(f.EntityIds))
		for i, e := range f.EntityIds {
			keys[i] = e.UUID
		}
		w.And("j.entity_id = ANY(?)", keys)
	}
	return w
}

var latestFirst = page.Order[DeadLetter]{Name: "deadletter-since", Keys: []page.Key[DeadLetter]{
	{SQL: "j.finished_at", Type: "timestamptz", Desc: true, Of: func(d *DeadLetter) string { return page.Time(d.Since) }},
	{SQL: "j.id", Type: "uuid", Desc: true, Of: func(d *DeadLetter) string { return d.ID.UUID.String() }},
}}
