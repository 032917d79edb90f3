// Package personal is how each domain says what it keeps of a client, so that it can be copied for the client and erased.
//
// It is data and no code: a domain that adds a table adds a Store, and a test fails until it does.
package personal

// Store is one table that holds something of clients. The conditions are SQL about its row x; $1 is the organization, $2 the client,
// and $3 the client's login, where that is to be erased too, else NULL.
type Store struct {
	Table string
	Of    string // that the row is about the client

	// Clear are the assignments by which the row stays and forgets the person: a session's date stays, its title goes. Dirty is the
	// condition that there is something to forget. Both "": the row is deleted.
	Clear, Dirty string

	// Before says that it is done before the conversations go, for the row is found by them.
	Before bool

	// Secret is which of the rows only their author may know of, "" none: they are erased and not counted, for those who see the receipt
	// must not learn that there were any.
	Secret string

	// Copy are the columns of which the client gets a copy; "" is none. Shown is which of the rows, "" all: what is about somebody else,
	// or another person's private note, is not.
	Copy, Shown string
}

// Aged is one table of what people have written about conversations without being a part of them: a retention policy ends it when it is as
// old as the conversations that it ends. The conditions are SQL about its row x; $1 is the organization, and d are the transcripts that go.
type Aged struct {
	Table string
	Of    string // that the row goes; true of no less when what refers to it has gone
	Since string // when it was written
}

// Before is the moment before which something must have been written to be ended by a policy.
const Before = `($3::timestamptz - $2::int * interval '1 day')`

// OfSession is the condition that a client takes part in the session in the given column, as its client or one of them.
func OfSession(column string) string {
	return column + ` IN (SELECT s.id FROM sessions s WHERE s.org_id = $1 AND (s.client_id = $2 OR EXISTS (
		SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND p.client_id = $2 AND p.role = 'CLIENT')))`
}

// Heard is the condition that a transcript t is of a conversation that an erasure ends: the client's, or one in which the person was heard as a guest.
var Heard = `(` + OfSession("t.session_id") + ` OR EXISTS (SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = t.session_id AND p.user_id = $3))`
