// Package audit keeps the trail of who did what: ids and names of fields, never a value.
//
// A domain records each change in the transaction that makes it:
//
//	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
//		… UPDATE goals …
//		return audit.Record(ctx, tx, v, audit.Entry{
//			Action: "goal.update", Kind: "goal", ID: in.ID.UUID, ClientID: g.ClientID.UUID, Fields: audit.Given(in),
//		})
//	})
//
// So there is no change without its row and no row without its change. Recording is one INSERT, whatever the number of
// entries, and takes no lock: writers of one organization do not wait for one another. Rows get their place in the
// organization's chain afterwards, from the Sealer.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Entry is one thing that was done. There is no place for what a field held, nor for a hash of it: the hash of a name is
// the name, for who has a list of names.
type Entry struct {
	Action   string   // "<domain>.<verb>", as "goal.update"
	Kind     string   // the prefix of the thing's id, as "goal"
	ID       id.UUID  // the thing
	ClientID id.UUID  // the client whom it is about; zero if none
	Fields   []string // names of what changed, as the schema calls them; empty for the thing as a whole
}

// Record writes down what the viewer does in tx. What fails it fails the transaction: also that a client whom it is about was erased, for
// every change passes here, and nothing is written any more about whom wanted to be forgotten.
func Record(ctx context.Context, tx pgx.Tx, v auth.Viewer, entries ...Entry) error {
	var about []id.UUID
	for _, e := range entries {
		if !e.ClientID.IsZero() && !slices.Contains(about, e.ClientID) {
			about = append(about, e.ClientID)
		}
	}
	if err := RequireKept(ctx, tx, v.Org, about...); err != nil {
		return err
	}
	return record(ctx, tx, v.Org, &v.User, entries)
}

// RecordErasing is Record for what has to do with the erasure of a client itself.
func RecordErasing(ctx context.Context, tx pgx.Tx, v auth.Viewer, entries ...Entry) error {
	return record(ctx, tx, v.Org, &v.User, entries)
}

// RecordSystem is Record for what nobody has asked for through the API: an operator's command, a job, a sweep.
func RecordSystem(ctx context.Context, db postgres.DB, org id.UUID, entries ...Entry) error {
	return record(ctx, db, org, nil, entries)
}

func record(ctx context.Context, db postgres.DB, org id.UUID, actor *id.UUID, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	type row struct {
		ID     id.UUID  `json:"id"`
		Action string   `json:"action"`
		Kind   string   `json:"kind"`
		Entity id.UUID  `json:"entity"`
		Client *id.UUID `json:"client"`
		Fields []string `json:"fields"`
	}
	rows := make([]row, len(entries))
	for i, e := range entries {
		rows[i] = row{ID: id.New(), Action: e.Action, Kind: e.Kind, Entity: e.ID, Fields: e.Fields}
		if !e.ClientID.IsZero() {
			rows[i].Client = &e.ClientID
		}
	}
	body, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	// As JSON, because unnest knows no lists of lists, and one statement for any number is prepared once.
	_, err = db.Exec(ctx, `
		INSERT INTO audit_events (id, org_id, actor_id, request_id, action, kind, entity_id, client_id, fields)
		SELECT e.id, $1, $2, $3, e.action, e.kind, e.entity, e.client, coalesce(e.fields, '{}')
		FROM jsonb_to_recordset($4::jsonb) AS e(id uuid, action text, kind text, entity uuid, client uuid, fields text[])`,
		org, actor, httpx.RequestIDFrom(ctx), string(body))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Given names the fields of an update's input that were given, as the schema calls them: those whose pointer, list or map
// is not nil.
func Given(input any) []string {
	v := reflect.Indirect(reflect.ValueOf(input))
	var names []string
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if !f.IsNil() {
				names = append(names, schemaName(v.Type().Field(i).Name))
			}
		}
	}
	return names
}

// schemaName writes a Go field's name as the schema does: AIEnabled is aiEnabled, CoachID is coachId.
func schemaName(s string) string {
	if before, found := strings.CutSuffix(s, "ID"); found {
		s = before + "Id"
	}
	runes := []rune(s)
	for i := range runes {
		if i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) || unicode.IsLower(runes[i]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}
