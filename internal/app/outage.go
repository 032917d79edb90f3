package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// outages sees to responses of a time when something that we stand on is out of reach: a line in the log for each, however
// many fields lack their value, and status 503 for one that has no value at all. One without a value because somebody asks too often is a 429.
type outages struct{ log *slog.Logger }

// ExtensionName implements graphql.HandlerExtension.
func (outages) ExtensionName() string { return "Outages" }

// Validate implements graphql.HandlerExtension.
func (outages) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse implements graphql.ResponseInterceptor.
func (o outages) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	r := next(ctx)
	if r == nil {
		return nil
	}
	var cause error
	fields := 0
	for _, e := range r.Errors {
		var limit *fault.Error
		if errors.As(e.Err, &limit) && limit.Retry > 0 && nothing(r.Data) {
			httpx.SlowDown(ctx, limit.Retry)
			return r
		}
		if fault.KindOf(e) == fault.KindUnavailable {
			fields++
			cause = cmp.Or(cause, errors.Unwrap(e.Err))
		}
	}
	if fields == 0 {
		return r
	}
	o.log.WarnContext(ctx, "answered without what is out of reach", "fields", fields, "err", cause)
	if nothing(r.Data) {
		httpx.RetryLater(ctx)
	}
	return r
}

// nothing says whether data holds no value: it is null, or an object of nulls.
func nothing(data json.RawMessage) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return len(data) == 0
	}
	for _, value := range fields {
		if !bytes.Equal(value, []byte("null")) {
			return false
		}
	}
	return true
}

// directory knows people as auth.Directory asks, and says so when it cannot be asked.
type directory struct{ auth.Directory }

// Identify implements auth.Directory.
func (d directory) Identify(ctx context.Context, c auth.Claims) (auth.Viewer, error) {
	v, err := d.Directory.Identify(ctx, c)
	return v, postgres.Fault(err)
}
