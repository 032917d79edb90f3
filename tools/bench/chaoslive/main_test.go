package main

import (
	"os/exec"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/testkit"
)

// Nothing is lost and nothing comes twice while connections are cut, Redis is killed and a server is killed with -9. It is what `make chaos-live`
// does, for some seconds.
func TestChaosLive(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if _, err := exec.LookPath("valkey-server"); err != nil {
			testkit.RequireComponent(t, "redis", "neither valkey-server nor redis-server is in the PATH")
		}
	}
	t.Chdir(testkit.RepoRoot(t))
	err := run(t.Context(), options{clients: 12, disconnects: 60, restarts: 1, kills: 1, writers: 2, length: 6 * time.Second, settle: time.Minute, seed: 1}, t.Output())
	if err != nil {
		t.Error(err)
	}
}
