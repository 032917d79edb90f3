package app_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := apptest.Drop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
