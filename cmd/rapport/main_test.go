package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

// The test runs the real program as a process of its own: this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("RAPPORT_TEST_AS_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		mode string
		want int
	}{
		{[]string{"-h"}, "", 0},
		{[]string{"import", "-h"}, "", 0},
		{nil, "", 2},
		{[]string{"import"}, "", 2},
		{[]string{"unsuppress", "garbage"}, "", 2},
		{[]string{"migrate"}, "nonsense", 1},
	} {
		cmd := exec.Command(os.Args[0], tc.args...)
		cmd.Env = append(os.Environ(), "RAPPORT_TEST_AS_MAIN=1", "RAPPORT_MODE="+tc.mode)
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != tc.want {
			t.Errorf("rapport %q: exit status %d, want %d", tc.args, got, tc.want)
		}
	}
}
