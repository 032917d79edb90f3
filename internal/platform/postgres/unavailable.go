package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// unavailable are the states in which a server cannot be worked with, whatever the statement: it shuts down, has crashed,
// is starting, or has no connection left. Class 08, a broken connection, belongs to them.
var unavailable = []string{"57P01", "57P02", "57P03", "53300"}

// Unavailable says whether err means that the database cannot be reached now: no connection could be made or was left, it
// broke, or the server is going down or coming up. A statement that takes too long and a caller who goes away mean no
// such thing.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) { // also with a password or a database that is refused: nobody can work
		return true
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return strings.HasPrefix(server.Code, "08") || slices.Contains(unavailable, server.Code)
	}
	// The driver hands on what the connection said.
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

// Fault returns an Unavailable error as a fault of that kind, which can be shown, and any other error as it is. It is for
// the borders where errors leave the program.
func Fault(err error) error {
	if fault.All(err) == nil && Unavailable(err) {
		return fault.Unavailable("the database cannot be reached now: try again").Because(err)
	}
	return err
}
