// Package secretsmanager is the source of secrets in AWS Secrets Manager.
package secretsmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Source is the Secrets Manager of an account and a region.
type Source struct {
	client *secretsmanager.Client
}

var _ secret.Source = (*Source)(nil)

// New returns the source. cfg says how AWS is reached and as whom.
func New(cfg aws.Config) *Source { return &Source{secretsmanager.NewFromConfig(cfg)} }

// Fetch implements secret.Source: the version that is current (AWSCURRENT). A name may be an ARN.
func (s *Source) Fetch(ctx context.Context, name string) (string, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException":
		return "", fault.NotFound("secret " + name).Because(err)
	case api != nil: // its message names who asked
		return "", fmt.Errorf("secretsmanager: %s", api.ErrorCode())
	case err != nil:
		return "", fmt.Errorf("secretsmanager: %w", err)
	case aws.ToString(out.SecretString) == "":
		return "", fault.NotFound("text of the secret " + name)
	}
	return *out.SecretString, nil
}

// Put makes a secret, or gives one another value, as whoever looks after the account does: for development and tests.
func Put(ctx context.Context, cfg aws.Config, name, text string) error {
	client := secretsmanager.NewFromConfig(cfg)
	_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &text})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ResourceExistsException" {
		_, err = client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &text})
	}
	if err != nil {
		return fmt.Errorf("secretsmanager: %w", err)
	}
	return nil
}
