package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/aws/ministack"
)

var emulator struct {
	once sync.Once
	url  string
	err  error
}

func startEmulator(root string) (string, error) {
	if url := os.Getenv("RAPPORT_TEST_AWS_URL"); url != "" {
		return url, nil
	}
	s, err := ministack.Start(context.Background(), Home(root), func(line string) { fmt.Fprintln(os.Stderr, "testkit: "+line) })
	if err != nil {
		return "", err
	}
	return s.URL(), nil // it ends with this process
}

// AWS is the address of an emulator of AWS: the one at RAPPORT_TEST_AWS_URL, or one that this process starts and its tests
// share. An access key of twelve digits is an account of its own.
func AWS(t testing.TB) string {
	t.Helper()
	root := RepoRoot(t)
	emulator.once.Do(func() { emulator.url, emulator.err = startEmulator(root) })
	if errors.Is(emulator.err, ministack.ErrUnavailable) {
		RequireComponent(t, "aws", emulator.err.Error())
	} else if emulator.err != nil {
		t.Fatal(emulator.err)
	}
	return emulator.url
}
