package resolvers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Present is the one place where errors become GraphQL errors. A fault shows its message and code; what the executor
// itself says about the request stays; everything else is masked, with the request's id to find it in the log by. A fault
// with a cause stays in the result's Err, so that whoever sees the whole response can log it once.
func Present(ctx context.Context, err error) *gqlerror.Error { return present(ctx, err) }

func present(ctx context.Context, err error) *gqlerror.Error {
	out := &gqlerror.Error{Path: graphql.GetPath(ctx), Extensions: map[string]any{}}
	var g *gqlerror.Error
	if errors.As(err, &g) {
		out.Path, out.Locations = g.Path, g.Locations
		for k, v := range g.Extensions {
			out.Extensions[k] = v
		}
	}
	if faults := fault.All(postgres.Fault(err)); len(faults) > 0 {
		describe(out, faults)
		out.Err = faults[0]
		return out
	}
	switch {
	case g != nil && g.Err == nil: // said by the executor or the validator about the request
		out.Message = clip(g.Message)
		if out.Extensions["code"] == nil {
			out.Extensions["code"] = string(fault.KindInvalid)
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		out.Message = "the request was cancelled or took too long"
		out.Extensions["code"] = string(fault.KindUnavailable)
	default:
		slog.ErrorContext(ctx, "internal error", "path", out.Path.String(), "err", err)
		out.Message = "internal error: our mistake, not yours"
		out.Extensions["code"] = string(fault.KindInternal)
	}
	if out.Extensions["code"] == string(fault.KindInternal) {
		out.Extensions["requestId"] = httpx.RequestIDFrom(ctx)
	}
	return out
}

// clip keeps what the executor quotes of a request from becoming as long as the request.
func clip(message string) string {
	const limit = 500
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "") + "…"
}

func describe(out *gqlerror.Error, faults []*fault.Error) {
	messages := make([]string, len(faults))
	for i, f := range faults {
		messages[i] = f.Error()
	}
	first := faults[0]
	out.Message = strings.Join(messages, "; ")
	out.Extensions["code"] = string(first.Kind)
	if first.Code != "" {
		out.Extensions["code"] = first.Code
	}
	if seconds := fault.RetryAfter(first); seconds > 0 {
		out.Extensions["retryAfter"] = seconds
	}
	field := first.Field
	if field == "" && first.Kind == fault.KindInvalid {
		field = argument(out.Path)
	}
	if field != "" {
		out.Extensions["field"] = field
	}
}

// argument names the argument that a path of an input error ends in, as the fields of userErrors are named: the part after the field itself.
func argument(path ast.Path) string {
	var names []string
	for _, part := range path[min(1, len(path)):] {
		names = append(names, fmt.Sprint(part))
	}
	return strings.Join(names, ".")
}
