package app_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(serve())
	}
	code := m.Run()
	if err := apptest.Drop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
