package page

import (
	"fmt"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/auth"
)

// Scope says which rows of one table a viewer may see, and through which relation. It stands inside every SELECT of its
// domain: lists, counts, loaders and checks before a change alike, so that no page, count or cursor can leak.
//
// Convention of every statement: $1 is the viewer's organization, $2 the viewer's user.
type Scope struct {
	org   string
	terms []term
}

type term struct {
	grant auth.Grants
	sql   string
}

// NewScope begins a scope that sees nothing; orgColumn is the table's, e.g. "s.org_id".
func NewScope(orgColumn string) *Scope { return &Scope{org: orgColumn} }

// Allow opens the rows for which the SQL condition holds, as grant.
func (s *Scope) Allow(grant auth.Grants, condition string) {
	s.terms = append(s.terms, term{grant, condition})
}

// Where is the predicate.
func (s *Scope) Where() string {
	if len(s.terms) == 0 {
		return fmt.Sprintf("%s = $1 AND $2::uuid IS NOT NULL AND false", s.org)
	}
	conditions := make([]string, len(s.terms))
	for i, t := range s.terms {
		conditions[i] = t.sql
	}
	// $2 is mentioned whatever the terms are, for PostgreSQL wants to know each parameter's type.
	return fmt.Sprintf("%s = $1 AND $2::uuid IS NOT NULL AND (%s)", s.org, strings.Join(conditions, " OR "))
}

// Through is the condition that a row is seen through one of the relations: a filter on a guarded field must hold only
// for those who may read the field, or the filter tells what the field hides.
func (s *Scope) Through(grants auth.Grants) string {
	var conditions []string
	for _, t := range s.terms {
		if grants.Any(t.grant) {
			conditions = append(conditions, t.sql)
		}
	}
	if conditions == nil {
		return "false"
	}
	return "(" + strings.Join(conditions, " OR ") + ")"
}

// grants is an expression for the auth.Grants of a row.
func (s *Scope) grants() string {
	if len(s.terms) == 1 { // the row was found, so its only condition holds
		return fmt.Sprintf("%d", s.terms[0].grant)
	}
	parts := []string{"0"}
	for _, t := range s.terms {
		parts = append(parts, fmt.Sprintf("CASE WHEN %s THEN %d ELSE 0 END", t.sql, t.grant))
	}
	return "(" + strings.Join(parts, " | ") + ")"
}
