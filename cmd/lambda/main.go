// lambda is the function of AWS Lambda: jobs that come through SQS, and what S3 and SES tell.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rapporthq/rapport/internal/app"
)

func main() {
	if err := app.Lambda(context.Background(), os.LookupEnv); err != nil {
		fmt.Fprintln(os.Stderr, "rapport:", err)
		os.Exit(1)
	}
}
