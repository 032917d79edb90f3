// Package filter is what a search is restricted by. The ports that find by words and by meaning (textsearch, vector) take the same conditions, so that
// who may see what is said once for both.
package filter

import "time"

// Expr is a condition on what is kept, by its fields and its time. nil holds for everything. The kinds are Terms, Between, All, Any and Not; a port may
// have more, which it says and no other one takes.
type Expr interface{ Filters() }

// Terms holds for what has one of the values in the field; without values for nothing.
type Terms struct {
	Field  string
	Values []string
}

// Between holds for what is of a time from From on and before To. A zero time is no limit.
type Between struct{ From, To time.Time }

// All holds if each does; empty it always holds.
type All []Expr

// Any holds if at least so many do (0 is one); empty it never holds.
type Any struct {
	Of      []Expr
	AtLeast int
}

// Not holds if Of does not.
type Not struct{ Of Expr }

// Filters implements Expr.
func (Terms) Filters() {}

// Filters implements Expr.
func (Between) Filters() {}

// Filters implements Expr.
func (All) Filters() {}

// Filters implements Expr.
func (Any) Filters() {}

// Filters implements Expr.
func (Not) Filters() {}
