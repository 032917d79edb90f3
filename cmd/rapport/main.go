// rapport is the operator's command line; the server itself is the module's root package.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rapporthq/rapport/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := app.Operate(ctx, os.LookupEnv, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, app.ErrUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rapport:", err)
		os.Exit(1)
	}
}
