package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// WithAWS says how AWS is reached; for tests. Otherwise the SDK finds out by itself.
func WithAWS(cfg aws.Config) Option { return func(a *App) { a.aws = &cfg } }

// reachAWS is how AWS is reached, for what the given variable asks for.
func (a *App) reachAWS(ctx context.Context, variable string) (aws.Config, error) {
	if a.aws == nil {
		cfg, err := loadAWS(ctx, a.log)
		if err != nil {
			return cfg, err
		}
		a.aws = &cfg
	}
	if a.aws.Region == "" {
		return *a.aws, fault.Invalid("", "%s needs AWS_REGION", variable)
	}
	return *a.aws, nil
}

// loadAWS has the SDK find out how AWS is reached. What it has to say goes to log: by itself it would write lines of its own to standard error.
func loadAWS(ctx context.Context, log *slog.Logger) (aws.Config, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(sdkLog{log}))
	if err != nil {
		return cfg, fmt.Errorf("AWS: %w", err)
	}
	return cfg, nil
}

// sdkLog is the log as the SDK sees it.
type sdkLog struct{ log *slog.Logger }

// Logf implements logging.Logger. At whatever level the SDK puts it, it is for who looks into something: what goes wrong comes back as an error.
func (l sdkLog) Logf(_ logging.Classification, format string, args ...any) {
	l.log.Debug("AWS SDK", "said", fmt.Sprintf(format, args...))
}
