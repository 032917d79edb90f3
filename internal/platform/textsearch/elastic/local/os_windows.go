//go:build windows

package local

import (
	"context"
	"fmt"
	"os/exec"
)

// There is no server for Windows yet: give the tests one of your own.

type account struct{}

func serverAccount() (account, error) { return account{}, nil }

func (account) own(string) error { return nil }

func baseFolder(string) (string, error) {
	return "", fmt.Errorf("%w: not on Windows", ErrUnavailable)
}

func lock(context.Context, string) (func(), error) { return func() {}, nil }

type run struct{ done chan struct{} }

func start(*exec.Cmd, account, string) (*run, error) { return nil, ErrUnavailable }

func (*run) end() {}

func (*run) freeze(bool) error { return ErrUnavailable }
