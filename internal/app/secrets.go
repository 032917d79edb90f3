package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/secret"
	envsecret "github.com/rapporthq/rapport/internal/platform/secret/env"
	"github.com/rapporthq/rapport/internal/platform/secret/secretsmanager"
)

// WithSecrets hands the keeper on that has opened the database.
func WithSecrets(k *secret.Keeper) Option { return func(a *App) { a.secrets = k } }

// OpenSecrets returns the keeper of what the configuration refers to: in variables of the environment, found by lookup if it is not
// nil, and in AWS Secrets Manager, which is only looked for if something is kept there.
func OpenSecrets(ctx context.Context, cfg config.Config, lookup config.Lookup, log *slog.Logger) (*secret.Keeper, error) {
	sources := map[string]secret.Source{}
	if lookup != nil {
		sources[secret.Environment] = envsecret.New(lookup)
	}
	for variable, ref := range cfg.Refs() {
		if ref.Source != secret.SecretsManager {
			continue
		}
		reached, err := loadAWS(ctx, log)
		if err != nil {
			return nil, err
		}
		if reached.Region == "" {
			return nil, fault.Invalid("", "%s needs AWS_REGION", variable)
		}
		sources[secret.SecretsManager] = secretsmanager.New(reached)
		break
	}
	return secret.NewKeeper(log, sources), nil
}

// openAll fetches whatever the configuration refers to, so that all that is missing is told at once and not one at each start.
func openAll(ctx context.Context, cfg config.Config, secrets *secret.Keeper) error {
	refs := cfg.Refs()
	var errs []error
	for _, variable := range slices.Sorted(maps.Keys(refs)) {
		_, err := secrets.Open(ctx, variable, refs[variable].String(), nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// login is how connections to the database sign in: by what its URL says now, and by a password of its own if there is one.
type login struct{ url, password *secret.Value }

// recent is how old a password may be that a connection is made with. Connections live for half an hour.
const recent = 5 * time.Second

// openLogin returns the database's address and how to sign in there.
func openLogin(ctx context.Context, cfg config.Database, secrets *secret.Keeper) (address string, l login, err error) {
	l.url, err = secrets.Open(ctx, "DATABASE_URL", cfg.URL.Reveal(), config.DatabaseURL)
	if cfg.Password != "" {
		var failed error
		l.password, failed = secrets.Open(ctx, "DATABASE_PASSWORD", cfg.Password.Reveal(), nil)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return "", l, err
	}
	return l.url.Within(ctx, recent), l, nil
}

var _ postgres.Login = login{}

// Login implements postgres.Login.
func (l login) Login(ctx context.Context) (user, password string) {
	if u, err := url.Parse(l.url.Within(ctx, recent)); err == nil && u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
	}
	if l.password != nil {
		password = l.password.Within(ctx, recent)
	}
	return user, password
}

// Refused implements postgres.Login.
func (l login) Refused() {
	l.url.Refused()
	l.password.Refused()
}
