package awstest

import (
	"errors"
	"testing"
)

// Made fails the test if something was not made in an account that nobody else has. That it is there already is no failure: the SDK sends again what
// it does not know to have arrived, and the emulator may have closed the connection on which it did.
func Made(t testing.TB, err error) {
	t.Helper()
	var refused interface {
		error
		ErrorCode() string
	}
	if errors.As(err, &refused) && refused.ErrorCode() == "AlreadyExistsException" {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
}
